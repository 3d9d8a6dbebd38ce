"""The mask for other programs: what is offered, where it goes, and what is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import nibabel
import numpy as np
import pydicom.data
import pytest
from napari.layers import Layer
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_medseg import image_layers
from napari_medseg.exporting import Exporting
from napari_medseg.exporting.exporting import CANCELLED, PATIENT, SOURCE
from napari_medseg.image_layers import mask_layer_settings
from napari_medseg.large.large_masks import LargeMasks
from napari_medseg.models.reading import read_image, read_mask, read_placed_mask
from napari_medseg.reader import read

from .editing_support import Desk
from .large_support import STEP, LargeDesk, write_slide

CT = Path(pydicom.data.get_testdata_file("CT_small.dcm"))


class Exports(Desk):
    """A desk from which masks are exported."""

    def __init__(self, project: Path) -> None:
        super().__init__(project, np.zeros((10, 12), np.uint8))
        self.viewer.layers.clear()
        self.large = LargeMasks(self.viewer, self.state, self.masks, self.background)
        self.exporting = Exporting(self.viewer, self.state, self.masks, self.large, self.background)

    def open(self, path: Path, usual: str) -> Exports:
        """Open an image and draw two objects, one of them with a hole."""
        for data, settings, kind in read(str(path)):
            self.viewer.add_layer(Layer.create(data, settings, kind))
        self.until(lambda: self.state.export == usual)
        image = self.state.image
        mask = np.zeros(image.data.shape[:2] if image.rgb else image.data.shape, np.uint8)
        mask[..., 10:30, 20:50], mask[..., 50:70, 80:100] = 1, 4
        mask[..., 15:20, 30:40] = 0
        self.viewer.add_labels(mask, name="mask", **mask_layer_settings(image))
        self.state.own_labels = True
        return self

    def export(self, key: str, path: Path) -> None:
        self.state.export = key
        self.exporting.start(path)
        self.until(lambda: self.state.exporting is None)

    @property
    def offered(self) -> list[str]:
        return [export.key for export in self.state.exports]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Exports]:
    made = Exports(tmp_path / "project")
    yield made
    made.exporting.close()
    made.large.close()
    made.close(lose=True)


@pytest.fixture
def picture(tmp_path: Path, discs: np.ndarray) -> Path:
    iio.imwrite(tmp_path / "discs.png", discs)
    return tmp_path / "discs.png"


def test_what_fits_a_picture_is_offered_beside_it(desk: Exports, picture: Path) -> None:
    desk.open(picture, "png")
    assert desk.offered == ["png", "tiff", "coco", "geojson", "csv"]
    assert desk.exporting.suggested() == picture.with_name("discs_mask.png")


def test_a_mask_reads_back_as_it_was(desk: Exports, picture: Path, tmp_path: Path) -> None:
    desk.open(picture, "png")
    for key, name in (("png", "out.png"), ("tiff", "out.tif")):
        desk.export(key, tmp_path / name)
        np.testing.assert_array_equal(read_mask(tmp_path / name), desk.pixels)
        assert desk.state.notice == f"The mask was written to {tmp_path / name}."


def test_the_image_itself_is_never_replaced(desk: Exports, picture: Path) -> None:
    before = picture.read_bytes()
    desk.open(picture, "png")
    desk.export("png", picture)
    assert "'discs.png' is the image itself, and stays" in desk.state.problem
    assert "'discs_mask.png' would work" in desk.state.problem
    assert picture.read_bytes() == before


def test_objects_become_outlines_and_a_table(desk: Exports, picture: Path, tmp_path: Path) -> None:
    desk.open(picture, "png")
    for key, name in (("coco", "out.coco.json"), ("geojson", "out.geojson"), ("csv", "out.csv")):
        desk.export(key, tmp_path / name)
    coco = json.loads((tmp_path / "out.coco.json").read_text())
    assert coco["images"][0]["file_name"] == "discs.png"
    assert [one["label"] for one in coco["annotations"]] == [1, 4]
    assert len(json.loads((tmp_path / "out.geojson").read_text())["features"]) == 2
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3
    assert "measurements were written" in desk.state.notice


def test_a_place_where_nothing_can_be_written_is_said(desk: Exports, picture: Path, tmp_path: Path) -> None:
    desk.open(picture, "png")
    (tmp_path / "file").write_bytes(b"")
    desk.export("png", tmp_path / "file" / "out.png")
    assert "could not be written" in desk.state.problem
    assert desk.state.notice == ""


def test_what_is_painted_while_it_is_written_is_not_in_the_file(desk: Exports, picture: Path, tmp_path: Path) -> None:
    before = desk.open(picture, "png").pixels.copy()
    desk.exporting.start(tmp_path / "out.png")
    desk.mask.layer.data[:] = 9
    desk.until(lambda: desk.state.exporting is None)
    np.testing.assert_array_equal(read_mask(tmp_path / "out.png"), before)


@pytest.mark.parametrize(("key", "name"), [("csv", "out.csv"), ("coco", "out.coco.json")])
def test_an_export_that_is_cancelled_leaves_the_older_file(desk: Exports, key: str, name: str, tmp_path: Path) -> None:
    desk.viewer.add_image(np.zeros((200, 256, 256), np.uint8), name="image")
    desk.state.own_labels = True
    desk.viewer.add_labels(np.indices((200, 256, 256), np.uint16).max(axis=0) % 2 * 7, name="mask")
    assert key in desk.offered
    old = tmp_path / name
    old.write_bytes(b"of another day")
    desk.state.export = key
    desk.exporting.start(old)
    desk.exporting.cancel()
    desk.until(lambda: desk.state.exporting is None)
    assert (desk.state.notice, desk.state.problem) == (CANCELLED, "")
    assert (old.read_bytes(), list(tmp_path.glob("out*"))) == (b"of another day", [old])


def test_a_dicom_slice_becomes_a_dicom_seg_or_lies_in_the_patient_as_nifti(desk: Exports, tmp_path: Path) -> None:
    desk.open(CT, "dicom-seg")
    assert desk.offered == ["dicom-seg", "nifti", "nrrd", "metaimage", "ome-tiff", "coco", "geojson", "csv"]
    assert desk.exporting.suggested().name == "mask.dcm"
    place = read_image(CT).geometry.affine
    for key, name in (("dicom-seg", "out.dcm"), ("nifti", "out.nii.gz"), ("nrrd", "out.nrrd"), ("metaimage", "o.mha")):
        desk.export(key, tmp_path / name)
        assert desk.state.notice.startswith(f"The mask was written to {tmp_path / name}."), desk.state.problem
        assert (PATIENT in desk.state.notice) == (key == "dicom-seg")
        again = read_placed_mask(tmp_path / name)
        labels = np.array([0, 1, 4])[again.data] if key == "dicom-seg" else again.data.squeeze()  # segments count 1, 2
        np.testing.assert_array_equal(labels, desk.pixels)
        np.testing.assert_allclose(again.geometry.affine[:, 1:], place[:, 1:], atol=1e-3)
    assert SOURCE not in desk.state.notice
    desk.state.image.scale = np.array(desk.state.image.scale) * 2
    desk.export("dicom-seg", tmp_path / "out.dcm")
    assert desk.state.notice.endswith(SOURCE)
    np.testing.assert_allclose(read_placed_mask(tmp_path / "out.dcm").geometry.affine[:, 1:], place[:, 1:], atol=1e-3)
    desk.export("coco", tmp_path / "out.coco.json")
    assert json.loads((tmp_path / "out.coco.json").read_text())["images"][0]["file_name"] == "image"


def test_a_nifti_in_microns_has_its_mask_in_microns(desk: Exports, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((110, 80, 2), np.int16), np.diag([-0.5, 0.6, 2, 1]))
    image.header.set_xyzt_units("micron")
    image.header["sform_code"] = 4
    nibabel.save(image, tmp_path / "image.nii")
    desk.open(tmp_path / "image.nii", "nifti")
    desk.export("nifti", tmp_path / "mask.nii")
    mask = nibabel.load(tmp_path / "mask.nii")
    np.testing.assert_array_equal(mask.affine, nibabel.load(tmp_path / "image.nii").affine)
    assert (mask.header.get_xyzt_units()[0], int(mask.header["sform_code"])) == ("micron", 4)
    desk.state.image.scale = np.array(desk.state.image.scale) * 2
    desk.export("nifti", tmp_path / "mask.nii")
    assert read_placed_mask(tmp_path / "mask.nii").spacing == pytest.approx((0.004, 0.0012, 0.001))


def test_without_a_mask_there_is_nothing_to_export(desk: Exports) -> None:
    desk.viewer.add_image(np.zeros((40, 40), np.uint8), name="image")
    desk.exporting.start(Path("nowhere.png"))
    assert "no mask to export" in desk.state.problem


def test_a_volume_is_offered_slices_and_no_picture(desk: Exports) -> None:
    desk.viewer.add_image(np.zeros((4, 40, 40), np.uint8), name="image")
    assert "png" not in desk.offered
    assert {"ome-tiff", "nifti", "csv-slices"} <= set(desk.offered)
    desk.viewer.layers.clear()
    assert desk.offered == []


def test_the_mask_of_a_large_image_is_exported_whole_with_the_part_that_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_layers, "LARGE", 2**20)
    desk = LargeDesk(tmp_path / "project", write_slide(tmp_path / "slide.ome.zarr"))
    exporting = Exporting(desk.viewer, desk.state, desk.masks, desk.large, desk.background)
    desk.edit(700, 900)
    layer = desk.state.mask
    layer.mode, layer.brush_size = "paint", 9
    layer.paint((60, 60), 3)
    painted = int(np.count_nonzero(layer.data))

    assert desk.state.exports[0].key == "ome-zarr"
    names = ("mask.ome.zarr", "mask.ome.tif", "mask.geojson", "mask.csv")
    for key, name in zip(("ome-zarr", "ome-tiff", "geojson", "csv"), names, strict=True):
        desk.state.export, desk.state.notice = key, ""
        exporting.start(tmp_path / "out" / name)
        desk.until(lambda: desk.state.notice or desk.state.problem)
        assert "written to" in desk.state.notice, desk.state.problem
    mask = read_placed_mask(tmp_path / "out" / "mask.ome.zarr")
    np.testing.assert_array_equal(mask.data, desk.whole)
    assert (np.count_nonzero(mask.data == 3), mask.spacing, mask.unit) == (painted, STEP, "um")
    np.testing.assert_array_equal(read_mask(tmp_path / "out" / "mask.ome.tif"), desk.whole)
    assert len(json.loads((tmp_path / "out" / "mask.geojson").read_text())["features"]) == 1
    assert (tmp_path / "out" / "mask.csv").read_text("utf-8-sig").startswith("label,area_um2")
    exporting.close()
    desk.close()


def test_in_the_panel_a_file_is_asked_for_and_an_older_one_replaced_only_after_asking(
    open_panel: Any, picture: Path, press: Any, until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = open_panel()
    section, state = panel.sections["Export"], panel.state
    assert not section.export.isEnabled()
    panel.controller.open_images([picture])
    until(lambda: state.export == "png")
    panel.controller.viewer.add_labels(np.ones((96, 128), np.uint8), name="mask")
    section.formats.setCurrentIndex(section.formats.findData("tiff"))
    section.formats.activated.emit(section.formats.currentIndex())
    assert "opens everywhere" in section.about.text()

    asked, answers = [], [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    named = lambda *given, **_: (asked.append(Path(given[2]).name), (str(tmp_path / "out"), ""))[1]  # noqa: E731
    monkeypatch.setattr(QFileDialog, "getSaveFileName", named)
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    old = tmp_path / "out.tif"
    old.write_bytes(b"old")
    press(section.export)
    assert old.read_bytes() == b"old"
    press(section.export)
    until(lambda: state.exporting is None and state.notice)
    assert (read_mask(old) == 1).all()
    assert panel.notice.text() == f"The mask was written to {old}."
    assert asked == ["discs_mask.tif", "discs_mask.tif"]
    assert answers == []
