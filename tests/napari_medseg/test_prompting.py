"""Prompts in the window: a mouse on the canvas, and what it makes of the mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit

from .prompting_support import FIRST, SECOND, Hand, disc, is_disc, labels, take_up


class TestTools:
    def test_a_click_makes_a_mask_and_the_object_in_it(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "click")

        hand.click(FIRST)

        assert is_disc(panel, 1, FIRST)
        assert panel.state.mask.data.dtype == np.uint16
        assert panel.state.prompts == 1

    def test_a_right_click_takes_away_and_so_does_alt(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "click")
        for how in ({"right": True}, {"keys": Qt.KeyboardModifier.AltModifier}):
            hand.click(FIRST)
            assert panel.state.mask.data[18, 30]

            hand.click((18, 30), **how)

            assert not panel.state.mask.data[18, 30]
            panel.controller.editing.undo()
            panel.controller.editing.undo()

    def test_a_scribble_is_one_step_with_the_answers_on_the_way(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "scribble")

        hand.pull((20, 26), (24, 30), (28, 34))

        assert is_disc(panel, 1, FIRST)
        assert panel.state.undo == "Scribble"
        panel.controller.editing.undo()
        assert labels(panel) == set()
        assert not panel.state.undo

    def test_a_right_scribble_takes_away(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "scribble")
        hand.pull((20, 26), (28, 34))

        hand.pull((16, 26), (16, 30), (16, 34), right=True)

        assert not panel.state.mask.data[16, 30]
        assert panel.state.mask.data[28, 30]

    def test_a_box_gives_the_object_inside(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "box")

        hand.pull((48, 78), (60, 90), (72, 102))

        assert is_disc(panel, 1, SECOND)
        assert panel.state.undo == "Box"

    def test_a_box_that_is_dragged_back_to_nothing_leaves_nothing(
        self, panel: Any, hand: Hand, press: Any, until: Any
    ) -> None:
        take_up(panel, press, "box")
        hand.press((48, 78))
        hand.move((60, 90))
        hand.move((72, 102))
        until(lambda: panel.state.mask is not None and panel.state.mask.data.any())

        hand.move((48, 78))
        hand.release((48, 78))
        hand.wait()

        assert not panel.state.mask.data.any()
        assert "too small" in panel.state.notice

    def test_an_answer_that_comes_late_does_not_write_over_newer_strokes(
        self, panel: Any, hand: Hand, press: Any
    ) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)
        hand.click_on((20, 34))  # asked, and not answered yet
        panel.state.mask.paint((80, 100), 1)
        painted = panel.state.mask.data == 1

        hand.wait()

        assert (panel.state.mask.data == 1)[painted].all()

    def test_a_lasso_gives_the_object_inside(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "lasso")

        hand.pull((49, 82), (48, 98), (60, 103), (72, 98), (72, 82), (60, 77))

        assert is_disc(panel, 1, SECOND)
        assert panel.state.undo == "Lasso"

    def test_while_a_box_is_dragged_answers_are_shown(self, panel: Any, hand: Hand, press: Any, until: Any) -> None:
        take_up(panel, press, "box")
        hand.press((46, 76))
        hand.move((60, 90))
        hand.move((74, 104))

        until(lambda: panel.state.mask is not None and labels(panel))

        assert panel.state.prompts == 0  # the box itself is not given yet
        hand.release((74, 104))
        hand.wait()
        assert panel.state.prompts == 1

    def test_the_space_bar_moves_the_view_until_another_window_takes_the_keyboard(
        self, panel: Any, hand: Hand, press: Any, qtbot: Any
    ) -> None:
        """Nobody hears of the key's release there, and the tool would move the view for ever."""
        take_up(panel, press, "scribble")
        window, other = panel.window(), QLineEdit()
        qtbot.addWidget(other)
        QApplication.setActiveWindow(window)
        QTest.keyPress(window, Qt.Key.Key_Space)
        hand.pull((20, 26), (28, 34))
        assert panel.state.prompts == 0

        other.show()
        QApplication.setActiveWindow(other)
        other.setFocus()
        QTest.keyRelease(other, Qt.Key.Key_Space)
        QApplication.setActiveWindow(window)
        hand.pull((20, 26), (28, 34))

        assert panel.state.prompts == 1

    @pytest.mark.parametrize(("key", "name"), [("Q", "click"), ("W", "scribble"), ("R", "box"), ("T", "lasso")])
    def test_keys_take_tools_up_and_put_them_down(self, panel: Any, hand: Hand, key: str, name: str) -> None:
        hand.type(getattr(Qt.Key, f"Key_{key}"))
        assert panel.state.prompt_tool == name
        assert panel.prompts.tools[name].isChecked()
        assert hand.viewer.cursor.style == "crosshair"

        hand.type(getattr(Qt.Key, f"Key_{key}"))
        assert not panel.state.prompt_tool
        assert hand.viewer.cursor.style == "standard"

    def test_escape_puts_the_tool_down_and_forgets_a_box_that_is_being_dragged(
        self, panel: Any, hand: Hand, press: Any, until: Any
    ) -> None:
        take_up(panel, press, "box")
        hand.press((46, 76))
        hand.move((60, 90))
        hand.move((74, 104))
        until(lambda: panel.state.mask is not None and labels(panel))

        hand.type(Qt.Key.Key_Escape)
        hand.release((74, 104))
        hand.wait()

        assert not panel.state.prompt_tool
        assert labels(panel) == set()

    def test_napari_has_its_mouse_and_its_keys_back_afterwards(self, panel: Any, hand: Hand, press: Any) -> None:
        viewer = hand.viewer
        before = list(viewer.mouse_drag_callbacks), list(viewer.mouse_double_click_callbacks), dict(viewer.keymap)
        take_up(panel, press, "box")
        press(panel.prompts.tools["box"])

        assert before == (viewer.mouse_drag_callbacks, viewer.mouse_double_click_callbacks, dict(viewer.keymap))


