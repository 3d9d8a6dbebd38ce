"""Prompts in the window: taken back, and drawn over the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from .prompting_support import FIRST, SECOND, THIRD, Hand, labels, take_up


class TestTakingBack:
    def test_undo_takes_a_click_back_with_its_answer_and_redo_brings_both(
        self, panel: Any, hand: Hand, press: Any
    ) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)
        once = panel.state.mask.data.copy()
        hand.click((24, 36), right=True)
        twice = panel.state.mask.data.copy()

        hand.type(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        np.testing.assert_array_equal(panel.state.mask.data, once)
        assert panel.state.prompts == 1

        panel.controller.editing.redo()
        np.testing.assert_array_equal(panel.state.mask.data, twice)
        assert panel.state.prompts == 2

    def test_a_wrong_click_can_be_taken_back_alone(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)
        once = panel.state.mask.data.copy()
        hand.click((18, 30), right=True)

        hand.type(Qt.Key.Key_Backspace)

        np.testing.assert_array_equal(panel.state.mask.data, once)
        assert panel.state.prompts == 1

    def test_control_click_takes_back_the_prompt_under_it(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)
        hand.click((28, 34))

        hand.click(FIRST, keys=Qt.KeyboardModifier.ControlModifier)

        (left,) = panel.controller.editing.prompts(panel.controller.masks.current())
        assert left.at == pytest.approx((28, 34), abs=0.5)
        assert panel.state.mask.data[28, 34]

    def test_undo_over_the_border_of_objects_puts_the_earlier_one_in_work_again(
        self, panel: Any, hand: Hand, press: Any
    ) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)
        hand.type(Qt.Key.Key_N)
        hand.click(SECOND)

        panel.controller.editing.undo()
        panel.controller.editing.undo()
        assert "Object 1: 1 prompt" in panel.state.object_about
        hand.click(THIRD)

        assert panel.state.mask.data[THIRD] in (0, 1)
        assert labels(panel) == {1}

    def test_taking_back_what_is_not_there_says_so(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "click")

        hand.type(Qt.Key.Key_Backspace)

        assert "no prompt" in panel.state.notice


class TestAfterARestart:
    def test_a_prompt_of_an_earlier_window_can_be_taken_back_at_once(
        self, open_panel: Any, panel: Any, hand: Hand, press: Any, discs: np.ndarray, until: Any
    ) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)
        once = panel.state.mask.data.copy()
        hand.click((18, 30), right=True)
        twice = panel.state.mask.data.copy()
        panel.let_go()

        again = open_panel()
        again.controller.viewer.add_image(discs, name="discs")
        again.state.own_labels = True
        until(lambda: again.state.draft is not None and again.state.engine_ready)
        press(again.kept.go_on)
        until(lambda: again.state.mask is not None)
        np.testing.assert_array_equal(again.state.mask.data, twice)
        assert again.state.prompts == 2
        assert again.state.object_about == "The object that was in work: 2 prompts."
        take_up(again, press, "click")

        Hand(again, until).type(Qt.Key.Key_Backspace)
        np.testing.assert_array_equal(again.state.mask.data, once)
        assert "Object 1: 1 prompt" in again.state.object_about

        Hand(again, until).type(Qt.Key.Key_Backspace)
        assert not again.state.mask.data.any()


class TestDrawing:
    def test_prompts_are_drawn_and_cannot_be_selected(self, panel: Any, hand: Hand, press: Any, until: Any) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)
        layers = {layer.name: layer for layer in hand.viewer.layers}

        np.testing.assert_allclose(layers["prompts"].data, [FIRST], atol=0.5)
        hand.viewer.layers.selection.active = layers["prompts"]

        until(lambda: hand.viewer.layers.selection.active is panel.state.mask)
        assert panel.state.prompt_tool == "click"

    def test_they_go_when_the_object_is_done_and_the_tool_is_down(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "box")
        hand.pull((12, 18), (24, 30), (36, 42))
        assert "prompt lines" in [layer.name for layer in hand.viewer.layers]

        hand.type(Qt.Key.Key_Return)
        hand.type(Qt.Key.Key_Escape)

        assert [layer.name for layer in hand.viewer.layers] == ["discs", "discs mask"]

    def test_they_lie_over_an_image_with_spacing(self, panel: Any, discs: np.ndarray, press: Any, until: Any) -> None:
        panel.controller.viewer.add_image(discs, name="scaled", scale=(0.2, 0.4), translate=(3, -5))
        panel.controller.viewer.reset_view()
        hand = Hand(panel, until)
        take_up(panel, press, "click")

        hand.click(FIRST)

        points = hand.viewer.layers["prompts"]
        np.testing.assert_allclose(points.data_to_world(points.data[0]), (3 + 24 * 0.2, -5 + 30 * 0.4), atol=0.2)
        assert panel.state.mask.data[FIRST]

    def test_nothing_is_drawn_on_a_slice_without_prompts(
        self, panel: Any, hand: Hand, discs: np.ndarray, press: Any
    ) -> None:
        hand.viewer.add_image(np.stack([discs, discs]), name="stack")
        hand.viewer.dims.set_current_step(0, 0)
        take_up(panel, press, "click")
        hand.click(FIRST)
        prompts = hand.viewer.layers["prompts"]

        for plane, drawn in ((1, False), (0, True)):
            hand.viewer.dims.set_current_step(0, plane)
            prompts.visible = True
            shown = hand.viewer.screenshot(flash=False)
            prompts.visible = False
            assert (shown != hand.viewer.screenshot(flash=False)).any() == drawn
