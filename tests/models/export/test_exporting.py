"""Any format by its name or its ending: whole or not at all, and only what fits."""

import csv
import json
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
import zarr

from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import CancelledError, ImageError
from napari_medseg.models.export import EXPORTS, check_not_the_image, export_mask, export_of, fitting
from napari_medseg.models.export.stores import copy_store
from napari_medseg.models.formats import OpenedImage, open_image
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.reading import read_mask
from napari_medseg.models.streaming.partial import Partial

from ...full_disk import no_file_may_be_larger_than
from ..formats.dicom_support import numbered, series

MASKS = [key for key in EXPORTS if key not in ("coco", "geojson", "csv", "csv-slices")]


@pytest.fixture(scope="module")
def slice_() -> OpenedImage:
    return open_image(pydicom.data.get_testdata_file("CT_small.dcm"))


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    """Many small objects, so that no file of them is small."""
    noise = np.random.default_rng(0).random((128, 128)) < 0.3
    return noise.astype(np.uint8)


def export(key: str, path: Path, mask: np.ndarray, opened: OpenedImage) -> None:
    export_mask(path, mask, opened.image, key=key, source=opened, instances=False)


def snapshot(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {str(file.relative_to(path.parent)): file.read_bytes() for file in files}


@pytest.mark.parametrize("key", MASKS)
def test_a_mask_reads_back_as_it_was(key: str, tmp_path: Path, mask: np.ndarray, slice_: OpenedImage) -> None:
    path = tmp_path / f"mask{EXPORTS[key].ending}"
    export("", path, mask, slice_)
    np.testing.assert_array_equal(read_mask(path).squeeze(), mask)


@pytest.mark.parametrize("key", EXPORTS)
def test_on_a_full_disk_the_older_file_stays_and_one_sentence_says_why(
    key: str, tmp_path: Path, mask: np.ndarray, slice_: OpenedImage
) -> None:
    path = tmp_path / f"mask{EXPORTS[key].ending}"
    export(key, path, mask, slice_)
    older = snapshot(path)
    with no_file_may_be_larger_than(60), pytest.raises(WriteError, match="could not be written") as caught:
        export(key, path, 1 - mask, slice_)
    assert "\n" not in str(caught.value)
    assert snapshot(path) == older
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("key", EXPORTS)
def test_whenever_it_is_cancelled_the_older_file_stays(
    key: str, tmp_path: Path, mask: np.ndarray, slice_: OpenedImage
) -> None:
    path = tmp_path / f"mask{EXPORTS[key].ending}"
    asked: list[int] = []

    def write(stop_at: int) -> None:
        def cancel() -> bool:
            asked.append(len(asked))
            return asked[-1] == stop_at

        asked.clear()
        export_mask(path, mask, slice_.image, key=key, source=slice_, instances=False, cancel=cancel)

    write(-1)
    first, last, older = 0, asked[-1], snapshot(path)
    assert last > first  # before the work, and after it
    for stop_at in (first, last):
        with pytest.raises(CancelledError, match="nothing was changed"):
            write(stop_at)
        assert snapshot(path) == older
        assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("key", EXPORTS)
def test_a_folder_that_is_a_file_is_said(key: str, tmp_path: Path, mask: np.ndarray, slice_: OpenedImage) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError, match="could not be written"):
        export(key, tmp_path / "file" / f"mask{EXPORTS[key].ending}", mask, slice_)


@pytest.mark.parametrize("key", EXPORTS)
def test_the_ending_says_which_format_is_meant(key: str) -> None:
    assert export_of(f"A{EXPORTS[key].ending.upper()}") == EXPORTS[key]


def test_other_endings_are_understood_or_refused(tmp_path: Path, mask: np.ndarray, slice_: OpenedImage) -> None:
    assert export_of("a.nii") == EXPORTS["nifti"]
    assert export_of("a.json") == EXPORTS["coco"]
    assert export_of("a.zarr") == EXPORTS["ome-zarr"]
    assert export_of("a.txt") is None
    with pytest.raises(ImageError, match=r"allowed are .*\.geojson"):
        export("", tmp_path / "a.txt", mask, slice_)
    with pytest.raises(ImageError, match=r"ends in \.nii\.gz"):
        export("nifti", tmp_path / "a.png", mask, slice_)
    export("csv", tmp_path / "a.txt", mask, slice_)
    assert len(list(csv.DictReader((tmp_path / "a.txt").open()))) == 1


@pytest.mark.parametrize("key", ["csv", "csv-slices"])
def test_measurements_begin_with_a_mark_that_tells_spreadsheets_their_letters(key: str, tmp_path: Path) -> None:
    volume = MedicalImage(np.zeros((2, 4, 4), np.uint8), "ZYX")
    path = tmp_path / f"a{EXPORTS[key].ending}"
    export_mask(path, np.ones((2, 4, 4), np.uint8), volume, names={1: "Läsion 肝臓"})
    assert path.read_bytes().startswith(b"\xef\xbb\xbflabel,name")
    rows = list(csv.DictReader(path.open(encoding="utf-8-sig")))
    assert {(row["label"], row["name"]) for row in rows} == {("1", "Läsion 肝臓")}


def test_a_class_has_one_object_for_each_piece(tmp_path: Path, slice_: OpenedImage) -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[5:9, 5:9] = mask[50:60, 50:60] = 1
    for instances, count in ((True, 1), (False, 2)):
        export_mask(tmp_path / "a.geojson", mask, slice_.image, instances=instances)
        assert len(json.loads((tmp_path / "a.geojson").read_text())["features"]) == count


