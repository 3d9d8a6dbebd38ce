"""Whatever is done in whatever order, undo and redo go through exactly the states that there were.

Beside the real history, which keeps differences, a naive one keeps whole copies; the two must never differ, in the
window or in what the journal has on the disk.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from napari_medseg.models.prompts import Prompts

from .editing_support import Desk

SHAPE = (3, 12, 14)
labels = st.integers(0, 5)
rows, columns, planes = st.integers(0, SHAPE[1] - 1), st.integers(0, SHAPE[2] - 1), st.integers(0, SHAPE[0] - 1)
tokens = st.sampled_from([None, "first click", "second click"])


@st.composite
def boxes(draw: st.DrawFn) -> tuple[slice, ...]:
    spans = [sorted((draw(st.integers(0, side)), draw(st.integers(0, side)))) for side in SHAPE]
    return tuple(slice(*span) for span in spans)


class EverythingCanBeUndone(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.desk = Desk(Path(self.folder.name), np.zeros(SHAPE, np.uint8))
        self.mask = self.desk.draw(np.zeros(SHAPE, np.uint8))
        self.layer, self.editing = self.mask.layer, self.desk.editing
        self.past = [(np.zeros(SHAPE, int), Prompts())]
        self.future: list[tuple[np.ndarray, Prompts]] = []
        self.token: object = None
        self.rng = np.random.default_rng(0)

    def teardown(self) -> None:
        if len(self.past) + len(self.future) > 1:
            self._same_on_the_disk()
        self.desk.close()
        self.folder.cleanup()

    def _done(self, *, token: object = None, always: bool = False) -> None:
        """What there is now becomes a state, if it is another one than the last."""
        now = (np.array(self.layer.data, int), self.editing.prompts(self.mask))
        if not always and np.array_equal(now[0], self.past[-1][0]) and now[1] == self.past[-1][1]:
            return
        if token is not None and token == self.token:
            self.past[-1] = now
        else:
            self.past.append(now)
        self.future.clear()
        self.token = token

    @rule(label=labels, at=st.tuples(planes, rows, columns), to=st.tuples(rows, columns), size=st.integers(1, 6))
    def stroke(self, label: int, at: tuple[int, int, int], to: tuple[int, int], size: int) -> None:
        self.layer.mode, self.layer.brush_size = "paint", size
        with self.layer.block_history():
            self.layer._draw(label, at, (at[0], *to))
        self._done()

    @rule(at=st.tuples(planes, rows, columns), deep=st.booleans())
    def erase(self, at: tuple[int, int, int], deep: bool) -> None:
        self.layer.mode, self.layer.n_edit_dimensions = "erase", 3 if deep else 2
        self.layer.paint(at, 0)
        self.layer.n_edit_dimensions = 2
        self._done()

    @rule(label=labels, at=st.tuples(planes, rows, columns), everywhere=st.booleans())
    def fill(self, label: int, at: tuple[int, int, int], everywhere: bool) -> None:
        self.layer.mode, self.layer.contiguous = "fill", not everywhere
        self.layer.fill(at, label)
        self._done()

    @rule(label=labels, corners=st.lists(st.tuples(rows, columns), min_size=3, max_size=5))
    def polygon(self, label: int, corners: list[tuple[int, int]]) -> None:
        self.layer.paint_polygon([(1, *corner) for corner in corners], label)
        self._done()

    @rule(label=labels, at=st.lists(st.tuples(planes, rows, columns), min_size=1, max_size=6))
    def single_pixels(self, label: int, at: list[tuple[int, int, int]]) -> None:
        self.layer.data_setitem(tuple(np.array(axis) for axis in zip(*at, strict=True)), label)
        self._done()

    @rule(region=boxes(), highest=st.sampled_from([1, 5, 300]), prompted=st.booleans(), token=tokens)
    def tool(self, region: tuple[slice, ...], highest: int, prompted: bool, token: object) -> None:
        shape = tuple(axis.stop - axis.start for axis in region)
        prompts = self.editing.prompts(self.mask).click((len(self.past), 0)) if prompted else None
        after = self.rng.integers(0, highest + 1, shape)
        self.editing.change(self.mask, region, after, "Tool", prompts=prompts, merge=token)
        self._done(token=token)

    @rule(token=tokens, number=st.integers(0, 3))
    def prompts(self, token: object, number: int) -> None:
        prompts = self.editing.prompts(self.mask)
        prompts = prompts.without(number) if number < len(prompts) else prompts.scribble([(1, 2), (3, number)])
        self.editing.set_prompts(self.mask, prompts, "Scribble", merge=token)
        self._done(token=token)

    @rule(label=labels)
    def pick_a_label(self, label: int) -> None:
        self.layer.selected_label = label

    @rule(label=st.integers(1, 5), wide=st.booleans())
    def replaced(self, label: int, wide: bool) -> None:
        new = np.roll(np.asarray(self.layer.data), label, axis=2)
        self.layer.data = new.astype(np.uint16) if wide else new
        self._done()

    @rule(label=st.integers(1, 5))
    def written_into_by_another_plugin(self, label: int) -> None:
        self.layer.data[0, :4, :4] = label
        self.layer.data = self.layer.data
        self.desk.settle()
        self._done(always=True)

    @rule(label=st.integers(1, 5), at=st.tuples(planes, rows, columns))
    def answer_while_the_brush_is_down(self, label: int, at: tuple[int, int, int]) -> None:
        self.layer.mode = "paint"
        with self.layer.block_history():
            self.layer._draw(label, at, at)
            before = np.array(self.layer.data, int)
            self.editing.change(self.mask, np.s_[0:3, 3:9, 3:9], np.full((3, 6, 6), 6 - label), "Answer")
            after = np.array(self.layer.data, int)
            self.layer._draw(label, at, (at[0], 0, 0))
        prompts, last = self.editing.prompts(self.mask), np.array(self.layer.data, int)
        for state in (before, after, last):
            if not np.array_equal(state, self.past[-1][0]):
                self.past.append((state, prompts))
                self.future.clear()
                self.token = None

    @precondition(lambda self: len(self.past) > 1)
    @rule(by=st.sampled_from(["button", "napari"]))
    def undo(self, by: str) -> None:
        (self.editing.undo if by == "button" else self.layer.undo)()
        self.future.append(self.past.pop())
        self.token = None

    @precondition(lambda self: self.future)
    @rule(by=st.sampled_from(["button", "napari"]))
    def redo(self, by: str) -> None:
        (self.editing.redo if by == "button" else self.layer.redo)()
        self.past.append(self.future.pop())
        self.token = None

    @invariant()
    def the_mask_is_what_the_copies_say(self) -> None:
        np.testing.assert_array_equal(self.layer.data, self.past[-1][0])
        assert self.editing.prompts(self.mask) == self.past[-1][1]

    @invariant()
    def as_many_steps_can_be_undone(self) -> None:
        history = self.editing._works[self.mask].history
        assert (len(history.done), len(history.undone)) == (len(self.past) - 1, len(self.future))
        assert bool(self.desk.state.undo) == (len(self.past) > 1)
        assert bool(self.desk.state.redo) == bool(self.future)

    @invariant()
    def napari_has_nothing_to_undo(self) -> None:
        assert not self.layer._undo_history
        assert not self.layer._redo_history

    def _same_on_the_disk(self) -> None:
        kept = self.desk.kept()
        pixels = np.array(kept.pixels.array())
        np.testing.assert_array_equal(pixels, self.past[-1][0])
        assert kept.prompts == self.past[-1][1]
        assert kept.effort.changes == self.mask.changes
        for expected, _ in reversed(self.past[:-1]):
            kept.history.undo(pixels)
            np.testing.assert_array_equal(pixels, expected)
        for expected, _ in [*self.past[1:], *reversed(self.future)]:
            kept.history.redo(pixels)
            np.testing.assert_array_equal(pixels, expected)


EverythingCanBeUndone.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestEverythingCanBeUndone = EverythingCanBeUndone.TestCase
