"""Prompts where something is in the way: each says what it did, nothing is lost, and the tool stays usable."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from .prompting_support import Hand

FIRST = (24, 30)
SECOND = (60, 90)


@pytest.fixture
def start(panel: Any, until: Any, press: Any) -> Callable[..., Hand]:
    """Opens an image and takes the click tool up."""

    def with_image(image: np.ndarray, **settings: Any) -> Hand:
        panel.controller.viewer.add_image(image, name="image", **settings)
        panel.state.own_labels = True
        press(panel.prompts.tools["click"])
        return Hand(panel, until)

    return with_image


def found(hand: Hand) -> bool:
    """Whether the tool still does what it should."""
    hand.click(FIRST)
    return bool(hand.panel.state.mask.data[..., FIRST[0], FIRST[1]].any())


def test_clicks_that_mean_nothing_say_so_and_change_nothing(start: Any, panel: Any, discs: np.ndarray) -> None:
    hand = start(discs)

    QTest.mouseClick(hand.viewer.window._qt_viewer.canvas.native, Qt.MouseButton.LeftButton, pos=QPoint(3, 3))
    assert "outside the image" in panel.state.notice
    assert panel.state.mask is None

    hand.click(FIRST, right=True)
    assert "no object here" in panel.state.notice

    hand.click((5, 5), keys=Qt.KeyboardModifier.ControlModifier)
    assert "no prompt" in panel.state.notice.lower()
    assert found(hand)


def test_a_click_where_the_image_has_no_value_says_so_and_changes_nothing(
    start: Any, panel: Any, discs: np.ndarray
) -> None:
    image = discs.astype(np.float32)
    image[10:18, 100:110] = np.nan
    hand = start(image)

    hand.click((14, 105))

    assert "no value at this pixel" in panel.state.notice
    assert panel.state.mask is None
    assert found(hand)


def test_contradictory_clicks_leave_the_last_word_and_can_be_undone(start: Any, panel: Any, discs: np.ndarray) -> None:
    hand = start(discs)
    hand.click(FIRST)
    once = panel.state.mask.data.copy()
    hand.click(FIRST, right=True)
    assert not panel.state.mask.data[FIRST]

    panel.controller.editing.undo()

    np.testing.assert_array_equal(panel.state.mask.data, once)


def test_an_image_of_one_colour_is_answered_or_said_to_hold_nothing(start: Any, panel: Any) -> None:
    hand = start(np.full((96, 128), 7, np.uint8))

    hand.click(FIRST)

    assert panel.state.mask.data.any() or "Nothing was found" in panel.state.notice
    assert not panel.state.problem
    hand.type(Qt.Key.Key_Backspace)
    assert not panel.state.mask.data.any()


def test_views_that_are_not_plain_slices_are_refused_with_the_remedy(
    start: Any, panel: Any, discs: np.ndarray, press: Any
) -> None:
    volume = np.stack([discs] * 3)
    hand = start(volume)
    views = (({"ndisplay": 3}, "3D view"), ({"order": (0, 2, 1)}, "transposed"), ({"order": (1, 2, 0)}, "rolled"))
    for change, said in views:
        hand.viewer.dims.update({"ndisplay": 2, "order": (0, 1, 2)} | change)
        QTest.mouseClick(hand.viewer.window._qt_viewer.canvas.native, Qt.MouseButton.LeftButton, pos=QPoint(200, 200))
        assert said in panel.state.notice

    hand.viewer.dims.update({"ndisplay": 2, "order": (0, 1, 2)})
    hand.viewer.reset_view()
    assert found(hand)


@pytest.mark.parametrize("leading", [(3,), (2, 3)])
def test_a_prompt_acts_on_the_shown_slice_of_a_volume_or_a_series(
    start: Any, panel: Any, discs: np.ndarray, leading: tuple[int, ...]
) -> None:
    hand = start(np.broadcast_to(discs, (*leading, *discs.shape)).copy())
    shown = tuple(side - 1 for side in leading)
    hand.viewer.dims.current_step = (*shown, 0, 0)

    hand.click(FIRST)

    mask = panel.state.mask.data
    assert mask[shown][FIRST]
    assert np.count_nonzero(mask) == np.count_nonzero(mask[shown])
    assert panel.controller.editing.prompts(panel.controller.masks.current()).plane == shown

    hand.viewer.dims.current_step = (*(0,) * len(leading), 0, 0)
    hand.click(FIRST)
    assert mask[(0,) * len(leading)][FIRST] == mask[shown][FIRST]  # the same object on another slice


def test_colours_levels_and_channels_are_read_as_they_are(
    start: Any, panel: Any, discs: np.ndarray, tmp_path: Path, until: Any
) -> None:
    import tifffile

    hand = start(np.dstack([discs, discs // 2, discs]), rgb=True)
    assert found(hand)
    hand.viewer.add_image([discs, discs[::2, ::2]], multiscale=True, name="levels")
    assert found(hand)
    tifffile.imwrite(tmp_path / "channels.tif", np.stack([discs, discs // 3]), imagej=True, metadata={"axes": "CYX"})
    panel.controller.open_images([tmp_path / "channels.tif"])
    until(lambda: "2 channels" in panel.state.image_about)
    assert found(hand)
    assert not panel.state.problem


def test_an_answer_for_a_mask_or_an_image_that_is_gone_is_dropped(start: Any, panel: Any, discs: np.ndarray) -> None:
    hand = start(discs)
    hand.click(FIRST)
    hand.click_on(SECOND)
    hand.viewer.layers.remove(panel.state.mask)
    hand.wait()
    assert "dropped" in panel.state.notice

    hand.click_on(SECOND)
    hand.viewer.layers.remove(panel.state.image)
    hand.wait()
    assert panel.state.image is None
    assert not panel.state.prompt_tool

    hand.viewer.add_image(discs, name="again")
    hand.type(Qt.Key.Key_Q)
    assert found(hand)


def test_clicks_while_an_answer_is_under_way_are_all_answered(start: Any, panel: Any, discs: np.ndarray) -> None:
    hand = start(discs)

    for at in (FIRST, (26, 33), (21, 27)):
        hand.click_on(at)
    hand.wait()

    assert panel.state.prompts == 3
    for left in (2, 1):
        panel.controller.editing.undo()
        assert panel.state.prompts == left
        assert panel.state.mask.data[FIRST]


def test_undo_while_an_answer_is_under_way_drops_it(start: Any, panel: Any, discs: np.ndarray) -> None:
    hand = start(discs)
    hand.click(FIRST)
    once = panel.state.mask.data.copy()

    hand.click_on((24, 38), right=True)
    panel.controller.editing.undo()
    hand.wait()

    np.testing.assert_array_equal(panel.state.mask.data, once)
    assert panel.state.prompts == 1


def test_selecting_another_kind_of_layer_or_the_brush_puts_the_tool_down(
    start: Any, panel: Any, discs: np.ndarray
) -> None:
    hand = start(discs)
    hand.click(FIRST)

    panel.state.mask.mode = "paint"
    assert not panel.state.prompt_tool

    hand.type(Qt.Key.Key_Q)
    assert panel.state.mask.mode == "pan_zoom"
    hand.viewer.add_points(np.zeros((1, 2)), name="mine")
    assert not panel.state.prompt_tool
    assert "mine" in panel.state.notice


def test_a_mask_that_does_not_fit_its_image_any_more_is_left_alone_in_words(
    start: Any, panel: Any, discs: np.ndarray
) -> None:
    hand = start(discs)
    hand.click(FIRST)
    once = panel.state.mask.data.copy()
    panel.state.image.data = discs[:80]

    hand.click(SECOND)

    assert "another size than its mask" in panel.state.notice
    np.testing.assert_array_equal(panel.state.mask.data, once)


@pytest.mark.skipif(os.name == "nt", reason="uses signals")
def test_a_predictor_that_dies_costs_a_moment_and_no_prompt(start: Any, panel: Any, discs: np.ndarray) -> None:
    hand = start(discs)
    hand.click(FIRST)
    client = panel.controller.link._engine._client
    predictor = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.aliases["predictor"])
    os.kill(client.run(os.getpid)[predictor], signal.SIGKILL)

    hand.click((24, 38), right=True)

    assert panel.state.prompts == 2
    assert not panel.state.mask.data[24, 38]
    assert not panel.state.problem


@pytest.mark.skipif(os.name == "nt", reason="uses signals")
def test_a_click_whose_answer_takes_long_is_drawn_meanwhile(
    start: Any, panel: Any, discs: np.ndarray, until: Any
) -> None:
    hand = start(discs)
    hand.click(FIRST)
    shown = hand.viewer.layers["prompts"]
    client = panel.controller.link._engine._client
    name = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.aliases["predictor"])
    predictor = client.run(os.getpid)[name]
    os.kill(predictor, signal.SIGSTOP)
    try:
        hand.click_on((24, 38), right=True)
        until(lambda: len(shown.data) == 2)
        assert not panel.controller.prompting.idle
    finally:
        os.kill(predictor, signal.SIGCONT)

    hand.wait()
    assert len(shown.data) == panel.state.prompts == 2


def test_the_panel_can_be_closed_while_a_tool_is_up(start: Any, panel: Any, discs: np.ndarray) -> None:
    hand = start(discs)
    hand.click_on(FIRST)

    panel.let_go()

    assert [layer.name for layer in hand.viewer.layers if layer.name.startswith("prompt")] == []