@pytest.mark.parametrize(
    ("kind", "axes", "first", "without"),
    [
        ("dicom", "ZYX", "dicom-seg", "png"),
        ("dicom", "TYX", "nifti", "dicom-seg"),
        ("nifti", "ZYX", "nifti", "dicom-seg"),
        ("png", "YXC", "png", "csv-slices"),
        ("jpeg", "YXC", "png", "nifti"),
        ("tiff", "ZYX", "ome-tiff", "png"),
        ("ome-zarr", "YX", "ome-zarr", "png"),
        ("video", "TYXC", "ome-tiff", "png"),
        (None, "YX", "ome-tiff", "dicom-seg"),
    ],
)
def test_what_fits_the_image_comes_first_and_what_does_not_is_left_out(
    kind: str | None, axes: str, first: str, without: str
) -> None:
    keys = [one.key for one in fitting(kind, axes)]
    assert keys[0] == first
    assert without not in keys
    assert {"coco", "geojson", "csv"} <= set(keys)


def test_a_mask_on_the_disk_stays_there(tmp_path: Path) -> None:
    assert fitting("tiff", "YXC", large=True)[0].key == "ome-zarr"
    store = LabelStore.create(tmp_path / "store", (600, 700), "YX", (0.5, 0.5), "um")
    store.write((slice(100, 200), slice(300, 400)), np.full((100, 100), 7, np.uint16))
    copy_store(store.path, tmp_path / "new" / "mask.ome.zarr")
    np.testing.assert_array_equal(
        LabelStore.open(tmp_path / "new" / "mask.ome.zarr").levels[0][...], store.levels[0][...]
    )
    assert snapshot(tmp_path / "new" / "mask.ome.zarr").keys() == {
        str(Path("mask.ome.zarr", *Path(name).parts[1:])) for name in snapshot(store.path)
    }
    before = snapshot(tmp_path / "new")
    with no_file_may_be_larger_than(60), pytest.raises(WriteError):
        copy_store(store.path, tmp_path / "new" / "mask.ome.zarr")
    with pytest.raises(CancelledError):
        copy_store(store.path, tmp_path / "new" / "mask.ome.zarr", cancel=lambda: True)
    assert snapshot(tmp_path / "new") == before
    copy_store(store.path, tmp_path / "new" / "mask.ome.zarr")  # an older one is replaced
    assert snapshot(tmp_path / "new") == before


def test_a_mask_on_the_disk_is_copied_with_all_its_folders_or_not_at_all(tmp_path: Path) -> None:
    store = LabelStore.create(tmp_path / "store", (1100, 60), "YX", (0.5, 0.5), "um")
    store.write((), np.ones((1100, 60), np.uint16))
    rows = {"0", "1"}

    def unplugged() -> bool:
        begun = {folder.name for folder in tmp_path.glob("new.ome.zarr.*/0/c/*")}
        for row in rows - begun if begun else ():
            (store.path / "0" / "c" / row).rename(tmp_path / row)  # it was listed already
            rows.clear()
        return False

    with pytest.raises(WriteError):
        copy_store(store.path, tmp_path / "new.ome.zarr", cancel=unplugged)
    assert not rows
    assert not list(tmp_path.glob("new.ome.zarr*"))


def test_a_mask_on_the_disk_takes_the_place_of_older_labels_and_of_nothing_else(tmp_path: Path) -> None:
    store = LabelStore.create(tmp_path / "store", (60, 70), "YX", (0.5, 0.5), "um")
    axes = [{"name": name, "type": "space"} for name in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    image = zarr.open_group(tmp_path / "slide.ome.zarr", mode="w", zarr_format=3, attributes={"ome": ome})
    image.create_array("0", data=np.full((60, 70), 7, np.uint16))
    (tmp_path / "work.ome.zarr").mkdir()
    (tmp_path / "work.ome.zarr" / "thesis.txt").write_text("years of it")
    (tmp_path / "file.ome.zarr").write_text("a note")
    (tmp_path / "patients").mkdir()
    before = snapshot(tmp_path)
    for name, said in {
        "slide.ome.zarr": r"is an image, not a mask, .* Nothing was written; .*'slide_mask\.ome\.zarr', would work",
        "work.ome.zarr": "is something else, not a mask",
        "file.ome.zarr": "is something else, not a mask",
        "patients": r"'patients\.ome\.zarr' would work",
    }.items():
        with pytest.raises(WriteError, match=said):
            copy_store(store.path, tmp_path / name)
        with pytest.raises(WriteError, match=said):
            Partial.begin(tmp_path / name, "the work")
    assert snapshot(tmp_path) == before


def test_neither_an_image_nor_a_slice_of_it_may_be_replaced(tmp_path: Path, mask: np.ndarray) -> None:
    scan = tmp_path / "scan"
    study = {"StudyInstanceUID": "1.2.3", "SeriesNumber": 1, "StudyID": "1", "PatientBirthDate": "", "PatientSex": "O"}
    slices = series(scan, numbered(2, 128, 128), **study)
    with pytest.raises(ImageError, match=r"'.*\.dcm' is a slice of the image, .*_mask\.dcm' would work"):
        check_not_the_image(slices[0], scan)
    with pytest.raises(ImageError, match="is the image itself"):
        check_not_the_image(slices[0], slices[0])
    opened = open_image(scan)
    export("dicom-seg", scan / "seg.dcm", np.stack((mask, mask)), opened)
    (scan / "notes.txt").write_text("not an image")
    for path in (scan / "seg.dcm", scan / "notes.txt", scan / "new.dcm", tmp_path / "seg.dcm"):
        check_not_the_image(path, scan)
    check_not_the_image(slices[0], None)
