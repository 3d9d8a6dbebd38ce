"""The doubtful places of a mask: found, brought into view one after the other, and ticked off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_medseg.looking import Doubts, Looking
from napari_medseg.looking.looking import ALL_DONE, NO_ANSWER, NO_MASK, NOT_SEARCHED, NOTHING, SEARCHING

from .editing_support import Desk

SPOTS = ((30, 40), (30, 150), (90, 60))
"""Where nobody knows, in `doubted`; the last one is the largest, so the worst."""


def section(panel: Any) -> Any:
    return panel.sections["Look here"]


def pixels(panel: Any) -> np.ndarray:
    return np.asarray(panel.state.mask.data)


@pytest.fixture
def doubted(open_panel: Any, until: Any) -> Callable[..., Any]:
    """Opens a panel on an image with a mask that a network was unsure of in three spots."""

    def with_mask(shape: tuple[int, ...] = (120, 200), planes: tuple[int, ...] = (0, 0, 0), **settings: Any) -> Any:
        panel = open_panel()
        viewer = panel.controller.viewer
        image = viewer.add_image(np.zeros(shape, np.uint8), name="image", **settings)
        mask = np.zeros(shape, np.uint8)
        mask[..., 20:110, 20:180] = 7
        doubt = np.zeros(shape, np.uint8)
        for number, ((row, column), plane) in enumerate(zip(SPOTS, planes, strict=True)):
            here = (plane,) * (len(shape) - 2)
            side = 5 + number
            doubt[(*here, slice(row - side, row + side), slice(column - side, column + side))] = 120
        viewer.add_labels(mask, name="mask", **settings)
        panel.controller.doubts.put(image, doubt, mask.copy())
        until(lambda: panel.state.can_look)
        return panel

    return with_mask


def in_view(panel: Any) -> tuple[float, float]:
    """Row and column of the image in the middle of the canvas."""
    viewer = panel.controller.viewer
    world = (*viewer.dims.point[:-2], *viewer.camera.center[-2:])
    row, column = panel.state.mask.world_to_data(world)[-2:]
    return float(row), float(column)


def looks_at(panel: Any, spot: tuple[int, int]) -> bool:
    return bool(np.allclose(in_view(panel), spot, atol=2))


def test_a_segmentation_tells_where_the_model_is_unsure(panel: Any, press: Any, until: Any) -> None:
    rows, columns = np.mgrid[:160, :200]
    image = np.random.default_rng(0).normal(12, 3, rows.shape)
    for row, column, sharp in ((40, 50, 1.0), (50, 140, 1.0), (115, 60, 1.0), (110, 145, 9.0)):
        image += 120 / (1 + np.exp((np.hypot(rows - row, columns - column) - 14) / sharp))
    assert section(panel).about.text() == "Open an image first."
    panel.controller.viewer.add_image(image.clip(0, 255).astype(np.uint8), name="discs")
    assert section(panel).about.text() == NO_MASK
    assert not section(panel).next.isEnabled()

    press(panel.sections["Segment"].start)
    until(lambda: panel.state.segmenting is None and panel.state.can_look)
    assert "the worst first" in section(panel).about.text()
    press(section(panel).next)

    row, column = in_view(panel)
    assert np.hypot(row - 110, column - 145) < 40
    assert section(panel).about.text().startswith("1 of ")


def test_the_worst_place_comes_first_and_fills_a_third_of_the_view(doubted: Any, press: Any, until: Any) -> None:
    panel = doubted(scale=(0.5, 0.5))
    press(section(panel).next)

    assert looks_at(panel, SPOTS[2])
    assert section(panel).about.text() == "1 of 3, in object 7: the model is unsure inside of it. 1 ticked off."
    viewer = panel.controller.viewer
    height = min(viewer.canvas.size) / (viewer.camera.zoom * 0.5)
    assert 3 <= height / 16 <= 4

    frame = panel.controller.looking.frame
    assert frame.shown
    assert viewer.layers.selection.active is panel.state.mask
    until(lambda: "doubtful place" not in viewer.layers)


def test_keys_go_through_the_places_and_back(doubted: Any, qtbot: Any) -> None:
    panel = doubted()
    window = panel.window()
    QApplication.setActiveWindow(window)
    for spot in (SPOTS[2], SPOTS[1], SPOTS[0]):
        qtbot.keyClick(window, Qt.Key.Key_D)
        assert looks_at(panel, spot)

    qtbot.keyClick(window, Qt.Key.Key_D)
    assert panel.notice.text() == ALL_DONE.format(3)

    qtbot.keyClick(window, Qt.Key.Key_D, Qt.KeyboardModifier.ShiftModifier)
    assert looks_at(panel, SPOTS[1])
    assert section(panel).about.text().startswith("2 of 3")


def test_what_is_corrected_is_ticked_off_until_it_is_undone(doubted: Any, press: Any, until: Any) -> None:
    panel = doubted()
    panel.state.mask.brush_size = 4
    panel.state.mask.paint(SPOTS[2], 0)
    until(lambda: section(panel).about.text() == "3 doubtful places, the worst first. 1 ticked off.")
    press(section(panel).next)
    assert looks_at(panel, SPOTS[1])

    panel.controller.editing.undo()
    until(lambda: not panel.controller.looking._changes)
    assert "1 ticked off" in section(panel).about.text()
    press(section(panel).next)
    press(section(panel).next)
    assert looks_at(panel, SPOTS[2])


def test_what_was_corrected_before_the_places_were_found_is_left_out(doubted: Any, press: Any, until: Any) -> None:
    panel = doubted()
    image, known = panel.state.image, panel.controller.doubts.of(panel.state.image)
    panel.state.mask.paint(SPOTS[2], 0)
    panel.controller.doubts.put(image, known.pixels, known.predicted)

    until(lambda: section(panel).about.text() == "2 doubtful places, the worst first.")


def test_in_a_volume_the_slice_of_the_place_is_shown(doubted: Any, press: Any) -> None:
    panel = doubted((9, 120, 200), (2, 7, 4), scale=(3, 1, 1))
    for spot, plane in ((SPOTS[2], 4), (SPOTS[1], 7), (SPOTS[0], 2)):
        press(section(panel).next)
        assert looks_at(panel, spot)
        assert panel.controller.viewer.dims.current_step[0] == plane


def test_in_the_3d_view_the_place_is_brought_to_the_middle(doubted: Any, press: Any) -> None:
    panel = doubted((9, 120, 200), (2, 7, 4), scale=(3, 1, 1))
    panel.controller.viewer.dims.ndisplay = 3
    press(section(panel).next)

    np.testing.assert_allclose(panel.controller.viewer.camera.center, (12, *SPOTS[2]), atol=2)


def test_an_answer_to_a_prompt_is_doubted_too(doubted: Any, press: Any, until: Any) -> None:
    panel = doubted()
    controller = panel.controller
    region = (slice(60, 90), slice(110, 150))
    controller.editing.change(controller.masks.current(), region, np.full((30, 40), 9), "Click")
    controller.doubts.answered(panel.state.image, region, np.full((30, 40), 130, np.uint8), pixels(panel)[region])

    press(section(panel).next)
    until(lambda: section(panel).about.text().startswith("1 of 4, in object 9"))
    assert looks_at(panel, (75, 130))


def test_a_mask_made_of_prompts_alone_has_doubtful_places_too(open_panel: Any, press: Any, until: Any) -> None:
    panel = open_panel()
    image = panel.controller.viewer.add_image(np.zeros((120, 200), np.uint8), name="image")
    mask = np.zeros((120, 200), np.uint8)
    mask[60:90, 110:150] = 1
    panel.controller.viewer.add_labels(mask, name="mine")
    region = (slice(60, 90), slice(110, 150))
    panel.controller.doubts.answered(image, region, np.full((30, 40), 130, np.uint8), mask[region])
    assert section(panel).about.text() == NOT_SEARCHED

    press(section(panel).next)
    until(lambda: section(panel).about.text().startswith("1 of 1"))
    assert looks_at(panel, (75, 130))


def test_a_place_that_takes_two_lines_moves_nothing_below_it(open_panel: Any, until: Any) -> None:
    about = section(open_panel()).about
    until(about.isVisible)
    of_one_line = about.heightForWidth(400)

    about.setText("3 of 19, in object 7:\nits border is uncertain.")

    assert about.heightForWidth(400) == of_one_line


def test_without_a_models_answer_it_says_why_there_is_nothing(open_panel: Any, until: Any) -> None:
    panel = open_panel()
    image = panel.controller.viewer.add_image(np.zeros((40, 40), np.uint8), name="image")
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 10:30] = 1
    panel.controller.viewer.add_labels(mask, name="mine")
    assert section(panel).about.text() == NO_ANSWER
    assert not section(panel).next.isEnabled()
    panel.controller.looking.next()  # the key
    assert section(panel).about.text() == NO_ANSWER

    panel.controller.doubts.put(image, np.zeros((40, 40), np.uint8), mask)
    until(lambda: section(panel).about.text() == NOTHING)
    assert not section(panel).next.isEnabled()


def test_the_mask_may_be_deleted_or_get_other_pixels_at_any_moment(doubted: Any, press: Any, until: Any) -> None:
    panel = doubted()
    press(section(panel).next)
    panel.state.mask.data = np.zeros((120, 200), np.uint8)
    until(lambda: "3 ticked off" in section(panel).about.text())
    panel.controller.viewer.layers.remove(panel.state.mask)

    assert section(panel).about.text() == NO_MASK
    panel.controller.looking.next()
    panel.controller.viewer.layers.clear()
    assert section(panel).about.text() == "Open an image first."
    until(lambda: not len(panel.controller.viewer.layers))


def test_the_overlay_shows_what_is_told_later(doubted: Any, until: Any) -> None:
    panel = doubted()
    panel.state.show_doubt = True
    layers = panel.controller.viewer.layers
    until(lambda: "image doubt" in layers)
    assert panel.sections["Segment"].doubt.isChecked()
    region = (slice(0, 10), slice(0, 10))
    panel.controller.doubts.answered(panel.state.image, region, np.full((10, 10), 150, np.uint8), pixels(panel)[region])

    assert (layers["image doubt"].data[:10, :10] == 105).all()


def test_the_doubt_about_an_image_that_has_another_size_now_counts_no_more(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "project", np.zeros((20, 20), np.uint8))
    doubts = Doubts(desk.viewer, desk.state, desk.background)
    doubts.put(desk.image, np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8))
    desk.draw(np.zeros((20, 20), np.uint8))
    looking = Looking(desk.viewer, desk.state, desk.masks, desk.editing, doubts, desk.background)
    desk.until(lambda: desk.state.looking == NOTHING)

    desk.image.data = np.zeros((30, 20), np.uint8)
    desk.mask.layer.data = np.zeros((30, 20), np.uint8)
    looking.next()
    desk.pump()

    assert doubts.of(desk.image) is None
    assert desk.state.looking == NO_ANSWER
    doubts.answered(desk.image, (slice(25, 26), slice(0, 1)), np.full((1, 1), 200, np.uint8), np.ones((1, 1)))
    looking.next()
    desk.until(lambda: desk.state.looking not in (SEARCHING, NOT_SEARCHED))
    assert not desk.state.problem
    looking.close()
    desk.close(lose=True)
