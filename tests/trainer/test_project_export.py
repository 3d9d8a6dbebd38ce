import csv
import json
import shutil

import imageio.v3 as iio
import nibabel
import numpy as np
import pydicom
import pydicom.data
import pytest
import tifffile

from napari_medseg.models.errors import ImageError, LedgerError
from napari_medseg.models.export import export_mask
from napari_medseg.models.formats import open_image
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import mask_on
from napari_medseg.trainer.folder_config import FolderRequest
from napari_medseg.trainer.folder_plan import plan_training
from napari_medseg.trainer.folder_training import train_planned
from napari_medseg.trainer.folders import find_pairs, read_pair
from napari_medseg.trainer.ledger import Effort, Ledger
from napari_medseg.trainer.project_export import export_project


def picture(seed, axes="YX", shape=(40, 48), dtype=np.uint8, spacing=(), unit="pixel"):
    pixels = np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)
    return MedicalImage(pixels, axes, spacing, unit, name="Quastenflosser Adelgunde")


def mask_of(image, label=1):
    mask = np.zeros(image.mask_shape, np.uint8)
    mask[..., 5:15, 8:30] = label
    mask[..., 20:24, 8:12] = label + 1
    return mask


KINDS = {
    "grey": picture(0),
    "colours": picture(1, "YXC", (40, 48, 3)),
    "microscope": picture(2, "YXC", (40, 48, 4), np.uint16, (0.5, 0.25), "um"),
    "real numbers": picture(3, dtype=np.float32),
    "CT": picture(4, "ZYX", (3, 40, 48), np.int16, (2.5, 0.8, 0.7), "mm"),
    "confocal": picture(5, "ZYXC", (4, 40, 48, 2), np.uint8, (1.0, 0.2, 0.2), "um"),
    "film": picture(6, "TYX", (5, 40, 48)),
    "64 bits": picture(7, dtype=np.int64, spacing=(0.1, 0.1), unit="mm"),
}


def fill(folder):
    with Ledger.open(folder) as ledger:
        for name, image in KINDS.items():
            group = "PID-4711" if name in ("grey", "CT") else name
            ledger.add(image, mask_of(image), group=group, effort=Effort(12.34, 5))
    return folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("filled") / "project")


@pytest.fixture
def ledger(filled):
    """A project, for reading, with an image of each kind, two of which are of one patient."""
    with Ledger.open(filled) as opened:
        yield opened


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def rows_of(path):
    return list(csv.DictReader(path.open(encoding="utf-8-sig")))


def test_every_case_comes_back_as_it_is_in_the_project(ledger, tmp_path):
    done = export_project(ledger, tmp_path, images=True)
    assert done.failed == []
    assert names(tmp_path / "masks") == [
        "case-0001.png", "case-0002.png", "case-0003.ome.tif", "case-0004.png", "case-0005.nii.gz",
        "case-0006.ome.tif", "case-0007.ome.tif", "case-0008.ome.tif",
    ]  # fmt: skip
    assert list(done.masks) == list(done.images) == [f"case-{n:04}" for n in range(1, 9)]
    for kind, image, name in zip(KINDS, KINDS.values(), done.images, strict=True):
        opened = open_image(done.images[name])
        found = opened.image.loaded()
        assert np.array_equal(found.data, image.data), kind
        assert (found.axes, found.unit) == (image.axes, image.unit), kind
        assert found.spacing == pytest.approx(image.spacing), kind
        assert np.array_equal(mask_on(done.masks[name], opened), mask_of(image)), kind
    assert nibabel.load(done.masks["case-0005"]).header.get_zooms() == pytest.approx((0.7, 0.8, 2.5))


def test_the_folder_is_one_for_training_and_keeps_a_patient_on_one_side(ledger, tmp_path):
    export_project(ledger, tmp_path, images=True)
    train, val = find_pairs(tmp_path, "train"), find_pairs(tmp_path, "val")
    assert {pair.group for pair in train} & {pair.group for pair in val} == set()
    assert [len(side) for side in ledger.split()] == [len(train), len(val)]
    for pair in (*train, *val):
        read_pair(pair)
    rows = rows_of(tmp_path / "cases.csv")
    assert rows[0] | {"accepted": ""} == {
        "case": "case-0001", "group": "group-001", "split": "train", "correction": "1", "accepted": "",
        "seconds": "12.3", "edits": "5", "axes": "YX", "z": "", "y": "1.0", "x": "1.0", "unit": "pixel",
        "place": "no",
    }  # fmt: skip
    assert rows[4]["group"] == "group-001"
    assert (rows[4]["z"], rows[4]["unit"]) == ("2.5", "mm")


