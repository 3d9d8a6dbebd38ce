"""Mask tools in the real panel: buttons, keys and clicks, each one step that can be undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_medseg.tools.brightness import shown_brightness

SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def draw(open_panel: Any) -> Callable[..., Any]:
    """Opens a panel on an image with a mask; settings are those of both layers."""

    def with_mask(mask: np.ndarray, image: np.ndarray | None = None, **settings: Any) -> Any:
        panel = open_panel()
        viewer = panel.controller.viewer
        shown = np.zeros(mask.shape, np.uint8) if image is None else image
        viewer.add_image(shown, name="image", contrast_limits=(0, 255), **settings)
        viewer.add_labels(mask.copy(), name="mask", **settings)
        panel.state.notice = ""
        QApplication.setActiveWindow(panel.window())
        QApplication.processEvents()
        return panel

    return with_mask


@pytest.fixture
def use(press: Any, until: Any) -> Callable[..., str]:
    """Presses a tool's button, and Apply where it asks for something; gives what the panel says then."""

    def and_wait(panel: Any, name: str) -> str:
        section = panel.sections["Mask tools"]
        press(section.buttons[name])
        if section.apply.isVisible() and panel.state.tool_working is None and not panel.state.notice:
            press(section.apply)
        until(lambda: panel.state.tool_working is None)
        return str(panel.state.notice or panel.state.problem)

    return and_wait


def pixels(panel: Any) -> np.ndarray:
    return np.asarray(panel.state.mask.data)


def canvas_of(panel: Any) -> Any:
    return panel.controller.viewer.window._qt_viewer.canvas.native


def on_canvas(panel: Any, row: float, column: float) -> QPoint:
    """Where a pixel of the mask is on the canvas."""
    viewer, layer = panel.controller.viewer, panel.state.mask
    world = np.array((row, column)) * layer.scale[-2:]
    size = np.array((canvas_of(panel).height(), canvas_of(panel).width()))
    at = (world - np.array(viewer.camera.center)[-2:]) * viewer.camera.zoom + size / 2
    return QPoint(round(at[1]), round(at[0]))


def click(panel: Any, row: float, column: float) -> None:
    """A real click on a pixel."""
    QTest.mouseClick(canvas_of(panel), Qt.MouseButton.LeftButton, pos=on_canvas(panel, row, column))
    QApplication.processEvents()


