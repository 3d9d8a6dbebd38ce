"""Files and folders opened in the panel, and a volume that lies somewhere in the patient carried through the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_medseg.image_layers import geometry_of, lies_over
from napari_medseg.trainer.ledger import Ledger

from .prompting_support import SECOND, Hand, iou

SPACING = (2.5, 0.6, 0.5)
"""Of the volume of discs, along Z, Y, X in mm."""


@pytest.fixture
def volume(tmp_path: Path, discs: np.ndarray) -> Path:
    """Three slices of discs, 80 mm above the middle of the scanner."""
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1])
    affine[:3, 3] = 30, -20, 80
    path = tmp_path / "chest scan é.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.stack([discs] * 3).T, affine), path)
    return path


@pytest.fixture
def tilted(tmp_path: Path, discs: np.ndarray) -> Path:
    """The same, turned by 20 degrees against the axes of the patient."""
    turn = np.deg2rad(20)
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])
    rotation = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    affine[:3, :3] = rotation @ affine[:3, :3]
    nibabel.save(nibabel.Nifti1Image(np.stack([discs] * 3).T, affine), tmp_path / "tilted.nii")
    return tmp_path / "tilted.nii"


def opened(panel: Any, until: Any, *paths: Path) -> None:
    panel.controller.open_images(paths)
    until(lambda: not panel.state.opening)


def test_an_image_that_lies_apart_from_the_others_is_brought_into_the_view(
    open_panel: Any, until: Any, tmp_path: Path
) -> None:
    panel = open_panel()
    viewer = panel.controller.viewer
    for name, begin in (("first", 0), ("second", 40_000), ("over it", 40_010)):
        place = {"PositionX": [begin] * 3, "PositionY": [begin] * 3, "PositionZ": [begin, begin + 2, begin + 4]}
        place |= {f"Position{axis}Unit": ["µm"] * 3 for axis in "XYZ"}
        size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2}
        path = tmp_path / f"{name}.ome.tif"
        data = np.full((3, 60, 80), 9, np.uint8)
        tifffile.imwrite(path, data, photometric="minisblack", metadata={"axes": "ZYX", "Plane": place} | size)
        opened(panel, until, path)
        if name != "over it":  # for which the view stays
            middle = (begin + 59 / 4, begin + 79 / 4)
            np.testing.assert_allclose(viewer.camera.center[-2:], middle, atol=1)
            assert begin <= viewer.dims.point[0] <= begin + 4


def test_files_of_all_kinds_are_opened_and_those_that_cannot_be_are_named(
    open_panel: Any, until: Any, volume: Path, tilted: Path, discs: np.ndarray, tmp_path: Path
) -> None:
    iio.imwrite(tmp_path / "picture.png", discs)
    (tmp_path / "letter.nii").write_text("Dear colleague")
    (tmp_path / "empty").mkdir()
    panel, said = open_panel(), []
    state = panel.state
    state.events.opening.connect(said.append)

    opened(panel, until, tmp_path / "letter.nii", volume, tmp_path / "empty", tilted, tmp_path / "picture.png")

    names = [layer.name for layer in panel.controller.viewer.layers]
    assert names == ["chest scan é", "tilted", "picture"]
    assert "letter.nii" in panel.problem.text()
    assert "'empty'" in panel.problem.text()
    assert said[0] == "Opening 'letter.nii' (4 more) ..."

    section = panel.sections["Image"]
    assert not section.notices.isVisible()
    state.image = panel.controller.viewer.layers["tilted"]
    assert section.notices.isVisible()  # and not only for a moment
    assert section.notices.text().startswith("Note: ")
    state.notice = "Something else happened."
    assert section.notices.isVisible()


@pytest.fixture
def two_series(tmp_path: Path, discs: np.ndarray) -> Path:
    """A file with two images, such as a microscope writes for two positions."""
    path = tmp_path / "plate.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(discs, metadata={"axes": "YX"})
        writer.write(discs[:50, :60], metadata={"axes": "YX"})
    return path


def test_of_several_images_in_a_file_the_user_chooses(
    open_panel: Any, until: Any, two_series: Path, press: Any
) -> None:
    panel = open_panel()
    section, layers = panel.sections["Image"], panel.controller.viewer.layers

    opened(panel, until, two_series, two_series)
    dialog = section.dialog
    assert dialog.isVisible()
    titles = [dialog.titles.item(row).text() for row in range(dialog.titles.count())]
    assert len(titles) == 2
    assert "96" in titles[0]
    assert "50" in titles[1]
    assert not layers
    second = dialog.titles.visualItemRect(dialog.titles.item(1)).center()
    for clicked in (QTest.mouseClick, QTest.mouseDClick):
        clicked(dialog.titles.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, second)
    until(lambda: len(layers) == 1)
    assert layers[0].data.shape == (50, 60)

    until(lambda: section.dialog is not None)  # the other file that was asked for
    press(section.dialog.cancel_button)
    until(lambda: panel.state.choosing is None and not panel.state.opening)
    assert len(layers) == 1

    opened(panel, until, two_series)
    section.dialog.titles.selectAll()
    press(section.dialog.open_button)
    until(lambda: len(layers) == 3)


def test_a_corrected_spacing_takes_the_mask_along_and_keeps_the_first_voxel(
    open_panel: Any, until: Any, volume: Path, discs: np.ndarray
) -> None:
    panel = open_panel()
    opened(panel, until, volume)
    image, viewer = panel.state.image, panel.controller.viewer
    panel.controller.masks.propose(image, *[np.zeros((3, *discs.shape), np.uint8)] * 2, "none")
    began = geometry_of(image).stored(image.data.shape).origin

    image.scale = (3.0, 0.6, 0.5)

    assert panel.state.mask.scale.tolist() == [3.0, 0.6, 0.5]
    assert lies_over(panel.state.mask, image)
    assert "2.5 x 0.6 x 0.5 mm" in panel.notice.text()
    assert "3 x 0.6 x 0.5 mm" in panel.state.image_about
    np.testing.assert_allclose(geometry_of(image).stored(image.data.shape).origin, began)
    assert geometry_of(image).spacing == pytest.approx((3.0, 0.6, 0.5))

    image.translate = (0, 0, 0)
    assert lies_over(panel.state.mask, image)
    viewer.layers.remove(image)
    image.scale = (1, 1, 1)  # of no interest any more


def test_a_volume_that_lies_somewhere_goes_through_the_whole_loop(
    open_panel: Any, press: Any, until: Any, volume: Path, discs: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    panel = open_panel()
    until(lambda: panel.state.engine_ready and panel.state.models)
    panel.state.own_labels = True
    opened(panel, until, volume)
    image, viewer, state = panel.state.image, panel.controller.viewer, panel.state
    assert np.abs(image.translate).max() > 20
    qtbot.wait(1)
    hand = Hand(panel, until)

    press(panel.sections["Segment"].start)
    until(lambda: state.segmenting is None and state.mask is not None)
    assert lies_over(state.mask, image)
    assert iou(state.mask.data[1] > 0, discs > 60) > 0.8

    viewer.dims.current_step = (1, 0, 0)
    label = int(state.mask.data[(1, *SECOND)])
    state.mask.data[1][state.mask.data[1] == label] = 0
    press(panel.prompts.tools["click"])
    hand.click(SECOND)
    assert state.mask.data[(1, *SECOND)]
    assert iou(state.mask.data[1] > 0, discs > 60) > 0.7
    press(panel.prompts.tools["click"])

    state.mask.mode, state.mask.selected_label, state.mask.brush_size = "paint", 77, 3
    hand.pull((5, 100), (5, 110))
    assert set(np.unique(np.argwhere(state.mask.data == 77)[:, 0])) == {1}
    assert state.mask.data[1, 5, 105] == 77

    kept = state.mask.data.copy()
    panel.let_go()
    again = open_panel()
    until(lambda: again.state.engine_ready)
    opened(again, until, volume)
    until(lambda: again.state.draft is not None)
    press(again.kept.go_on)
    until(lambda: again.state.mask is not None)
    np.testing.assert_array_equal(again.state.mask.data, kept)
    assert lies_over(again.state.mask, again.state.image)

    press(again.sections["Correct"].accept)
    until(lambda: again.state.accepted)
    with Ledger.open(again.state.project) as ledger:
        (record,) = ledger.corrections()
        kept_place = ledger.load_image(record).geometry
    assert record.spacing == pytest.approx(SPACING)
    np.testing.assert_array_equal(kept_place.affine, geometry_of(again.state.image).affine)
