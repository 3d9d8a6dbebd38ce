"""What scripts and other plugins write into the array of a mask, of which napari tells nobody."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medseg.editing import written_into

from .editing_support import Desk


def test_what_was_written_before_a_refresh_is_a_step_and_on_the_disk(desk: Desk) -> None:
    layer = desk.mask.layer
    layer.paint((5, 5), 1)
    before = layer.data.copy()
    layer.data[20:30, :10] = 7
    layer.refresh()
    desk.until(lambda: desk.state.edits == 2)

    np.testing.assert_array_equal(desk.kept().pixels.array(), layer.data)
    desk.editing.undo()
    np.testing.assert_array_equal(layer.data, before)


def test_a_refresh_without_a_change_is_no_step(desk: Desk) -> None:
    layer = desk.mask.layer
    layer.paint((5, 5), 1)
    layer.refresh()
    desk.until(lambda: not desk.editing._written_into._looking)

    desk.editing.undo()

    assert not desk.state.undo
    assert not layer.data.any()


def test_what_was_written_without_a_refresh_is_found_when_the_mask_is_replaced(desk: Desk) -> None:
    layer = desk.mask.layer
    layer.data[20:30, :10] = 7
    new = layer.data.copy()
    new[0, 0] = 3
    layer.data = new
    desk.until(lambda: desk.state.edits == 2)

    np.testing.assert_array_equal(desk.kept().pixels.array(), layer.data)


def test_strokes_drawn_meanwhile_are_not_taken_for_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written_into, "_SOON", 0.0)
    layer, looking = desk.mask.layer, desk.editing._written_into._looking
    layer.data[20:30, :10] = 7
    layer.refresh()
    with layer.block_history():
        layer._draw(1, (5, 5), (5, 9))
        layer.refresh()
    desk.until(lambda: len(desk.editing._works[desk.mask].history.done) == 2)
    desk.until(lambda: not looking)

    np.testing.assert_array_equal(desk.kept().pixels.array(), layer.data)
    desk.editing.undo()
    assert set(np.unique(layer.data)) == {0, 1}
    desk.editing.undo()
    assert not layer.data.any()


def test_a_layer_that_is_let_go_of_has_napari_s_refresh(desk: Desk) -> None:
    layer = desk.mask.layer
    desk.close()

    assert not {"undo", "redo", "refresh"} & set(vars(layer))
