"""One undo in the real window: real strokes of the mouse, real keys, wherever the keyboard's focus is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from .prompting_support import Hand

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def drawing(panel: Any, discs: np.ndarray) -> Any:
    """A panel with an image and an empty mask, the brush in hand."""
    viewer = panel.controller.viewer
    viewer.add_image(discs, name="discs")
    layer = viewer.add_labels(np.zeros(discs.shape, np.uint8), name="mask")
    layer.mode, layer.brush_size, layer.selected_label = "paint", 10, 1
    QApplication.setActiveWindow(panel.window())  # which a window manager would do
    QApplication.processEvents()
    return panel


@pytest.fixture
def drag(drawing: Any, until: Any) -> Callable[..., None]:
    """Draws with the left button over the canvas, from one (row, column) of the image to others.

    `held` is called before the button is released.
    """
    hand = Hand(drawing, until)

    def draw(
        start: tuple[float, float], *further: tuple[float, float], held: Callable[[], object] = lambda: None
    ) -> None:
        hand.press(start)
        for position in further:
            QApplication.processEvents()
            hand.move(position)
        QApplication.processEvents()
        held()
        hand.release(further[-1] if further else start)
        QApplication.processEvents()

    return draw


@pytest.fixture
def key(qtbot: Any) -> Callable[..., None]:
    """Presses a key, as the widget that has the focus gets it."""

    def press(widget: Any, letter: Any, modifier: Any) -> None:
        widget.setFocus()
        QApplication.processEvents()
        qtbot.keyClick(widget, letter, modifier)
        QApplication.processEvents()

    return press


def shown(panel: Any) -> np.ndarray:
    """The canvas as the user sees it, without the circle of the brush."""
    panel.state.mask.mode = "pan_zoom"
    picture = np.asarray(panel.controller.viewer.window.screenshot(canvas_only=True, flash=False))
    panel.state.mask.mode = "paint"
    return picture


def test_a_stroke_of_the_mouse_is_one_step_with_its_name(drawing: Any, drag: Any, press: Any) -> None:
    drag((20, 20), (40, 60), (60, 100))

    assert drawing.state.undo == "Brush stroke"
    assert drawing.state.edits == 1
    assert "Take back: Brush stroke (Ctrl+Z)" in drawing.history.undo.toolTip()
    assert drawing.state.mask.data[20, 20] == drawing.state.mask.data[60, 100] == 1

    press(drawing.history.undo)

    assert not drawing.state.mask.data.any()
    assert drawing.state.redo == "Brush stroke"
    assert not drawing.history.undo.isEnabled()


def test_a_stroke_is_on_the_disk_while_the_mouse_button_is_down(drawing: Any, drag: Any, until: Any) -> None:
    drafts = drawing.state.project / "drafts"

    drag((20, 20), (60, 100), held=lambda: until(lambda: list(drafts.glob("*.draft"))))

    assert len(drawing.controller.editing._works[drawing.controller.masks.current()].history.done) == 1
    assert drawing.state.edits == 1


def test_strokes_before_and_after_a_switch_of_layers_are_steps_of_their_own(drawing: Any, drag: Any) -> None:
    """As when a mask arrives, or another layer is picked with a key, while the mouse button is down."""
    layers, mask = drawing.controller.viewer.layers, drawing.state.mask
    other = drawing.controller.viewer.add_labels(np.zeros(mask.data.shape, np.uint8), name="other")
    other.mode = "paint"
    layers.selection.active = mask
    steps = drawing.controller.editing._works[drawing.controller.masks.current()].history.done

    drag((20, 20), (20, 60), held=lambda: setattr(layers.selection, "active", other))
    first = mask.data.copy()
    assert len(steps) == 1
    drag((40, 20), (40, 60))
    np.testing.assert_array_equal(mask.data, first)
    assert other.data[40, 40]
    layers.selection.active = mask
    drag((60, 20), (60, 60))

    assert len(steps) == 2
    mask.undo()
    np.testing.assert_array_equal(mask.data, first)
    mask.undo()
    assert not mask.data.any()


def test_undo_repaints_what_is_on_the_screen(drawing: Any, drag: Any, press: Any) -> None:
    empty = shown(drawing)
    drag((20, 20), (60, 100))
    stroke = shown(drawing)
    drag((60, 20), (20, 100))
    assert (stroke != empty).any()

    press(drawing.history.undo)
    np.testing.assert_array_equal(shown(drawing), stroke)

    press(drawing.history.undo)
    np.testing.assert_array_equal(shown(drawing), empty)

    press(drawing.history.redo)
    np.testing.assert_array_equal(shown(drawing), stroke)


@pytest.mark.parametrize("contour", [0, 1])
def test_a_tool_repaints_what_is_on_the_screen(drawing: Any, contour: int) -> None:
    layer, editing, mask = drawing.state.mask, drawing.controller.editing, drawing.controller.masks.current()
    layer.contour = contour

    editing.change(mask, np.s_[20:60, 30:90], np.full((40, 60), 3), "Tool")

    painted = shown(drawing)
    layer.refresh()
    np.testing.assert_array_equal(painted, shown(drawing))
    assert (painted != shown_without(drawing)).any()


def shown_without(panel: Any) -> np.ndarray:
    panel.state.mask.visible = False
    return shown(panel)


@pytest.mark.parametrize("focus", ["canvas", "layer list", "panel", "window"])
def test_ctrl_z_takes_back_exactly_one_step_wherever_the_focus_is(
    drawing: Any, drag: Any, key: Any, focus: str
) -> None:
    window = drawing.controller.viewer.window
    widget = {
        "canvas": window._qt_viewer.canvas.native,
        "layer list": window._qt_viewer.layers,
        "panel": drawing.sections["Correct"].accept,
        "window": drawing.window(),
    }[focus]
    for row in (20, 40, 60):
        drag((row, 20), (row, 100))
    history = drawing.controller.editing._works[drawing.controller.masks.current()].history

    key(widget, Qt.Key.Key_Z, CTRL)
    assert (len(history.done), len(history.undone)) == (2, 1)
    key(widget, Qt.Key.Key_Z, CTRL)
    assert (len(history.done), len(history.undone)) == (1, 2)
    key(widget, Qt.Key.Key_Z, CTRL | SHIFT)
    assert (len(history.done), len(history.undone)) == (2, 1)
    key(widget, Qt.Key.Key_Y, CTRL)
    assert (len(history.done), len(history.undone)) == (3, 0)


def test_ctrl_z_in_a_text_field_is_the_fields_own(drawing: Any, drag: Any, key: Any, qtbot: Any) -> None:
    drag((20, 20), (60, 100))
    field = drawing.sections["Image"].group
    field.setFocus()
    qtbot.keyClicks(field, "patient 7")

    key(field, Qt.Key.Key_Z, CTRL)

    assert field.text() != "patient 7"
    assert drawing.state.undo == "Brush stroke"


def test_another_labels_layer_keeps_napari_s_own_undo(drawing: Any, drag: Any, key: Any) -> None:
    drag((20, 20), (60, 100))
    other = drawing.controller.viewer.add_labels(np.zeros((50, 50), np.uint8), translate=(500, 500), name="other")
    other.paint((5, 5), 2)

    key(drawing.window(), Qt.Key.Key_Z, CTRL)

    assert not other.data.any()
    assert drawing.state.mask.data.any()


def test_after_the_panel_is_closed_the_layer_is_napari_s_again(drawing: Any, drag: Any) -> None:
    drag((20, 20), (60, 100))
    layer, painted = drawing.state.mask, drawing.state.mask.data.copy()
    drawing.let_go()

    layer.undo()
    np.testing.assert_array_equal(layer.data, painted)
    layer.paint((90, 5), 2)
    layer.undo()
    np.testing.assert_array_equal(layer.data, painted)
