"""The list of prompts in the panel, under the mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_medseg.sections.given import LINES, REMOVE, WHAT

from .prompting_support import FIRST, SECOND, Hand, is_disc, take_up

Press = Callable[[int, int], None]


@pytest.fixture
def press_on(panel: Any, until: Any) -> Press:
    """A click of the mouse on a line, counted from the top, and a column."""

    def press_on(line: int, column: int) -> None:
        given = panel.prompts.given
        item = given.topLevelItem(line)
        given.scrollToItem(item)
        middle = given.header().sectionViewportPosition(column) + given.header().sectionSize(column) // 2
        at = QPoint(middle, given.visualItemRect(item).center().y())
        QTest.mouseClick(given.viewport(), Qt.MouseButton.LeftButton, pos=at)
        until(lambda: panel.controller.prompting.idle)

    return press_on


def lines(panel: Any) -> list[str]:
    given = panel.prompts.given
    return [given.topLevelItem(number).text(WHAT) for number in range(given.topLevelItemCount())]


def test_it_lists_what_was_said_the_newest_first_and_is_gone_without(panel: Any, hand: Hand, press: Any) -> None:
    take_up(panel, press, "click")
    assert panel.prompts.given.isHidden()

    hand.click(FIRST)
    hand.click((40, 60), right=True)

    assert not panel.prompts.given.isHidden()
    assert lines(panel) == ["Click: not the object", "Click"]
    hand.type(Qt.Key.Key_Return)
    assert panel.prompts.given.isHidden()


def test_a_cross_takes_that_prompt_alone_away(panel: Any, hand: Hand, press: Any, press_on: Press) -> None:
    take_up(panel, press, "click")
    hand.click(FIRST)
    once = panel.state.mask.data.copy()
    hand.click((24, 60))
    hand.click((50, 30), right=True)

    press_on(0, REMOVE)
    press_on(0, REMOVE)

    assert lines(panel) == ["Click"]
    np.testing.assert_array_equal(panel.state.mask.data, once)
    panel.controller.editing.undo()
    assert len(lines(panel)) == 2


def test_a_line_shows_the_slice_and_the_place(
    panel: Any, discs: np.ndarray, press: Any, until: Any, press_on: Press
) -> None:
    viewer = panel.controller.viewer
    viewer.add_image(np.stack([discs] * 3), name="slices")
    panel.state.own_labels = True
    take_up(panel, press, "click")
    hand = Hand(panel, until)
    viewer.dims.set_current_step(0, 0)
    hand.click(FIRST)
    viewer.dims.set_current_step(0, 2)
    hand.click(FIRST)
    viewer.camera.center, viewer.camera.zoom = (0, 90, 120), 40  # FIRST is far out of view

    assert lines(panel) == ["Click, slice 2", "Click, slice 0"]
    press_on(1, WHAT)

    assert viewer.dims.current_step[0] == 0
    np.testing.assert_allclose(viewer.camera.center[-2:], FIRST, atol=1)
    assert viewer.camera.zoom == 40
    assert panel.state.prompts == 2


def test_many_prompts_leave_room_for_the_rest_of_the_panel(panel: Any, hand: Hand, press: Any) -> None:
    take_up(panel, press, "click")
    heights = []
    for number in range(LINES + 2):
        hand.click((FIRST[0] - 3 + number, FIRST[1]))
        heights.append(panel.prompts.given.height())

    assert heights[0] < heights[LINES - 1] == heights[-1]
    assert panel.prompts.given.minimumSizeHint().width() < 200


def test_keys_stay_the_tools_after_a_click_on_the_list(panel: Any, hand: Hand, press: Any, press_on: Press) -> None:
    take_up(panel, press, "click")
    hand.click(SECOND)

    press_on(0, WHAT)
    hand.type(Qt.Key.Key_N)
    hand.click(FIRST)

    assert is_disc(panel, 2, FIRST)
