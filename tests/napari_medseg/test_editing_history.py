"""What a step holds, and how many of them are kept; without a window."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_medseg.editing import change
from napari_medseg.editing.boxes import whole
from napari_medseg.editing.change import Change
from napari_medseg.editing.difference import Difference
from napari_medseg.editing.history import History, Step
from napari_medseg.editing.packing import compared
from napari_medseg.editing.strokes import stroke_changes

VOLUME = (300, 512, 512)
masks = npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=4, max_side=7), elements=st.integers(0, 3))


def step(before: np.ndarray, after: np.ndarray, name: str = "Tool", merge: Any = None) -> Step:
    return Step(name, Difference([Change(whole(before.shape), before, after)]), merge=merge)


@given(masks, st.data())
def test_a_difference_leads_from_one_mask_to_the_other_and_back(before: np.ndarray, data: st.DataObject) -> None:
    after = data.draw(npst.arrays(np.uint16, before.shape, elements=st.integers(0, 400)))
    for difference in (Difference([Change(whole(before.shape), before, after)]), Difference(compared(before, after))):
        for _ in range(2):  # as it comes, and packed
            pixels = before.astype(np.uint16)
            difference.apply(pixels)
            np.testing.assert_array_equal(pixels, after)
            difference.revert(pixels)
            np.testing.assert_array_equal(pixels, before)
            difference.pack()


@given(st.lists(masks.filter(lambda mask: mask.ndim == 2), min_size=2, max_size=5))
def test_differences_that_follow_each_other_are_one(states: list[np.ndarray]) -> None:
    side = min(min(state.shape) for state in states)
    states = [state[:side, :side] for state in states]
    steps = [Difference([Change(whole(a.shape), a, b)]) for a, b in itertools.pairwise(states)]
    one = steps[0]
    for later in steps[1:]:
        one = one.then(later)

    pixels = states[0].copy()
    one.apply(pixels)
    np.testing.assert_array_equal(pixels, states[-1])
    one.revert(pixels)
    np.testing.assert_array_equal(pixels, states[0])


def test_many_steps_that_become_one_are_laid_together_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the answers to one pull do when a draft is read back; each time would cost the largest box of them."""
    rng, pixels = np.random.default_rng(0), np.zeros((600, 600), np.uint8)
    laid: list[int] = []
    first, united = pixels.copy(), change._united
    monkeypatch.setattr(change, "_united", lambda group: laid.append(len(group)) or united(group))
    one = Difference([])
    for label in range(1, 41):
        row, column = rng.integers(0, 500, 2)
        after = pixels.copy()
        after[np.s_[:] if label == 1 else np.s_[row : row + 50, column : column + 50]] = label
        one, pixels = one.then(Difference(compared(pixels, after))), after

    (piece,) = one.pack()

    assert laid == [40]
    assert piece.count == 600 * 600
    reverted = pixels.copy()
    one.revert(reverted)
    np.testing.assert_array_equal(reverted, first)
    one.apply(reverted)
    np.testing.assert_array_equal(reverted, pixels)


def test_steps_beyond_the_limit_are_forgotten_oldest_first() -> None:
    states = [np.full((4, 4), number, np.uint8) for number in range(9)]
    history = History(steps=5)
    for before, after in itertools.pairwise(states):
        history.add(step(before, after))
        history.forget_oldest()

    pixels = states[-1].copy()
    while history.can_undo:
        history.undo(pixels)

    np.testing.assert_array_equal(pixels, states[3])


def test_a_step_beyond_the_limit_can_be_undone_and_pushes_out_the_others() -> None:
    rng = np.random.default_rng(0)
    small, before, after = np.zeros((2, 2), np.uint8), *rng.integers(0, 255, (2, 200, 200), np.uint8)
    history = History(nbytes=10_000)
    history.add(step(small, small + 1))
    history.add(step(before, after, "Large"))
    history.done[-1].difference.pack()

    assert history.forget_oldest() == 1
    assert history.can_undo == "Large"
    history.undo(after)
    np.testing.assert_array_equal(after, before)


def test_steps_are_counted_as_they_are_kept_and_not_as_they_come() -> None:
    """A tool that changes little all over a volume has two copies of it in hand, for a moment."""
    before = np.zeros((200, 200), np.uint8)
    after = before.copy()
    after[::50, ::50] = 1
    history = History(nbytes=10_000)
    for _ in range(5):
        history.add(step(before, after))

    assert history.forget_oldest() == 0
    for done in history.done:
        done.difference.pack()
    assert history.forget_oldest() == 0


def test_steps_that_nobody_compresses_do_not_fill_the_memory() -> None:
    before, after = np.zeros((200, 200), np.uint8), np.ones((200, 200), np.uint8)
    history = History(waiting=200_000)  # two of them
    for _ in range(5):
        history.add(step(before, after))

    assert history.forget_oldest() == 3


def test_steps_with_one_token_are_one_unless_something_came_between() -> None:
    zero, one, two = (np.full((3, 3), number, np.uint8) for number in range(3))
    history = History()
    assert not history.add(step(zero, one, "Click", merge="a"))
    assert history.add(step(one, two, "Answer", merge="a"))
    assert len(history.done) == 1

    assert not history.add(step(two, one, merge="b"))
    assert not history.add(step(one, two, merge="a"))
    history.undo(two.copy())
    history.redo(one.copy())
    assert not history.add(step(two, one, merge="a"))
    assert not history.add(step(two, one))
    assert not history.add(step(two, one))


def test_pixels_scattered_over_a_volume_do_not_store_the_volume() -> None:
    at = (np.array([0, 299, 5]), np.array([0, 511, 9]), np.array([0, 511, 3]))

    changes = stroke_changes([(at, np.zeros(3, np.uint16), 5)], VOLUME)

    assert sum(change.nbytes for change in changes) < 2_000