def test_a_network_learns_from_what_was_exported(tmp_path):
    with Ledger.open(tmp_path / "project") as ledger:
        for seed in range(2):
            image = picture(seed, "ZYX", (2, 40, 48), np.int16, (2.0, 1.0, 1.0), "mm")
            ledger.add(image, mask_of(image))
        export_project(ledger, tmp_path / "out", images=True)
    request = FolderRequest(folder=tmp_path / "out", out=tmp_path / "run", network="unet", steps=1, batch=1, crop=32)
    result = train_planned(plan_training(request))
    assert (result.trained_on, result.validated_on) == (1, 1)


def test_nothing_is_divided_while_nothing_is_held_out(tmp_path):
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.add(KINDS["grey"], mask_of(KINDS["grey"]))
        export_project(ledger, tmp_path / "out", images=True)
    assert not (tmp_path / "out" / "splits.json").exists()
    assert len(find_pairs(tmp_path / "out")) == 1


def test_the_newest_mask_takes_the_name_of_its_case(tmp_path):
    image, out = KINDS["grey"], tmp_path / "out"
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.add(image, mask_of(image))
        ledger.add(KINDS["colours"], mask_of(KINDS["colours"]))
        export_project(ledger, out)
        ledger.add(image, mask_of(image, 7))
        export_project(ledger, out, replace=True)
    assert names(out / "masks") == ["case-0001.png", "case-0002.png"]
    assert iio.imread(out / "masks" / "case-0001.png").max() == 8
    assert rows_of(out / "cases.csv")[0]["correction"] == "3"


def test_what_is_there_is_replaced_only_when_asked_and_then_in_any_format(ledger, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "case-0005.ome.tif").write_bytes(b"a day's work")
    (masks / "notes.png").write_bytes(b"mine")
    with pytest.raises(ImageError, match=r"'case-0005\.ome\.tif'.*--replace"):
        export_project(ledger, tmp_path)
    assert names(tmp_path) == ["masks"]
    assert (masks / "case-0005.ome.tif").read_bytes() == b"a day's work"
    export_project(ledger, tmp_path, replace=True)
    assert len(names(masks)) == len(KINDS) + 1
    assert (masks / "notes.png").read_bytes() == b"mine"


def test_what_a_format_cannot_hold_is_named_and_the_others_are_written(ledger, tmp_path):
    done = export_project(ledger, tmp_path, key="png")
    assert [one.case for one in done.failed] == [f"case-000{n} (mask)" for n in (5, 6, 7)]
    assert "one plane" in done.failed[0].reason
    assert len(names(tmp_path / "masks")) == len(done.masks) == 5


def test_whole_numbers_that_no_file_holds_are_named(tmp_path):
    huge = MedicalImage(np.full((40, 48), 2**40, np.int64), "YX")
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.add(huge, mask_of(huge))
        done = export_project(ledger, tmp_path / "out", images=True)
    assert len(done.masks) == 1
    assert "whole numbers of 32 bits" in done.failed[0].reason


def test_damaged_pixels_are_named_and_the_others_are_written(filled, tmp_path):
    project = shutil.copytree(filled, tmp_path / "project")
    with Ledger.open(project) as ledger:
        grey, colours = ledger.corrections()[:2]
        (project / "objects" / colours.image_key[:2] / f"{colours.image_key}.tif").unlink()
        mask = project / "objects" / grey.mask_key[:2] / f"{grey.mask_key}.tif"  # which masks of one shape share
        mask.write_bytes(mask.read_bytes()[:-40])
        done = export_project(ledger, tmp_path / "out", images=True)
    reasons = {one.case: one.reason for one in done.failed}
    assert "are damaged" in reasons["case-0001 (mask)"]
    assert "are missing" in reasons["case-0002 (image)"]
    assert list(done.masks) == ["case-0005", "case-0006", "case-0007"]
    assert len(done.images) == len(KINDS) - 1


