"""An object is carried through slices or frames: shown as it comes, stopped in time, never over what somebody drew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_medseg.propagating import BACKWARD, BOTH, FORWARD
from napari_medseg.propagating.propagating import FLAT, NO_IMAGE, NO_MASK

MIDDLE = 6
"""The slice through the middle of the ellipsoid, which reaches from slice 2 to 10."""


def section(panel: Any) -> Any:
    return panel.sections["Propagate"]


def ellipsoid() -> np.ndarray:
    """(12, 64, 64), True in an ellipsoid."""
    z, y, x = np.mgrid[:12, :64, :64]
    return ((z - MIDDLE) / 4.8) ** 2 + ((y - 32) / 17) ** 2 + ((x - 30) / 13) ** 2 < 1


def scan() -> np.ndarray:
    """It, bright in a noisy volume."""
    noise = np.random.default_rng(0).normal(0, 6, (12, 64, 64))
    return (70 + 100 * ellipsoid() + noise).clip(0, 255).astype(np.uint8)


def pixels(panel: Any) -> np.ndarray:
    return np.asarray(panel.state.mask.data)


def slices_with(panel: Any, label: int = 1) -> list[int]:
    return np.flatnonzero((pixels(panel) == label).any(axis=(-2, -1))).tolist()


def shown(panel: Any) -> int:
    return int(panel.controller.viewer.dims.current_step[0])


@pytest.fixture
def drawn(open_panel: Any, until: Any) -> Callable[..., Any]:
    """Opens a panel on the volume, with the object drawn on the slice that is shown."""

    def on_slice(plane: int = MIDDLE, **settings: Any) -> Any:
        panel = open_panel()
        viewer = panel.controller.viewer
        viewer.add_image(scan(), name="scan", **settings)
        mask = np.zeros((12, 64, 64), np.uint8)
        mask[plane] = ellipsoid()[plane]
        viewer.add_labels(mask, name="mask", **settings)
        viewer.dims.set_current_step(0, plane)
        until(lambda: panel.state.engine_ready)
        return panel

    return on_slice


@pytest.fixture
def go(until: Any, press: Any) -> Callable[..., str]:
    """Presses a button and waits for the end; gives what is said then."""

    def and_wait(panel: Any, steps: tuple[int, ...] = FORWARD) -> str:
        press(section(panel).ways[steps])
        until(lambda: not panel.state.propagating)
        assert not panel.state.problem
        return str(panel.notice.text())

    return and_wait


def test_both_ways_to_the_ends_of_the_object_in_one_step(drawn: Any, go: Any) -> None:
    panel = drawn(scale=(3, 1, 1))
    before = pixels(panel).copy()

    said = go(panel, BOTH)

    found, truth = pixels(panel) == 1, ellipsoid()
    assert (found & truth).sum() / (found | truth).sum() > 0.75
    assert {4, 5, 6, 7, 8} <= set(slices_with(panel))
    assert f"{len(slices_with(panel)) - 1} slices drawn; Undo takes all back." in said
    np.testing.assert_array_equal(found[MIDDLE], before[MIDDLE])

    panel.controller.editing.undo()
    np.testing.assert_array_equal(pixels(panel), before)
    panel.controller.editing.redo()
    np.testing.assert_array_equal(pixels(panel) == 1, found)


def test_as_many_slices_as_asked_for_and_the_view_goes_along(drawn: Any, go: Any, qtbot: Any, until: Any) -> None:
    panel = drawn()
    section(panel).most.setValue(2)
    window = panel.window()
    QApplication.setActiveWindow(window)
    qtbot.keyClick(window, Qt.Key.Key_G)
    assert panel.state.propagating.startswith("Slice 7")
    until(lambda: shown(panel) == 7)
    until(lambda: shown(panel) == 8)
    until(lambda: not panel.state.propagating)

    assert slices_with(panel) == [6, 7, 8]
    assert panel.notice.text() == "Went 2 slices far, as asked for. 2 slices drawn; Undo takes all back."
    assert panel.controller.doubts.of(panel.state.image).pixels[7:9].any(axis=(1, 2)).all()


def test_it_stops_where_the_object_looks_otherwise_and_goes_on_from_a_correction(drawn: Any, go: Any) -> None:
    panel = drawn()
    image = panel.state.image
    image.data[9:] = scan()[9:] // 8 + 150  # nothing to be seen there

    said = go(panel)
    stopped = shown(panel)
    assert slices_with(panel) == list(range(MIDDLE, stopped))
    assert 7 < stopped <= 9
    assert said.startswith(f"Stopped at slice {stopped}: ")
    assert "stand out" in said or "looks different" in said

    rows, columns = np.nonzero(ellipsoid()[stopped - 1])
    panel.state.mask.data_setitem((np.full(len(rows), stopped), rows, columns), 1)
    image.data[...] = scan()
    corrected = pixels(panel)[: stopped + 1].copy()
    go(panel)
    np.testing.assert_array_equal(pixels(panel)[: stopped + 1], corrected)


def test_the_fields_show_what_is_asked_for_whoever_asked(open_panel: Any) -> None:
    panel = open_panel()
    panel.state.propagate_most, panel.state.propagate_replace = 4, True

    assert section(panel).most.value() == 4
    assert section(panel).replace.isChecked()
    panel.state.propagate_most = 0
    assert section(panel).most.text() == "to the end"


def test_it_never_runs_over_a_slice_that_has_the_label_unless_asked_to(drawn: Any, go: Any) -> None:
    panel = drawn()
    panel.state.mask.brush_size = 3
    panel.state.mask.paint((8, 32, 30), 1)
    panel.state.mask.paint((8, 5, 5), 1)
    painted = pixels(panel)[8].copy()

    said = go(panel)
    assert said.startswith("Stopped at slice 8, which has this label already. 1 slice drawn")
    assert shown(panel) == 8
    np.testing.assert_array_equal(pixels(panel)[8], painted)

    panel.controller.viewer.dims.set_current_step(0, 7)
    section(panel).replace.setChecked(True)
    section(panel).most.setValue(1)
    go(panel)
    assert pixels(panel)[8].sum() > 3 * painted.sum()
    assert pixels(panel)[8, 5, 5] == 1  # no part of the object that came


def test_other_labels_are_kept_unless_they_may_be_overwritten(drawn: Any, go: Any) -> None:
    panel = drawn()
    panel.state.mask.data[7, :, 30:] = 5
    section(panel).most.setValue(1)
    go(panel)
    assert (pixels(panel)[7, :, 30:] == 5).all()
    assert (pixels(panel)[7] == 1).any()

    panel.controller.editing.undo()
    panel.controller.viewer.dims.set_current_step(0, MIDDLE)
    panel.state.overwrite = True
    go(panel)
    assert (pixels(panel)[7, :, 30:] == 1).any()


def test_it_can_be_cancelled_and_what_is_drawn_stays(drawn: Any, press: Any, until: Any) -> None:
    panel = drawn()
    press(section(panel).ways[FORWARD])
    until(lambda: len(slices_with(panel)) > 1)
    press(section(panel).cancel)

    done = slices_with(panel)
    assert not panel.state.propagating
    assert panel.notice.text().startswith("Propagating was cancelled.")
    press(section(panel).ways[BACKWARD])
    until(lambda: not panel.state.propagating)
    assert [plane for plane in slices_with(panel) if plane >= MIDDLE] == done


def test_whoever_corrects_the_last_slice_meanwhile_stops_it(drawn: Any, press: Any, until: Any) -> None:
    panel = drawn()
    press(section(panel).ways[FORWARD])
    until(lambda: len(slices_with(panel)) > 1)
    panel.controller.editing.undo()
    until(lambda: not panel.state.propagating)

    assert "was changed meanwhile" in panel.notice.text()
    assert slices_with(panel) == [MIDDLE]


def test_layers_that_are_gone_stop_it(drawn: Any, press: Any, until: Any) -> None:
    panel = drawn()
    press(section(panel).ways[FORWARD])
    panel.controller.viewer.layers.remove(panel.state.mask)
    until(lambda: not panel.state.propagating)

    assert "closed meanwhile" in panel.notice.text()


def test_in_a_film_of_volumes_it_goes_the_way_of_the_slider_that_was_moved_last(
    open_panel: Any, go: Any, until: Any
) -> None:
    panel = open_panel()
    viewer = panel.controller.viewer
    viewer.add_image(np.stack([scan()] * 4), name="film")
    mask = np.zeros((4, 12, 64, 64), np.uint8)
    mask[1, MIDDLE] = ellipsoid()[MIDDLE]
    viewer.add_labels(mask, name="mask")
    viewer.dims.set_current_step(1, MIDDLE)
    viewer.dims.set_current_step(0, 3)
    viewer.dims.set_current_step(0, 1)
    until(lambda: panel.state.engine_ready)
    assert section(panel).along.currentText() == "Through time"
    section(panel).most.setValue(1)

    assert "1 frame" in go(panel)
    assert np.argwhere(pixels(panel).any(axis=(2, 3))).tolist() == [[1, MIDDLE], [2, MIDDLE]]

    viewer.dims.set_current_step(0, 1)
    assert section(panel).along.isVisible()
    assert section(panel).along.width() > section(panel).along.fontMetrics().horizontalAdvance("Through the slices")
    section(panel).along.setCurrentIndex(section(panel).along.findData("Z"))
    section(panel).along.activated.emit(section(panel).along.currentIndex())
    assert "1 slice" in go(panel)
    assert np.argwhere(pixels(panel).any(axis=(2, 3))).tolist() == [[1, MIDDLE], [1, MIDDLE + 1], [2, MIDDLE]]


def test_it_says_why_it_cannot(open_panel: Any, drawn: Any) -> None:
    panel = open_panel()
    ways = section(panel).ways
    assert ways[FORWARD].toolTip() == NO_IMAGE
    viewer = panel.controller.viewer
    viewer.add_image(np.zeros((20, 20), np.uint8))
    assert ways[BOTH].toolTip() == FLAT
    assert not ways[BOTH].isEnabled()
    panel.controller.propagating.start(FORWARD)  # the key
    assert panel.notice.text() == FLAT
    viewer.add_image(np.zeros((5, 20, 20), np.uint8))
    assert ways[BACKWARD].toolTip() == NO_MASK
    viewer.add_labels(np.zeros((5, 20, 20), np.uint8))
    viewer.dims.set_current_step(0, 3)
    panel.controller.propagating.start(FORWARD)
    assert panel.notice.text().startswith("Label 1 is not on slice 3")
    viewer.dims.ndisplay = 3
    panel.controller.propagating.start(FORWARD)
    assert "leave the 3D view" in panel.notice.text()
    viewer.dims.ndisplay = 2
    panel.state.image.data = np.zeros((5, 20, 30), np.uint8)
    panel.controller.propagating.start(FORWARD)
    assert "another size than its mask" in panel.notice.text()
