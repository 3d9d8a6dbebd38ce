"""A stroke while it is being drawn: on the disk like everything else, and one step in the end."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medseg.editing import recording
from napari_medseg.editing.identity import identity_of
from napari_medseg.editing.restoring import read_draft

from .editing_support import Desk


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strokes are noted as soon as the window has time."""
    monkeypatch.setattr(recording, "STROKE", 0.0)


def test_a_stroke_is_on_the_disk_before_its_mouse_button_is_released(desk: Desk) -> None:
    layer = desk.mask.layer
    with layer.block_history():
        layer._draw(1, (5, 5), (5, 20))
        desk.until(lambda: desk.drafts)
        np.testing.assert_array_equal(desk.kept().pixels.array(), layer.data)

        layer._draw(1, (5, 20), (30, 40))
        desk.until(lambda: desk.kept().pixels.array()[30, 40])
        np.testing.assert_array_equal(desk.kept().pixels.array(), layer.data)
        layer._draw(1, (30, 40), (5, 5))
    drawn = layer.data.copy()

    kept = desk.kept()
    np.testing.assert_array_equal(kept.pixels.array(), drawn)
    assert len(kept.history.done) == 1
    assert desk.state.edits == 1

    desk.editing.undo()
    assert not layer.data.any()
    assert not desk.state.undo
    desk.editing.redo()
    np.testing.assert_array_equal(layer.data, drawn)


def test_the_stroke_after_a_long_one_is_a_step_of_its_own(desk: Desk, at_once: None) -> None:
    layer = desk.mask.layer
    with layer.block_history():
        layer._draw(1, (5, 5), (5, 20))
        desk.until(lambda: desk.state.undo)  # all of it is noted, and nothing comes after
    with layer.block_history():
        layer._draw(2, (30, 5), (30, 20))

    desk.editing.undo()

    assert set(np.unique(layer.data)) == {0, 1}


def test_what_was_undone_of_a_stroke_that_goes_on_stays_undone(desk: Desk, at_once: None) -> None:
    layer = desk.mask.layer
    with layer.block_history():
        layer._draw(1, (5, 5), (5, 20))
        desk.until(lambda: desk.state.undo)
        layer.undo()
        layer._draw(1, (30, 5), (30, 20))
    assert not layer.data[5].any()

    layer.undo()

    assert not layer.data.any()


def test_an_outline_that_is_given_up_leaves_nothing(desk: Desk, at_once: None) -> None:
    """Napari fills what is encircled with the right button, and takes the outline back on Escape."""
    layer = desk.mask.layer
    outline = layer._overlays["brush_stroke"]
    layer._begin_stroke()
    outline.active = True
    layer._draw(1, (5, 5), (5, 20))
    follows = desk.editing._works[desk.mask].recording
    desk.until(lambda: not follows._noting)

    outline.abort(layer)

    assert not layer.data.any()
    assert not desk.state.undo
    assert not desk.state.edits


def test_a_mask_deleted_in_the_middle_of_its_first_stroke_can_be_had_back(desk: Desk) -> None:
    layer = desk.mask.layer
    with layer.block_history():
        layer._draw(1, (5, 5), (5, 20))
        drawn = layer.data.copy()
        desk.viewer.layers.remove(layer)
        assert desk.state.deleted_mask is layer

    desk.masks.put_back()

    np.testing.assert_array_equal(desk.mask.layer.data, drawn)
    desk.editing.undo()
    assert not layer.data.any()


def test_a_stroke_that_is_being_drawn_when_the_panel_is_closed_is_kept(desk: Desk) -> None:
    layer = desk.mask.layer
    with layer.block_history():
        layer._draw(1, (5, 5), (5, 20))
        desk.close()

    (path,) = desk.drafts
    np.testing.assert_array_equal(read_draft(path, identity_of(desk.image)).pixels.array(), layer.data)


def test_pixels_counted_from_the_end_are_undone_where_they_are(desk: Desk) -> None:
    layer = desk.mask.layer
    layer.data_setitem((np.array([-1, 0]), np.array([-2, 3])), 5)
    assert layer.data[39, 48] == layer.data[0, 3] == 5

    np.testing.assert_array_equal(desk.kept().pixels.array(), layer.data)
    desk.editing.undo()
    assert not layer.data.any()
