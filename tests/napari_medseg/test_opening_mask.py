"""A mask that was made before, opened on its image: at its place, or not at all and with the reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import zarr
from qtpy.QtWidgets import QFileDialog

from napari_medseg.image_layers import mask_layer_settings, medical_image, without_pixels
from napari_medseg.large.large_masks import LargeMasks
from napari_medseg.masks import Mask
from napari_medseg.models.formats import open_image
from napari_medseg.models.writing import write_mask
from napari_medseg.opening.layers import made_layers
from napari_medseg.opening.mask_file import GONE, NO_IMAGE, MaskFile
from napari_medseg.opening.one_mask import ITSELF

from ..models.formats.dicom_support import AXIAL, numbered, series, turned
from .editing_support import Desk

SHAPE = (4, 9, 7)


class MaskDesk(Desk):
    """A desk at which masks are opened."""

    def __init__(self, project: Path) -> None:
        super().__init__(project, np.zeros((8, 8), np.uint8))
        self.viewer.layers.clear()
        self.large = LargeMasks(self.viewer, self.state, self.masks, self.background)
        self.file = MaskFile(self.viewer, self.state, self.masks, self.large, self.background)

    def show(self, path: Path) -> MaskDesk:
        for layer in made_layers(open_image(path)):
            self.viewer.add_layer(layer)
        return self

    def draw_over(self, pixels: np.ndarray) -> Mask:
        """A mask of the user's own, at the image's place."""
        self.viewer.add_labels(pixels, name="mine", **mask_layer_settings(self.state.image))
        return self.mask

    def open(self, path: Path) -> None:
        self.file.open(path)
        self.until(lambda: not self.state.opening)

    def close(self, *, lose: bool = False) -> None:
        if self._open:
            self.file.close()
            self.large.close()
        super().close(lose=lose)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MaskDesk]:
    made = MaskDesk(tmp_path / "project")
    yield made
    made.close(lose=True)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """An oblique DICOM series, whose slices are shown in another order than they were written."""
    study = {"StudyInstanceUID": "1.2.3", "SeriesNumber": 1, "StudyID": "1", "PatientBirthDate": "", "PatientSex": "O"}
    orientation = turned(AXIAL, (12, 8, 20))
    series(tmp_path / "scan", numbered(*SHAPE), orientation=orientation, spacing=(3, 0.8, 0.6), **study)
    return tmp_path / "scan"


def labels() -> np.ndarray:
    made = np.zeros(SHAPE, np.uint8)
    made[0, 1:3, 2:6], made[2:, 5:, :2] = 1, 2
    return made


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha", ".dcm", ".ome.tif", ".ome.zarr"])
def test_a_mask_that_was_exported_lies_on_its_image_again(
    desk: MaskDesk, scan: Path, tmp_path: Path, ending: str
) -> None:
    opened = open_image(scan)
    write_mask(tmp_path / f"mask{ending}", labels(), opened.image, source=opened)
    image = desk.show(scan).state.image
    desk.open(tmp_path / f"mask{ending}")
    assert desk.state.problem == ""
    np.testing.assert_array_equal(desk.pixels, labels())
    assert (desk.state.image, desk.mask.image, desk.mask.predicted) == (image, image, None)
    np.testing.assert_allclose(desk.mask.layer.data_to_world((1, 2, 3)), image.data_to_world((1, 2, 3)))
    assert f"'mask{ending}' is the mask of 'scan' now" in desk.state.notice


def test_a_mask_that_was_exported_with_another_spacing_fits_when_the_layer_has_that_spacing(
    desk: MaskDesk, scan: Path, tmp_path: Path
) -> None:
    image = desk.show(scan).state.image
    image.scale = np.array(image.scale) * 2
    write_mask(tmp_path / "mask.nii.gz", labels(), without_pixels(image))
    desk.open(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(desk.pixels, labels())


def test_one_of_another_place_is_refused_and_the_mask_in_work_stays(desk: MaskDesk, scan: Path, tmp_path: Path) -> None:
    desk.show(scan)
    drawn = desk.draw_over(labels())
    nibabel.save(nibabel.Nifti1Image(labels().T, np.diag([0.6, 0.8, 3, 1])), tmp_path / "elsewhere.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 5, 5), np.uint8), np.eye(4)), tmp_path / "other size.nii.gz")
    (tmp_path / "text.nii.gz").write_text("no mask")
    for name in ("elsewhere.nii.gz", "other size.nii.gz", "text.nii.gz", "missing.nii.gz"):
        desk.open(tmp_path / name)
        assert name in desk.state.problem
        assert desk.mask is drawn
        assert drawn.layer.visible


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    """An OME-Zarr image."""
    pixels = np.arange(np.prod(SHAPE), dtype=np.uint8).reshape(SHAPE)
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [2, 0.5, 0.5]}]}]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    zarr.open_group(tmp_path / "slices.ome.zarr", mode="w", attributes={"ome": ome}).create_array("0", data=pixels)
    return tmp_path / "slices.ome.zarr"


def test_an_image_with_one_mask_in_its_folder_gives_that_one_and_of_several_one_has_to_be_chosen(
    desk: MaskDesk, slices: Path
) -> None:
    write_mask(slices, labels(), open_image(slices).image)
    desk.show(slices).open(slices)
    np.testing.assert_array_equal(desk.pixels, labels())

    group = zarr.open_group(slices / "labels", mode="r+")
    shutil.copytree(slices / "labels" / "medseg", slices / "labels" / "nuclei")
    group.attrs["ome"] = {"version": "0.5", "labels": ["medseg", "nuclei"]}
    drawn = desk.mask
    for several in (slices, slices / "labels"):
        desk.open(several)
        assert "medseg, nuclei" in desk.state.problem
        assert desk.mask is drawn
    desk.open(slices / "labels" / "nuclei")
    assert desk.state.problem == ""
    assert desk.mask is not drawn
    np.testing.assert_array_equal(desk.pixels, labels())


@pytest.mark.parametrize("format_of_it", ["slices", "scan", "file"])
def test_the_image_itself_is_no_mask(
    desk: MaskDesk, slices: Path, scan: Path, tmp_path: Path, format_of_it: str
) -> None:
    file = tmp_path / "file.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels().T, np.eye(4)), file)
    itself = {"slices": slices, "scan": scan, "file": file}[format_of_it]
    desk.show(itself).open(itself)
    assert desk.state.problem == ITSELF.format(itself.name)
    assert len(desk.viewer.layers) == 1


def test_a_mask_that_was_drawn_before_is_hidden_and_kept(desk: MaskDesk, scan: Path, tmp_path: Path) -> None:
    opened = open_image(scan)
    write_mask(tmp_path / "mask.nii.gz", labels(), opened.image)
    desk.show(scan)
    drawn = desk.draw_over(np.zeros(SHAPE, np.uint8))
    drawn.layer.data_setitem((np.array([1]), np.array([1]), np.array([1])), 5)
    desk.open(tmp_path / "mask.nii.gz")
    assert drawn.layer in desk.viewer.layers
    assert not drawn.layer.visible
    np.testing.assert_array_equal(desk.pixels, labels())


def test_an_image_from_no_file_gets_a_mask_of_its_size(desk: MaskDesk, tmp_path: Path) -> None:
    image = desk.viewer.add_image(np.zeros(SHAPE[1:], np.uint8), name="made")
    desk.state.own_labels = True
    write_mask(tmp_path / "mask.png", labels()[0], medical_image(image))
    desk.open(tmp_path / "mask.png")
    np.testing.assert_array_equal(desk.pixels, labels()[0])
    assert desk.pixels.dtype == np.uint16  # the brush may begin object 256


def test_without_its_image_no_mask_is_shown(desk: MaskDesk, scan: Path, tmp_path: Path) -> None:
    desk.open(tmp_path / "mask.nii.gz")
    assert desk.state.problem == NO_IMAGE
    opened = open_image(scan)
    write_mask(tmp_path / "mask.nii.gz", labels(), opened.image)
    desk.show(scan)
    desk.file.open(tmp_path / "mask.nii.gz")
    desk.viewer.layers.clear()
    desk.until(lambda: not desk.state.opening)
    assert desk.state.problem == GONE
    assert len(desk.viewer.layers) == 0


def test_in_the_panel_a_file_or_a_folder_is_asked_for(
    open_panel: Any, scan: Path, press: Any, until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = open_panel()
    section = panel.sections["Image"]
    assert not section.open_mask.isEnabled()
    opened = open_image(scan)
    write_mask(tmp_path / "mask.nii.gz", labels(), opened.image)
    panel.controller.open_images([scan])
    until(section.open_mask.isEnabled)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "mask.nii.gz"), ""))
    press(section.open_mask)
    until(lambda: panel.state.mask is not None)
    np.testing.assert_array_equal(panel.state.mask.data, labels())

    write_mask(tmp_path / "mask.ome.zarr", labels() * 2, opened.image)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "mask.ome.zarr"))
    press(section.open_mask_folder)
    until(lambda: "'mask.ome.zarr' is the mask" in panel.state.notice)
    np.testing.assert_array_equal(panel.state.mask.data, labels() * 2)