class TestObjects:
    def test_next_object_gives_a_new_label_and_the_brush_follows(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)

        hand.type(Qt.Key.Key_N)
        assert panel.state.mask.selected_label == 2
        hand.click(SECOND)

        assert is_disc(panel, 1, FIRST)
        assert is_disc(panel, 2, SECOND)

    def test_an_accepted_object_is_not_changed_by_the_next_click(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)
        accepted = panel.state.mask.data == 1

        hand.type(Qt.Key.Key_Return)
        assert panel.state.prompts == 0
        hand.click(SECOND)

        np.testing.assert_array_equal(panel.state.mask.data == 1, accepted)
        assert labels(panel) == {1, 2}

    def test_boxes_one_after_the_other_are_objects_of_their_own(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "box")

        hand.pull((12, 18), (24, 30), (36, 42))
        hand.pull((48, 78), (60, 90), (72, 102))

        assert is_disc(panel, 1, FIRST)
        assert is_disc(panel, 2, SECOND)

    def test_a_click_on_an_object_picks_it_and_the_next_one_corrects_it(
        self, panel: Any, hand: Hand, press: Any, discs: np.ndarray
    ) -> None:
        drawn = np.zeros(discs.shape, np.uint16)
        drawn[disc(FIRST)], drawn[disc(SECOND)] = 4, 9
        hand.viewer.add_labels(drawn.copy())
        take_up(panel, press, "click")

        hand.click(SECOND)
        np.testing.assert_array_equal(panel.state.mask.data, drawn)
        assert "picked" in panel.state.notice
        hand.click((54, 90), right=True)

        assert panel.state.mask.data[54, 90] == 0
        np.testing.assert_array_equal(panel.state.mask.data == 4, drawn == 4)
        assert labels(panel) == {4, 9}

    def test_other_labels_are_kept_or_overwritten_as_chosen(
        self, panel: Any, hand: Hand, press: Any, discs: np.ndarray
    ) -> None:
        drawn = np.zeros(discs.shape, np.uint16)
        drawn[14:36, 15:30] = 5
        hand.viewer.add_labels(drawn.copy())
        take_up(panel, press, "box")

        hand.pull((12, 18), (24, 30), (36, 42))
        np.testing.assert_array_equal(panel.state.mask.data == 5, drawn == 5)
        panel.controller.editing.undo()
        panel.state.overwrite = True
        hand.pull((12, 18), (24, 30), (36, 42))

        assert panel.state.mask.data[24, 25] == 6
        panel.controller.editing.undo()
        np.testing.assert_array_equal(panel.state.mask.data, drawn)

    def test_objects_of_a_class_share_its_label(self, panel: Any, hand: Hand, press: Any) -> None:
        panel.state.own_labels = False
        panel.controller.prompting.labelling.add("tumour")
        chosen = panel.state.label
        take_up(panel, press, "click")

        hand.click(FIRST)
        hand.type(Qt.Key.Key_Return)
        hand.click(SECOND)

        assert labels(panel) == {chosen}
        assert is_disc(panel, chosen, FIRST, SECOND)
        assert "tumour" in panel.prompts.label.currentText()
        hand.type(Qt.Key.Key_Return)
        hand.click(FIRST)
        assert panel.state.notice.startswith(f"tumour {chosen} is picked")

    def test_another_label_picked_begins_another_object(self, panel: Any, hand: Hand, press: Any) -> None:
        panel.state.own_labels = False
        take_up(panel, press, "click")
        hand.click(FIRST)
        first = panel.state.label
        panel.controller.prompting.labelling.add("tumour")
        hand.wait()

        hand.click(SECOND)

        assert is_disc(panel, first, FIRST)
        assert is_disc(panel, panel.state.label, SECOND)
        assert panel.state.object_about == f"tumour {panel.state.label}: 1 prompt."
        for _ in range(2):
            panel.controller.editing.undo()
        assert panel.state.label == first
        assert f" {first}: 1 prompt." in panel.state.object_about

    def test_a_click_far_from_the_object_adds_a_piece_and_says_what_else_it_may_be(
        self, panel: Any, hand: Hand, press: Any
    ) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)
        before = panel.state.mask.data.copy()

        hand.click(SECOND)

        assert is_disc(panel, 1, FIRST, SECOND)
        np.testing.assert_array_equal(panel.state.mask.data[:40, :60], before[:40, :60])
        assert "Next object (N)" in panel.state.notice

    def test_a_right_line_from_beside_an_object_through_it_takes_away_and_says_if_nothing_is_left(
        self, panel: Any, hand: Hand, press: Any
    ) -> None:
        hand.viewer.add_labels(disc(FIRST).astype(np.uint8) * (np.arange(128) == FIRST[1]))
        take_up(panel, press, "scribble")

        hand.pull((FIRST[0] - 14, FIRST[1]), FIRST, (FIRST[0] + 14, FIRST[1]), right=True)

        assert not panel.state.mask.data.any()
        assert "Nothing is left" in panel.state.notice

    def test_correcting_one_object_of_a_class_leaves_the_others(self, panel: Any, hand: Hand, press: Any) -> None:
        panel.state.own_labels = False
        drawn = (disc(FIRST) | disc(SECOND)).astype(np.uint8)
        hand.viewer.add_labels(drawn.copy())
        take_up(panel, press, "click")

        hand.click((54, 90), right=True)

        assert not panel.state.mask.data[54, 90]
        np.testing.assert_array_equal(panel.state.mask.data[:40, :60], drawn[:40, :60])

    def test_the_brush_in_between_is_kept(self, panel: Any, hand: Hand, press: Any) -> None:
        take_up(panel, press, "click")
        hand.click(FIRST)
        panel.state.mask.brush_size = 3
        panel.state.mask.paint((24, 30), 0)
        panel.state.mask.paint((5, 5), 7)

        hand.click((28, 34))

        assert panel.state.mask.data[5, 5] == 7
