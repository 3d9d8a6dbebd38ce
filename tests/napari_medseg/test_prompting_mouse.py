"""The mouse while the click tool is up: what a click is, and what moves the view."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt

from napari_medseg.models.engine.client import Engine

from .prompting_support import FIRST, Hand, is_disc, take_up


def test_two_quick_clicks_are_two_prompts_and_do_not_zoom(panel: Any, hand: Hand, press: Any, qtbot: Any) -> None:
    take_up(panel, press, "click")
    zoom = hand.viewer.camera.zoom
    native = hand.viewer.window._qt_viewer.canvas.native
    hand.click_on(FIRST)
    qtbot.mouseDClick(native, Qt.MouseButton.LeftButton, pos=hand.point((26, 32)))

    hand.wait()

    assert panel.state.prompts == 2
    assert hand.viewer.camera.zoom == zoom


@pytest.mark.parametrize("before", [0, 1])
def test_a_click_is_asked_about_while_the_button_is_held_and_written_when_it_is_let_go(
    panel: Any, hand: Hand, press: Any, until: Any, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    take_up(panel, press, "click")
    for at in ((20, 26),)[:before]:
        hand.click(at)
    asked: list[Any] = []
    ask = Engine.prompt

    def noted(*about: Any) -> Any:
        answer = ask(*about)
        asked.append(about[2:])
        return answer

    monkeypatch.setattr(Engine, "prompt", noted)
    hand.press(FIRST)

    until(lambda: asked)

    assert panel.state.prompts == before
    assert (panel.state.mask is None) == (before == 0)
    hand.release(FIRST)
    hand.wait()
    (held_prompts, held_now), (prompts, now) = asked
    assert held_prompts == prompts
    assert held_now.equals(now)
    assert is_disc(panel, 1, FIRST)


def test_a_button_held_on_what_is_no_object_asks_nothing(
    panel: Any, hand: Hand, press: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_up(panel, press, "click")
    monkeypatch.setattr(Engine, "prompt", lambda *about: pytest.fail("it was asked about"))

    hand.click(FIRST, right=True)

    assert "no object" in panel.state.notice
    assert not panel.state.problem


def test_a_pull_with_the_click_tool_moves_the_view_and_prompts_nothing(panel: Any, hand: Hand, press: Any) -> None:
    take_up(panel, press, "click")
    middle = hand.viewer.camera.center

    hand.pull(FIRST, (40, 50), (50, 60))

    assert panel.state.mask is None
    assert hand.viewer.camera.center != middle


@pytest.mark.parametrize("right", [False, True])
def test_a_pull_keeps_what_it_holds_under_the_mouse(panel: Any, hand: Hand, press: Any, right: bool) -> None:
    take_up(panel, press, "click")
    to, zoom = hand.point((40, 50)), hand.viewer.camera.zoom
    hand.press(FIRST, right=right)

    hand.move((40, 50))

    held = hand.point(FIRST)
    assert abs(held.x() - to.x()) <= 1
    assert abs(held.y() - to.y()) <= 1
    assert hand.viewer.camera.zoom == zoom
    hand.release((40, 50), right=right)


def test_a_click_of_a_trembling_hand_moves_nothing_and_needs_no_drawing_to_see_what_it_hit(
    panel: Any, hand: Hand, press: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_up(panel, press, "click")
    looked: list[Any] = []
    monkeypatch.setattr(hand.viewer.window._qt_viewer.canvas._scene_canvas, "visual_at", looked.append)
    middle = hand.viewer.camera.center
    hand.press(FIRST)
    hand.move((FIRST[0] + 0.3, FIRST[1] + 0.2))

    hand.release(FIRST)
    hand.wait()

    assert is_disc(panel, 1, FIRST)
    assert hand.viewer.camera.center == middle
    assert not looked


@pytest.mark.parametrize("meanwhile", [Qt.Key.Key_Escape, Qt.Key.Key_R], ids=["put down", "another tool"])
def test_a_click_that_its_tool_was_put_down_in_means_nothing(
    panel: Any, hand: Hand, press: Any, meanwhile: Qt.Key
) -> None:
    take_up(panel, press, "click")
    hand.press(FIRST)
    hand.type(meanwhile)

    hand.release(FIRST)
    hand.wait()

    assert panel.state.mask is None
    assert panel.state.prompts == 0
