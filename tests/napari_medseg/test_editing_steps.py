"""What a step is: its name, its prompts, its cost, and what happens at the edges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_medseg.models.errors import ImageError
from napari_medseg.models.prompts import Prompts

from .editing_support import Desk

VOLUME = (300, 512, 512)
masks = npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=4, max_side=7), elements=st.integers(0, 3))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, np.zeros((40, 50), np.uint8))
    yield made
    made.close()


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Desk]:
    """A mask of 157 MB."""
    made = Desk(tmp_path, np.broadcast_to(np.zeros(1, np.uint8), VOLUME))
    made.draw(np.zeros(VOLUME, np.uint16))
    yield made
    made.close(lose=True)


def test_at_least_two_hundred_steps_can_be_undone(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    for number in range(1, 221):
        mask.layer.paint((number % 40, number % 50), number)

    for _ in range(220):
        desk.editing.undo()

    assert not mask.layer.data.any()


def test_a_large_tool_costs_the_steps_before_it_nothing(volume: Desk) -> None:
    """The whole of it is handed over, 314 MB before and after, and two pixels are others."""
    layer = volume.mask.layer
    layer.paint((150, 100, 100), 1)
    after = layer.data.copy()
    after[0, 0, 0] = after[-1, -1, -1] = 3
    volume.editing.change(volume.mask, np.s_[:, :, :], after, "Remove small")
    layer.paint((150, 200, 100), 2)
    volume.settle()

    history = volume.editing._works[volume.mask].history
    assert [one.name for one in history.done] == ["Change", "Remove small", "Change"]
    assert sum(one.difference.nbytes for one in history.done) < 10_000


def test_a_click_and_its_answer_are_taken_back_together(desk: Desk) -> None:
    mask, editing = desk.draw(np.zeros((40, 50), np.uint8)), desk.editing
    told: list[Any] = []
    editing.prompts_changed.connect(lambda mask: told.append(editing.prompts(mask)))
    editing.changed.connect(lambda mask, box: told.append(box))
    click = Prompts().click((20, 20))
    editing.set_prompts(mask, click, "Click", merge=1)
    editing.change(mask, np.s_[10:30, 10:30], np.ones((20, 20), np.uint8), "Click", merge=1)

    editing.undo()

    assert not mask.layer.data.any()
    assert editing.prompts(mask) == Prompts()
    assert (editing.can_undo, editing.can_redo) == ("", "Click")
    box = (slice(10, 30), slice(10, 30))
    assert told == [click, box, Prompts(), box]


def test_intermediate_answers_count_as_one_edit(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    for size in range(1, 11):
        desk.editing.change(mask, np.s_[0:size, 0:size], np.ones((size, size), np.uint8), "Box", merge=7)

    assert desk.state.edits == 1


def test_nothing_changed_is_no_step(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    desk.editing.change(mask, np.s_[0:9, 0:9], np.zeros((9, 9), np.uint8), "Smooth")
    desk.editing.change(mask, np.s_[5:5, 0:9], np.zeros((0, 9), np.uint8), "Smooth")
    desk.editing.set_prompts(mask, Prompts(), "Click")

    assert not desk.state.undo
    assert not mask.unsaved


def test_prompts_alone_do_not_make_an_accepted_mask_unsaved(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    desk.editing.set_prompts(mask, Prompts().click((1, 1)), "Click")

    assert desk.state.undo == "Click"
    assert not mask.unsaved


def test_a_label_that_needs_more_than_eight_bits_widens_the_mask_and_undo_keeps_it_wide(desk: Desk) -> None:
    mask = desk.draw(np.full((40, 50), 7, np.uint8))
    desk.editing.change(mask, np.s_[0:5, 0:5], np.full((5, 5), 256), "Split")
    assert mask.layer.data.dtype == np.uint16
    assert mask.layer.data[0, 0] == 256

    desk.editing.undo()

    assert mask.layer.data.dtype == np.uint16
    assert (mask.layer.data == 7).all()
    assert not desk.state.undo


def test_a_wide_answer_with_small_labels_leaves_the_mask_narrow(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    desk.editing.change(mask, np.s_[0:5, 0:5], np.full((5, 5), 9, np.int64), "Answer")

    assert mask.layer.data.dtype == np.uint8


def test_redo_widens_a_mask_that_was_made_narrow_meanwhile(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    desk.editing.change(mask, np.s_[0:5, 0:5], np.full((5, 5), 256), "Split")
    desk.editing.undo()
    mask.layer.data = mask.layer.data.astype(np.uint8)

    desk.editing.redo()

    assert mask.layer.data[0, 0] == 256


@pytest.mark.parametrize(("first", "second"), [(np.int32, np.uint64), (np.uint64, np.int8)])
def test_labels_of_types_that_have_no_common_one_in_numpy_are_undone(desk: Desk, first: type, second: type) -> None:
    mask = desk.draw(np.full((40, 50), 3, first))
    mask.layer.data = np.full((40, 50), 5, second)
    mask.layer.paint((5, 5), 7)
    np.testing.assert_array_equal(desk.kept().pixels.array(), mask.layer.data)

    desk.editing.undo()
    desk.editing.undo()

    assert (mask.layer.data == 3).all()
    assert mask.layer.data.dtype == np.int64
    kept = desk.kept().pixels.array()
    np.testing.assert_array_equal(kept, mask.layer.data)
    assert kept.dtype == np.int64


def test_a_mask_that_may_not_be_written_into_is_copied_first(desk: Desk) -> None:
    fixed = np.zeros((40, 50), np.uint8)
    fixed.flags.writeable = False
    mask = desk.draw(fixed)

    desk.editing.change(mask, np.s_[0:5, 0:5], np.ones((5, 5), np.uint8), "Tool")

    assert mask.layer.data[0, 0] == 1
    assert not fixed.any()


def test_a_mask_that_was_replaced_by_one_that_may_not_be_written_into_can_be_undone(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    fixed = np.ones((40, 50), np.uint8)
    fixed.flags.writeable = False
    mask.layer.data = fixed

    desk.editing.undo()

    assert not mask.layer.data.any()
    assert fixed.all()


def test_undo_after_napari_replaced_the_data_brings_no_stale_pixel_back(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    mask.layer.brush_size = 1
    mask.layer.paint((5, 5), 1)
    mask.layer.data = np.full((40, 50), 3, np.uint8)

    mask.layer.undo()
    assert mask.layer.data[5, 5] == 1
    assert mask.layer.data.sum() == 1

    mask.layer.undo()
    assert not mask.layer.data.any()


def test_a_mask_of_another_size_forgets_its_steps_and_says_so(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    mask.layer.paint((5, 5), 1)
    mask.layer.data = np.zeros((20, 20), np.uint8)

    assert not desk.state.undo
    assert "another size" in desk.state.notice
    mask.layer.undo()
    assert not mask.layer.data.any()


def test_a_mask_deleted_meanwhile_is_not_changed(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    mask.layer.paint((5, 5), 1)
    desk.viewer.layers.remove(mask.layer)

    with pytest.raises(ImageError, match="deleted"):
        desk.editing.change(mask, np.s_[0:5, 0:5], np.ones((5, 5), np.uint8), "Answer")
    desk.editing.undo()

    assert mask.layer.data[5, 5] == 1
    desk.masks.put_back()
    desk.editing.undo()
    assert not mask.layer.data.any()


def test_a_deleted_layer_that_somebody_puts_back_goes_on_where_it_was(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    mask.layer.paint((5, 5), 1)
    desk.viewer.layers.remove(mask.layer)

    desk.viewer.layers.append(mask.layer)

    assert desk.mask is mask
    assert desk.masks.all() == [mask]
    assert desk.state.deleted_mask is None
    mask.layer.paint((20, 20), 2)
    assert len(desk.kept().history.done) == 2
    desk.editing.undo()
    desk.editing.undo()
    assert not mask.layer.data.any()


def test_pixels_that_do_not_fit_their_region_change_nothing(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))

    with pytest.raises(ImageError, match=r"\(5, 5\).*\(5, 6\)"):
        desk.editing.change(mask, np.s_[0:5, 0:6], np.ones((5, 5), np.uint8), "Answer")

    assert not desk.state.undo


def test_pixels_that_are_no_whole_numbers_change_nothing(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))

    with pytest.raises(ImageError, match="float64 are no labels"):
        desk.editing.change(mask, np.s_[0:5, 0:5], np.ones((5, 5)), "Answer")

    assert not desk.state.undo


def test_each_mask_has_its_own_history(desk: Desk) -> None:
    first = desk.draw(np.zeros((40, 50), np.uint8))
    first.layer.paint((5, 5), 1)
    desk.viewer.add_image(np.ones((40, 50), np.uint8), name="other")
    desk.viewer.add_labels(np.zeros((40, 50), np.uint8))
    assert not desk.state.undo

    desk.viewer.layers.selection.active = first.layer

    assert desk.state.undo
    desk.editing.undo()
    assert not first.layer.data.any()


def test_a_stroke_in_a_large_volume_costs_its_bounding_box(volume: Desk) -> None:
    layer = volume.mask.layer
    layer.mode, layer.brush_size = "paint", 20
    volume.viewer.dims.set_point(0, 150)
    with layer.block_history():
        layer._draw(1, (150, 100, 100), (150, 160, 180))

    (step,) = volume.editing._works[volume.mask].history.done
    assert step.difference.nbytes < 100 * 120 * 6  # the box, as masks and as bits
    kept = volume.kept()
    assert kept.history.done[0].difference.nbytes < 2_000
    assert (kept.pixels.array()[150, 100, 100], int(kept.pixels.array().sum())) == (1, int(layer.data[150].sum()))


def test_a_stroke_in_a_large_volume_adds_little_to_the_draft(volume: Desk) -> None:
    layer = volume.mask.layer
    layer.paint((150, 100, 100), 1)
    volume.settle()
    (path,) = volume.drafts
    before = path.stat().st_size

    layer.paint((150, 200, 100), 1)
    volume.settle()

    assert path.stat().st_size - before < 1_000


def test_a_stroke_right_through_a_volume_does_not_store_the_volume(volume: Desk) -> None:
    layer = volume.mask.layer
    layer.n_edit_dimensions, layer.brush_size = 3, 5
    with layer.block_history():
        for at in range(0, 300, 3):
            layer.paint((at, at, at), 1)

    (step,) = volume.editing._works[volume.mask].history.done
    assert step.difference.nbytes < 300 * 2**20 * 0.1
    step.difference.pack()
    assert step.difference.nbytes < 50_000
    volume.editing.undo()
    assert not layer.data.any()


def test_a_polygon_is_told_of_when_it_is_drawn(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    seen: list[int] = []
    desk.editing.changed.connect(lambda changed, region: seen.append(int((mask.layer.data == 5).sum())))

    mask.layer.paint_polygon([(5, 5), (5, 15), (15, 15), (15, 5)], 5)

    assert seen == [int((mask.layer.data == 5).sum())]
    assert seen[0] > 0


def test_a_pull_that_is_given_up_takes_back_its_own_step_only(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    token = object()
    desk.editing.change(mask, np.s_[0:2, 0:2], np.ones((2, 2), np.uint8), "Box", merge=token)
    mask.layer.paint((20, 20), 3)
    painted = mask.layer.data.copy()

    desk.editing.undo_own(mask, token)
    np.testing.assert_array_equal(mask.layer.data, painted)

    desk.editing.undo()
    desk.editing.undo_own(mask, token)
    assert not mask.layer.data.any()


def test_a_mask_is_widened_before_a_label_that_it_cannot_hold_is_drawn(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    desk.editing.hold(mask, 255)
    assert mask.layer.data.dtype == np.uint8
    desk.editing.hold(mask, 256)
    mask.layer.selected_label = 256
    assert mask.layer.data.dtype == np.uint16


def test_a_mask_of_another_size_has_no_prompts_and_no_prediction_any_more(desk: Desk) -> None:
    mask = desk.draw(np.zeros((40, 50), np.uint8))
    mask.predicted = np.zeros((40, 50), np.uint8)
    desk.editing.set_prompts(mask, Prompts().click((3, 3)), "Click")

    mask.layer.data = np.zeros((20, 50), np.uint8)

    assert not desk.editing.prompts(mask)
    assert mask.predicted is None


def test_what_was_said_of_a_mask_is_said_no_more_when_that_is_undone_or_redone(desk: Desk) -> None:
    desk.draw(np.zeros((40, 50), np.uint8)).layer.paint((5, 5), 1)
    for travel in (desk.editing.undo, desk.editing.redo):
        desk.state.notice = "4 slices drawn; Undo takes all back."

        travel()

        assert desk.state.notice == ""