def drag(panel: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A real drag with the left button."""
    canvas = canvas_of(panel)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=on_canvas(panel, *start))
    for share in (0.25, 0.5, 0.75, 1):
        between = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
        QTest.mouseMove(canvas, on_canvas(panel, *between))
        QApplication.processEvents()
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=on_canvas(panel, *end))
    QApplication.processEvents()


def two_discs() -> np.ndarray:
    """Two discs that touch, with label 1, and a small spot."""
    rows, columns = np.mgrid[:80, :100]
    mask = ((rows - 40) ** 2 + (columns - 30) ** 2 < 18**2) | ((rows - 40) ** 2 + (columns - 60) ** 2 < 16**2)
    mask[5:7, 5:7] = True
    return mask.astype(np.uint8)


EXPECTED = {
    "smooth": "Smoothed label 1",
    "fill_holes": "Filled 1 hole, 9 pixels.",
    "remove_small": "Removed 1 small part, 4 pixels.",
    "keep_largest": "Kept the largest part of label 1; removed 1 other, 4 pixels.",
    "grow": "Grew label 1 by",
    "shrink": "Shrank label 1 by",
}


def test_each_button_changes_the_mask_in_one_step_that_can_be_undone(draw: Any, use: Any) -> None:
    mask = two_discs()
    mask[39:42, 29:32] = 0
    panel = draw(mask)

    for name, said in EXPECTED.items():
        assert use(panel, name).startswith(said)
        assert panel.controller.editing.can_undo == panel.sections["Mask tools"].buttons[name].accessibleName()
        assert (pixels(panel) != mask).any()

        panel.controller.editing.undo()

        np.testing.assert_array_equal(pixels(panel), mask)
        assert not panel.controller.editing.can_undo
        panel.state.notice = ""


def test_a_key_uses_its_tool_at_once(draw: Any, until: Any, qtbot: Any) -> None:
    mask = two_discs()
    mask[40, 30] = 0
    panel = draw(mask)

    qtbot.keyClick(panel.window(), Qt.Key.Key_H, SHIFT)

    until(lambda: panel.state.notice == "Filled 1 hole, 1 pixel.")
    assert pixels(panel)[40, 30] == 1


def test_two_clicks_split_an_object_and_two_more_merge_it_again(draw: Any, press: Any, until: Any, qtbot: Any) -> None:
    panel = draw(two_discs())
    buttons = panel.sections["Mask tools"].buttons
    panel.state.mask.mode = "paint"
    press(buttons["split"])
    assert panel.state.tool_asks.startswith("Click on the first part")

    click(panel, 40, 20)
    assert panel.state.tool_asks.startswith("Label 1. Click on its second part")
    click(panel, 40, 66)
    until(lambda: "Split label 1" in panel.state.notice)

    assert (pixels(panel)[40, 20], pixels(panel)[40, 66], pixels(panel)[6, 6]) == (1, 2, 1)
    assert np.count_nonzero(pixels(panel)) == np.count_nonzero(two_discs())

    press(buttons["merge"])
    click(panel, 40, 66)
    click(panel, 40, 20)
    until(lambda: "Merged label 1 into label 2" in panel.state.notice)
    assert set(np.unique(pixels(panel))) == {0, 2}

    qtbot.keyClick(panel.window(), Qt.Key.Key_Escape)

    assert not panel.state.tool_asks
    assert str(panel.state.mask.mode) == "paint"
    panel.controller.editing.undo()
    panel.controller.editing.undo()
    np.testing.assert_array_equal(pixels(panel), two_discs())


def test_clicks_beside_the_object_are_explained_and_the_tool_stays_armed(draw: Any, press: Any, until: Any) -> None:
    panel = draw(two_discs())
    press(panel.sections["Mask tools"].buttons["split"])

    click(panel, 70, 90)
    assert "on the background" in panel.state.problem
    click(panel, -3, 50)
    assert "outside the mask" in panel.state.problem
    drag(panel, (40, 20), (30, 40))  # moves the picture
    assert "first part" in panel.state.tool_asks
    click(panel, 40, 20)
    click(panel, 40, 20)
    until(lambda: "Both clicks are on one pixel" in panel.state.problem)

    np.testing.assert_array_equal(pixels(panel), two_discs())
    assert panel.state.tool_asks


def test_another_tool_or_no_mask_puts_a_click_tool_down(draw: Any, press: Any) -> None:
    panel = draw(two_discs())
    buttons = panel.sections["Mask tools"].buttons
    press(buttons["merge"])
    panel.state.mask.mode = "paint"
    assert not panel.state.tool_asks
    drag(panel, (70, 80), (70, 90))
    assert pixels(panel)[70, 85] == 1
    assert str(panel.state.mask.mode) == "paint"

    press(buttons["merge"])
    panel.controller.prompting.take_up("click")
    assert panel.state.prompt_tool == "click"
    assert not panel.state.tool_asks

    press(buttons["split"])
    assert not panel.state.prompt_tool
    assert panel.state.tool_asks
    panel.controller.viewer.layers.remove(panel.state.mask)
    assert not panel.state.tool_asks
    panel.controller.tools.use("split")
    assert "no mask yet" in panel.state.problem


def test_clicks_are_another_layers_once_that_is_selected(draw: Any, press: Any) -> None:
    panel = draw(two_discs())
    viewer = panel.controller.viewer
    press(panel.sections["Mask tools"].buttons["split"])
    viewer.layers.selection.active = panel.state.image  # to look at it
    assert panel.state.tool_asks

    points = viewer.add_points(ndim=2, name="landmarks")
    points.mode = "add"
    click(panel, 40, 30)

    assert len(points.data) == 1
    assert not panel.state.tool_asks
    assert panel.state.notice == "The tool was put down, since layer 'landmarks' was selected."


def test_a_split_that_needs_label_256_widens_the_mask(draw: Any, press: Any, until: Any) -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[40:].flat[:254] = np.arange(2, 256)
    mask[5:25, 10:70] = 1
    panel = draw(mask)
    press(panel.sections["Mask tools"].buttons["split"])

    click(panel, 15, 15)
    click(panel, 15, 60)

    until(lambda: "are label 256 now" in panel.state.notice)
    assert pixels(panel).dtype == np.uint16
    assert pixels(panel)[15, 60] == 256
    panel.controller.editing.undo()
    np.testing.assert_array_equal(pixels(panel), mask)


def test_the_brush_can_keep_to_pixels_of_some_brightness(draw: Any, press: Any) -> None:
    image = np.zeros((80, 100), np.uint8)
    image[:, 50:] = 200
    panel = draw(np.zeros((80, 100), np.uint8), image)
    buttons = panel.sections["Mask tools"].buttons
    press(buttons["paint_range"])
    assert panel.state.paint_range == (128.0, 255.0)
    layer = panel.state.mask
    layer.mode = "paint"

    drag(panel, (40, 30), (40, 70))

    assert not pixels(panel)[:, :50].any()
    assert pixels(panel)[40, 50:70].all()
    panel.controller.editing.undo()
    assert not pixels(panel).any()

    low, high = panel.sections["Mask tools"].form[0]
    low.value, high.value = 0, 10
    drag(panel, (40, 30), (40, 70))
    assert not pixels(panel)[:, 50:].any()
    assert pixels(panel)[40, 30:50].all()

    press(buttons["paint_range"])
    drag(panel, (20, 30), (20, 70))
    assert pixels(panel)[20, 30:70].all()


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_the_brightness_of_a_colour_image_goes_as_far_as_its_type(dtype: Any, white: float) -> None:
    assert shown_brightness(Image(np.zeros((4, 5, 3), dtype), rgb=True)) == (0, white)


def test_another_image_has_another_brightness(draw: Any, press: Any) -> None:
    panel = draw(two_discs())
    press(panel.sections["Mask tools"].buttons["paint_range"])

    panel.controller.viewer.add_image(np.zeros((80, 100), np.uint8), name="other")

    assert panel.state.paint_range is None


def test_without_a_mask_and_on_the_background_tools_say_what_to_do(open_panel: Any, qtbot: Any) -> None:
    panel = open_panel()
    panel.controller.tools.use("grow")
    assert "There is no mask yet" in panel.state.problem

    panel.controller.viewer.add_image(np.zeros((20, 20), np.uint8), name="image")
    panel.controller.viewer.add_labels(np.ones((20, 20), np.uint8), name="mask")
    panel.state.mask.selected_label = 0
    panel.controller.tools.use("grow")
    assert "Label 0 is the background" in panel.state.problem


def test_a_mask_deleted_while_a_tool_is_at_work_is_no_error(draw: Any, press: Any, until: Any) -> None:
    panel = draw(two_discs())
    layer = panel.state.mask
    press(panel.sections["Mask tools"].buttons["grow"])
    press(panel.sections["Mask tools"].apply)

    panel.controller.viewer.layers.remove(layer)

    until(lambda: panel.state.tool_working is None)
    assert "deleted" in panel.state.problem
    np.testing.assert_array_equal(layer.data, two_discs())


def test_a_tool_at_work_can_be_cancelled(draw: Any, press: Any, until: Any) -> None:
    mask = np.arange(1, 40_001, dtype=np.uint16).reshape(200, 200).repeat(4, 0).repeat(4, 1)
    panel = draw(mask)
    section = panel.sections["Mask tools"]
    section.labels.activated.emit(1)
    press(section.buttons["shrink"])
    press(section.apply)
    until(section.cancel.isVisible)
    press(section.cancel)

    until(lambda: panel.state.tool_working is None)
    assert panel.state.notice == "'Shrink' was cancelled; the mask is as it was."
    np.testing.assert_array_equal(pixels(panel), mask)


def test_replaced_pixels_are_the_ones_that_the_next_tool_works_on(draw: Any, use: Any) -> None:
    panel = draw(two_discs())
    assert use(panel, "keep_largest").startswith("Kept")
    panel.state.mask.data = np.eye(80, 100, dtype=np.uint8)
    panel.state.notice = ""

    assert "no second part" in use(panel, "keep_largest")
    np.testing.assert_array_equal(pixels(panel), np.eye(80, 100))