def test_coco_is_one_file_for_all_cases(ledger, tmp_path):
    export_project(ledger, tmp_path, key="coco", images=True)
    coco = json.loads((tmp_path / "annotations.coco.json").read_text())
    assert [one["id"] for one in coco["images"]] == list(range(1, 18))
    assert {one["file_name"] for one in coco["images"]} == set(names(tmp_path / "images"))
    assert len({one["id"] for one in coco["annotations"]}) == len(coco["annotations"]) == 2 * 17
    assert {one["image_id"] for one in coco["annotations"]} == set(range(1, 18))
    assert not (tmp_path / "masks").exists()


def test_measurements_are_one_table_for_all_cases(filled, tmp_path):
    empty = picture(99)
    with Ledger.open(shutil.copytree(filled, tmp_path / "project")) as ledger:
        ledger.add(empty, np.zeros(empty.mask_shape, np.uint8))
        done = export_project(ledger, tmp_path / "all.csv", key="csv", names={2: "spot"})
    by_case = {name: [row for row in rows_of(tmp_path / "all.csv") if row["case"] == name] for name in done.masks}
    assert (by_case["case-0001"][0]["area_pixel2"], by_case["case-0001"][0]["volume_mm3"]) == ("220", "")
    assert by_case["case-0001"][1]["name"] == "spot"
    assert float(by_case["case-0005"][0]["volume_mm3"]) == pytest.approx(3 * 220 * 2.5 * 0.8 * 0.7)
    assert [row["label"] for row in by_case["case-0009"]] == [""]
    assert names(tmp_path) == ["all.csv", "project"]


@pytest.mark.parametrize("key", ["nrrd", "metaimage", "tiff", "ome-zarr"])
def test_other_formats_are_read_back_as_pairs(ledger, tmp_path, key):
    done = export_project(ledger, tmp_path, key=key, images=True)
    assert done.failed == []
    pairs = find_pairs(tmp_path)
    assert len(pairs) == len(KINDS)
    for pair in pairs:
        image = list(KINDS.values())[int(pair.image.name[5:9]) - 1]
        assert np.array_equal(read_pair(pair)[1], mask_of(image)), pair.mask.name


def test_the_mask_of_a_dicom_image_lies_on_it_again(tmp_path):
    source = tmp_path / "ct.dcm"
    dataset = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm"))
    dataset.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]  # so that it is turned round to be shown
    dataset.save_as(source)
    opened = open_image(source)
    assert any(opened.image.geometry.flipped)
    mask = np.zeros(opened.image.mask_shape, np.uint8)
    mask[20:40, 5:30] = 1
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.add(opened.image.loaded(), mask)
        done = export_project(ledger, tmp_path / "out", key="ome-tiff")
    again = mask_on(done.masks["case-0001"], open_image(source))
    assert np.array_equal(again, mask)
    export_mask(tmp_path / "seg.dcm", again, opened.image, source=opened)


def test_ctrl_c_leaves_whole_files_and_the_lists(ledger, tmp_path):
    def press(share):
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_project(ledger, tmp_path, key="tiff", images=True, progress=press)
    written = [*(tmp_path / "masks").iterdir(), *(tmp_path / "images").iterdir()]
    assert len(written) == 8
    for path in written:
        tifffile.imread(path)
    assert {"cases.csv", "groups.csv", "splits.json"} < set(names(tmp_path))


def test_the_names_of_labels_are_those_of_the_active_model(tmp_path):
    card = {"name": "organs", "title": "Organs", "network": "unet", "classes": 3, "labels": {"1": "liver", "2": "cyst"}}
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.add(KINDS["grey"], mask_of(KINDS["grey"]))
        ledger.add_version(b"weights", card, "nuclei", {}, "because", activate=True)
        export_project(ledger, tmp_path / "out", key="coco")
    assert json.loads((tmp_path / "out" / "labels.json").read_text()) == {"1": "liver", "2": "cyst"}
    coco = json.loads((tmp_path / "out" / "annotations.coco.json").read_text())
    assert [one["name"] for one in coco["categories"]] == ["liver", "cyst"]


def test_an_empty_project_and_a_folder_in_the_project_are_refused(ledger, tmp_path):
    with Ledger.open(tmp_path / "empty") as empty, pytest.raises(LedgerError, match="Nothing was accepted"):
        export_project(empty, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(LedgerError, match="in the project itself"):
        export_project(ledger, ledger.folder / "out")
    assert not (ledger.folder / "out").exists()
