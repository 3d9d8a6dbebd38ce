"""Mask tools on volumes, films and images with a spacing: on the real layers, mostly without a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from .tools_support import ToolDesk

SPACING = {"scale": (3.0, 1.0, 0.5), "units": ("mm", "mm", "mm")}


@pytest.fixture
def draw(tmp_path: Path) -> Iterator[Callable[..., ToolDesk]]:
    """An image with a mask; settings are those of both layers."""
    desks: list[ToolDesk] = []

    def with_mask(mask: np.ndarray, **settings: Any) -> ToolDesk:
        desks.append(ToolDesk(tmp_path / "project", mask, **settings))
        return desks[-1]

    yield with_mask
    for desk in desks:
        desk.close()


@pytest.fixture
def panel_on(open_panel: Any) -> Callable[..., Any]:
    """Opens a panel on an image with a mask; settings are those of both layers."""

    def with_mask(mask: np.ndarray, **settings: Any) -> Any:
        panel = open_panel()
        panel.controller.viewer.add_image(np.zeros(mask.shape, np.uint8), name="image", **settings)
        panel.controller.viewer.add_labels(mask.copy(), name="mask", **settings)
        QApplication.setActiveWindow(panel.window())
        QApplication.processEvents()
        return panel

    return with_mask


def block() -> np.ndarray:
    """A box of label 1 with a tunnel along Z."""
    mask = np.zeros((9, 40, 40), np.uint8)
    mask[2:7, 10:30, 10:30] = 1
    mask[2:7, 20, 20] = 0
    return mask


def test_tools_work_on_the_volume_on_the_shown_slice_or_on_every_slice(draw: Any) -> None:
    desk = draw(block())
    desk.viewer.dims.set_current_step(0, 4)

    assert desk.run("fill_holes") == "No holes in label 1."  # a tunnel is open at both ends
    for extent, filled in (("slice", [4]), ("each", [2, 3, 5, 6])):
        desk.tools.extent = extent
        before = desk.pixels.copy()
        desk.run("fill_holes")
        np.testing.assert_array_equal(np.flatnonzero((desk.pixels != before).any(axis=(1, 2))), filled)


def test_slices_are_those_across_the_shown_axes(draw: Any) -> None:
    desk = draw(block())
    desk.viewer.dims.order = (1, 0, 2)
    desk.viewer.dims.set_current_step(1, 15)
    desk.tools.extent = "slice"

    desk.run("shrink", distance=1)

    np.testing.assert_array_equal(np.flatnonzero((desk.pixels != block()).any(axis=(0, 2))), [15])


def test_millimetres_count_along_each_axis(draw: Any) -> None:
    mask = np.zeros((9, 40, 40), np.uint8)
    mask[4, 20, 20] = 1
    desk = draw(mask, **SPACING)

    desk.run("grow", distance=3, unit="mm")

    assert [int(np.ptp(axis)) for axis in np.nonzero(desk.pixels)] == [2, 6, 12]


def test_without_a_spacing_millimetres_are_refused_in_words(draw: Any) -> None:
    desk = draw(block())

    assert desk.tools.units() == ("px",)
    assert desk.run("grow", distance=3, unit="mm") == (
        "This image has no spacing; give the distance in pixels instead of mm."
    )
    np.testing.assert_array_equal(desk.pixels, block())


def test_the_form_offers_the_units_that_the_image_has(panel_on: Any, press: Any) -> None:
    panel = panel_on(block(), **SPACING)
    section = panel.sections["Mask tools"]

    press(section.buttons["remove_small"])
    assert list(section.form[0][1].choices) == ["px", "mm"]
    section.form[0][1].value = "mm"
    assert panel.controller.tools.values["remove_small"]["unit"] == "mm"

    panel.controller.viewer.add_image(np.zeros((20, 20), np.uint8), name="other")
    panel.controller.viewer.add_labels(np.ones((20, 20), np.uint8), name="its mask")

    assert list(section.form[0][1].choices) == ["px"]
    assert panel.controller.tools.values["remove_small"]["unit"] == "px"
    assert not section.extent.isVisible()


def test_a_slice_is_copied_to_the_next_one_which_is_shown_then(panel_on: Any, until: Any, qtbot: Any) -> None:
    mask = np.zeros((5, 30, 30), np.uint8)
    mask[1, 5:10, 5:10] = 1
    panel = panel_on(mask, **SPACING)
    viewer = panel.controller.viewer
    viewer.dims.set_current_step(0, 1)

    for shown in (2, 3, 4):
        qtbot.keyClick(panel.window(), Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
        until(lambda shown=shown: viewer.dims.current_step[0] == shown)

    np.testing.assert_array_equal(panel.state.mask.data.any(axis=(1, 2)), [False, True, True, True, True])
    qtbot.keyClick(panel.window(), Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    until(lambda: "no slice 5" in panel.state.problem)


def test_slices_between_annotated_ones_are_filled_by_a_button(panel_on: Any, press: Any, until: Any) -> None:
    mask = np.zeros((9, 30, 30), np.uint8)
    mask[1, 5:15, 5:15] = mask[7, 5:15, 5:15] = 1
    panel = panel_on(mask)

    press(panel.sections["Mask tools"].buttons["interpolate"])

    until(lambda: panel.state.notice == "Filled 5 slices of label 1, 500 pixels.")
    assert (panel.state.mask.data[1:8, 5:15, 5:15] == 1).all()


def test_in_a_film_of_volumes_tools_change_the_shown_frame_only(draw: Any) -> None:
    film = np.stack([block(), block(), block()])
    desk = draw(film)
    desk.viewer.dims.set_current_step(0, 1)

    desk.run("grow", distance=1)

    np.testing.assert_array_equal((desk.pixels != film).any(axis=(1, 2, 3)), [False, True, False])


def test_frames_of_a_film_of_planes_are_no_volume_but_can_be_filled_between(draw: Any) -> None:
    film = np.zeros((5, 30, 30), np.uint8)
    film[0, 5:15, 5:15] = film[4, 5:15, 5:15] = 1
    desk = draw(film, axis_labels=("t", "y", "x"))
    desk.viewer.dims.set_current_step(0, 0)

    desk.run("grow", distance=1)
    assert not desk.pixels[1].any()
    desk.editing.undo()
    desk.run("interpolate")

    assert (desk.pixels[:, 5:15, 5:15] == 1).all()


def test_in_a_film_of_planes_tools_speak_of_frames(draw: Any) -> None:
    film = np.zeros((4, 30, 30), np.uint8)
    film[0, 5:15, 5:15] = film[3, 5:15, 5:15] = 1
    desk = draw(film, axis_labels=("t", "y", "x"))
    desk.viewer.dims.set_current_step(0, 3)
    said = [desk.run(name) for name in ("copy_next", "copy_previous", "interpolate", "interpolate")]
    assert said == [
        "There is no frame 4; the mask has frames 0 to 3.",
        "Copied label 1 from frame 3 to 2, 100 pixels.",
        "Filled 1 frame of label 1, 100 pixels.",
        "Label 1 has no gap between frames.",
    ]
    assert desk.editing.can_undo == "Fill between frames"
    desk.viewer.dims.set_current_step(0, 1)
    film[:] = 0
    desk.mask.layer.data = film
    assert desk.run("copy_next") == "Frame 1 has nothing of label 1 to copy."
    assert desk.run("interpolate") == "Label 1 is on no more than one frame; annotate another one."


def test_buttons_name_what_the_image_has_slices_or_frames(panel_on: Any, press: Any) -> None:
    mask = np.ones((3, 20, 20), np.uint8)
    panel = panel_on(mask, axis_labels=("t", "y", "x"))
    section, viewer = panel.sections["Mask tools"], panel.controller.viewer
    propagating = panel.sections["Propagate"]

    def said() -> str:
        tools = [section.buttons[name] for name in ("copy_previous", "copy_next", "interpolate")]
        made = [*tools, *propagating.ways.values(), propagating.cancel, propagating.replace]
        return " ".join([*(one.toolTip() for one in made), section.asks.text(), section.apply.text()])

    press(section.buttons["interpolate"])
    assert "Fill the frames between" in said()
    assert "slice" not in said()
    viewer.add_image(np.zeros(mask.shape, np.uint8), name="volume")
    viewer.add_labels(mask.copy(), name="volume mask")
    assert "Fill the slices between" in said()
    assert "frame" not in said()


@pytest.mark.parametrize(("axes", "extent"), [("tyx", "volume"), ("zyx", "slice")])
def test_a_part_that_is_split_off_gets_a_label_that_no_other_slice_or_frame_has(
    draw: Any, axes: str, extent: str
) -> None:
    mask = np.zeros((3, 30, 40), np.uint8)
    mask[0, 10:20, 5:35] = 1
    mask[2, 10:20, 5:35] = 2
    desk = draw(mask, axis_labels=tuple(axes))
    desk.viewer.dims.set_current_step(0, 0)
    desk.tools.extent = extent

    said = desk.run("split", clicks=((15, 8), (15, 30)))

    assert "are label 3 now" in said
    assert [np.unique(plane).tolist() for plane in desk.pixels] == [[0, 1, 3], [0], [0, 2]]


def test_a_single_plane_has_no_next_slice(draw: Any) -> None:
    assert "single plane" in draw(np.ones((20, 20), np.uint8)).run("copy_next")


def test_the_boxes_of_labels_follow_strokes_undo_and_tools(draw: Any) -> None:
    desk = draw(block())
    desk.run("keep_largest")
    desk.mask.layer.brush_size = 1
    desk.mask.layer.paint((8, 39, 39), 1)

    assert "removed 1 other, 1 pixel" in desk.run("keep_largest")
    desk.editing.undo()
    assert "removed 1 other, 1 pixel" in desk.run("keep_largest")


def test_a_tool_on_a_small_object_writes_its_box_only(draw: Any) -> None:
    mask = np.zeros((60, 256, 256), np.uint8)
    mask[30:33, 100:110, 100:110] = 1
    desk = draw(mask)
    boxes: list[Any] = []
    desk.editing.changed.connect(lambda _mask, box: boxes.append(box))

    desk.run("grow", distance=2)

    assert boxes == [np.s_[28:35, 98:112, 98:112]]


def test_in_the_3d_view_tools_work_and_clicks_are_refused(draw: Any) -> None:
    desk = draw(block())
    desk.viewer.dims.ndisplay = 3

    assert desk.run("grow", distance=1).startswith("Grew")
    desk.tools.use("split")
    desk.tools._clicked((4, 20, 15))
    assert "slice view" in desk.state.problem


def test_sliders_beyond_the_mask_are_explained(draw: Any) -> None:
    desk = draw(block())
    desk.viewer.add_image(np.zeros((30, 40, 40), np.uint8), name="longer")
    desk.viewer.layers.selection.active = desk.viewer.layers["mask"]
    desk.viewer.dims.set_current_step(0, 20)

    assert "beyond the mask" in desk.run("fill_holes")
    np.testing.assert_array_equal(desk.pixels, block())


def test_a_volume_shown_obliquely_is_refused(draw: Any) -> None:
    desk = draw(block())
    desk.image.shear = (0, 0, 0.4)

    assert "obliquely" in desk.run("grow", distance=1)


@pytest.mark.parametrize("settings", [{"affine": np.diag([5.0, 2.0, 2.0, 1.0])}, {"scale": (-5.0, 1.0, 1.0)}])
def test_a_copy_goes_to_its_slice_whatever_makes_slices_lie_apart(draw: Any, settings: dict[str, Any]) -> None:
    mask = np.zeros((4, 20, 20), np.uint8)
    mask[1, 5:10, 5:10] = 1
    desk = draw(mask, **settings)
    desk.viewer.dims.set_point(0, desk.image.data_to_world((1, 0, 0))[0])

    for _ in range(2):
        desk.run("copy_next")

    assert desk.pixels.any(axis=(1, 2)).tolist() == [False, True, True, True]
    assert desk.image.world_to_data(desk.viewer.dims.point)[0] == 3


def test_a_copy_goes_to_its_slice_also_if_that_has_all_already_and_stays_if_there_is_nothing(draw: Any) -> None:
    mask = np.zeros((4, 20, 20), np.uint8)
    mask[:2, 5:10, 5:10] = 1
    desk = draw(mask)
    desk.viewer.dims.set_current_step(0, 0)

    assert "has all" in desk.run("copy_next")
    assert desk.viewer.dims.current_step[0] == 1
    assert "Copied" in desk.run("copy_next")
    assert desk.viewer.dims.current_step[0] == 2
    desk.viewer.dims.set_current_step(0, 3)
    assert "nothing of label 1 to copy" in desk.run("copy_previous")
    assert desk.viewer.dims.current_step[0] == 3
