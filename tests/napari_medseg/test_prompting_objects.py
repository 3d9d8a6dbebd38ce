"""What prompts are made of, and which pixels of a mask an object owns: without a window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models.engine.region import NOTHING, Region
from napari_medseg.models.prompts import Box, Lasso, Point, Prompts, Scribble
from napari_medseg.prompting.gesture import Gesture
from napari_medseg.prompting.object_in_work import PlaneInWork, trimmed
from napari_medseg.prompting.overlay import nearest
from napari_medseg.prompting.picking import next_label, object_at
from napari_medseg.prompting.turns import Turn, Turns

SIDE = 12
LABEL = 2

sides = st.tuples(st.integers(0, SIDE), st.integers(0, SIDE)).map(lambda ends: slice(min(ends), max(ends)))
boxes = st.tuples(sides, sides)
seeds = st.integers(0, 2**16)
answers = st.tuples(st.just("answer"), boxes, seeds)
strokes = st.tuples(st.just("stroke"), boxes, st.sampled_from((0, 1, 3)))


def plane_with_others(seed: int) -> np.ndarray:
    """(12, 12) with labels 0, 1 and 3."""
    return np.random.default_rng(seed).choice(np.array((0, 0, 0, 1, 3), np.uint8), (SIDE, SIDE))


def write(known: PlaneInWork, pixels: np.ndarray, proposed: Region, *, overwrite: bool) -> None:
    box, after = known.to_write(pixels, proposed, overwrite=overwrite)
    pixels[box] = after


@given(seeds, st.lists(st.one_of(answers, strokes), max_size=8), st.booleans())
def test_each_answer_replaces_the_one_before_and_what_it_covered_comes_back(
    seed: int, steps: list[tuple[str, tuple[slice, slice], int]], overwrite: bool
) -> None:
    pixels = plane_with_others(seed)
    beneath = pixels.copy()
    known = PlaneInWork(LABEL)
    for what, box, number in steps:
        if what == "stroke":
            pixels[box] = beneath[box] = number
            known.changed(pixels, box)
            continue
        mask = np.random.default_rng(number).random(pixels[box].shape) > 0.4
        write(known, pixels, Region.of(box, mask), overwrite=overwrite)

        expected = beneath.copy()
        expected[box][mask & ((beneath[box] == 0) | overwrite)] = LABEL
        np.testing.assert_array_equal(pixels, expected)

    write(known, pixels, NOTHING, overwrite=overwrite)
    np.testing.assert_array_equal(pixels, beneath)


@given(seeds, boxes, seeds)
def test_an_answer_writes_no_more_than_what_changes(seed: int, box: tuple[slice, slice], number: int) -> None:
    pixels, known = plane_with_others(seed), PlaneInWork(LABEL)
    mask = np.random.default_rng(number).random(pixels[box].shape) > 0.5
    written, after = known.to_write(pixels, Region.of(box, mask), overwrite=False)

    differs = pixels[written] != after
    for axis in (0, 1):
        edges = differs.any(1 - axis)
        assert not len(edges) or (edges[0] and edges[-1])


def test_a_correction_goes_on_from_the_answer_also_where_others_were_kept() -> None:
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[:, 6:] = 3
    known, prompts = PlaneInWork(LABEL), Prompts().click((5, 5))
    proposed = Region.of((slice(2, 8), slice(2, 10)), np.ones((6, 8), bool))
    write(known, pixels, proposed, overwrite=False)
    known.remember(pixels, prompts, proposed)

    assert known.now(pixels, prompts) is proposed
    assert known.own(pixels).mask.sum() == 6 * 4


def test_a_correction_goes_on_from_the_pixels_where_a_brush_was_there_since() -> None:
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    known, prompts = PlaneInWork(LABEL), Prompts().click((5, 5))
    proposed = Region.of((slice(2, 8), slice(2, 8)), np.ones((6, 6), bool))
    write(known, pixels, proposed, overwrite=False)
    known.remember(pixels, prompts, proposed)
    pixels[2:4, 2:8] = 0
    pixels[9:11, 9:11] = LABEL
    known.changed(pixels, (slice(2, 11), slice(2, 11)))

    now = known.now(pixels, prompts).on_plane((SIDE, SIDE))

    np.testing.assert_array_equal(now, pixels == LABEL)


def test_another_object_of_the_same_class_is_neither_owned_nor_lost() -> None:
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[1:4, 1:4] = pixels[7:11, 7:11] = LABEL
    picked = object_at(pixels, 2, 2, alone=False)
    known = PlaneInWork.picked(LABEL, False, pixels, picked)

    assert known.owns(pixels, 2, 2)
    assert not known.owns(pixels, 8, 8)
    write(known, pixels, Region.of((slice(0, 12), slice(0, 12)), np.eye(12, dtype=bool)), overwrite=False)
    write(known, pixels, NOTHING, overwrite=False)

    assert pixels[1:4, 1:4].sum() == 0
    assert (pixels[7:11, 7:11] == LABEL).all()


def test_an_object_whose_label_is_its_own_is_all_of_that_label() -> None:
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[1, 1] = pixels[9, 9] = LABEL

    assert object_at(pixels, 1, 1, alone=True).box == (slice(1, 10), slice(1, 10))
    assert object_at(pixels, 1, 1, alone=False).box == (slice(1, 2), slice(1, 2))
    assert next_label(pixels) == LABEL + 1
    assert next_label(np.zeros((0, 3), np.uint8)) == 1


def test_a_label_that_the_mask_cannot_hold_is_written_wider() -> None:
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    box, after = PlaneInWork(256).to_write(
        pixels, Region.of((slice(1, 2), slice(1, 2)), np.ones((1, 1), bool)), overwrite=False
    )

    assert after.tolist() == [[256]]
    assert box == (slice(1, 2), slice(1, 2))


def test_trimming_gives_the_smallest_box() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2] = True

    region = trimmed((slice(10, 14), slice(20, 25)), mask)

    assert region.box == (slice(11, 13), slice(22, 23))
    assert region.mask.all()
    assert trimmed((slice(0, 4), slice(0, 5)), np.zeros((4, 5), bool)) is NOTHING


class TestGesture:
    def test_a_box_goes_from_where_it_began_to_where_the_mouse_is(self) -> None:
        gesture = Gesture("box", (1.0, 2.0), positive=True, plane=(3,))
        for at in ((2.0, 9.0), (8.0, 12.0)):
            assert gesture.move(at)
        assert gesture.prompt() == Box((1.0, 2.0), (8.0, 12.0), (3,))

    def test_a_scribble_is_the_way_of_the_mouse_with_its_sign(self) -> None:
        gesture = Gesture("scribble", (1.0, 2.0), positive=False, plane=())
        assert gesture.move((5.0, 5.0))
        assert gesture.prompt() == Scribble(((1.0, 2.0), (5.0, 5.0)), positive=False)

    @pytest.mark.parametrize("tool", ["box", "lasso"])
    def test_what_is_too_small_means_nothing(self, tool: str) -> None:
        gesture = Gesture(tool, (1.0, 1.0), positive=True, plane=())
        assert gesture.prompt() is None
        gesture.move((9.0, 1.5))
        assert gesture.prompt() is None

    def test_a_straight_line_is_no_loop_yet(self) -> None:
        gesture = Gesture("lasso", (1.0, 1.0), positive=True, plane=())
        gesture.move((9.0, 9.0))
        assert gesture.prompt() is None
        gesture.move((9.0, 1.0))
        assert gesture.prompt() == Lasso(((1.0, 1.0), (9.0, 9.0), (9.0, 1.0)))

    def test_a_tremble_makes_no_difference(self) -> None:
        gesture = Gesture("lasso", (1.0, 1.0), positive=True, plane=())
        assert not gesture.move((1.2, 1.1))


def test_the_prompt_nearest_to_a_click_is_found_on_its_plane_only() -> None:
    prompts = (
        Point((10, 10), plane=(1,)),
        Scribble(((20, 0), (20, 50)), plane=(1,)),
        Box((30, 30), (60, 60), plane=(1,)),
        Lasso(((0, 80), (0, 99), (20, 99)), plane=(1,)),
    )

    assert nearest(prompts, (11, 10), (1,), 3) == 0
    assert nearest(prompts, (21, 40), (1,), 3) == 1
    assert nearest(prompts, (45, 31), (1,), 3) == 2
    assert nearest(prompts, (9, 90), (1,), 3) == 3  # its loop closes by itself
    assert nearest(prompts, (45, 45), (1,), 3) is None
    assert nearest(prompts, (11, 10), (2,), 3) is None


class TestTurns:
    def test_clicks_are_done_one_after_the_other_and_of_a_pull_only_the_newest_waits(self) -> None:
        done: list[str] = []
        turns = Turns(lambda: None, done.append)
        turns.add(Turn(lambda: done.append("click")))
        for what in ("pull 1", "pull 2", "pull 3"):
            turns.add(Turn(lambda what=what: done.append(what), "token"))
        turns.add(Turn(lambda: done.append("another click")))
        for _ in range(3):
            turns.done()

        assert done == ["click", "pull 3", "another click"]
        assert turns.idle

    def test_one_that_fails_unexpectedly_does_not_hold_up_the_others(self) -> None:
        done: list[str] = []
        turns = Turns(lambda: None, done.append)

        turns.add(Turn(lambda: 1 / 0))
        turns.add(Turn(lambda: done.append("next")))

        assert "ZeroDivisionError" in done[0]
        assert done[1] == "next"
