import csv
import io

import numpy as np

from napari_medseg.models.image import MedicalImage
from napari_medseg.models.measuring import columns, csv_text, measure, measure_planes


def box_mask() -> np.ndarray:
    mask = np.zeros((4, 20, 20), np.uint8)
    mask[1:3, 5:10, 5:10], mask[2, 15:18, 15:18] = 1, 2
    return mask


def image(unit: str, **options) -> MedicalImage:
    return MedicalImage(np.full((4, 20, 20), 40, np.int16), "ZYX", (3, 0.5, 0.5), unit, **options)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_column_says_its_unit() -> None:
    found = measure(box_mask(), image("mm"))
    assert {column.key for column in columns(found)} >= {"volume_mm3", "longest_diameter_mm", "surface_mm2", "mean"}
    assert {column.unit for column in columns(found)} == {"", "mm", "mm²", "mm³"}
    in_pixels = columns(measure(box_mask(), image("pixel")))
    assert {column.unit for column in in_pixels} == {"", "px", "px²", "px³"}
    assert not any("mm" in column.key for column in in_pixels)


def test_planes_have_areas_and_volumes_have_volumes() -> None:
    keys = {column.key for column in columns(measure_planes(box_mask(), image("mm")))}
    assert {"slice", "area_mm2", "perimeter_mm"} <= keys
    assert not {"volume_mm3", "surface_mm2"} & keys


def test_csv_has_a_line_for_each_label_and_reads_back() -> None:
    table = rows(csv_text(measure(box_mask(), image("mm"), names={1: "Läsion, groß"})))
    assert [(row["label"], row["name"], row["volume_mm3"], row["mean"], row["sd"]) for row in table] == [
        ("1", "Läsion, groß", "37.5", "40", "0"),
        ("2", "", "6.75", "40", "0"),
    ]


def test_a_name_is_never_run_as_a_formula() -> None:
    (first, _) = rows(csv_text(measure(box_mask(), image("mm"), names={1: "=1+1"})))
    assert first["name"] == "'=1+1"


def test_values_that_nobody_knows_are_empty() -> None:
    dark = MedicalImage(np.full((4, 20, 20), np.nan), "ZYX")
    assert rows(csv_text(measure(box_mask(), dark)))[0]["mean"] == ""


def test_no_labels_are_a_table_without_lines() -> None:
    assert csv_text(()) == "label\n"
    assert columns(()) == ()
