"""The object of an earlier window, found again from its prompts and the steps since. Without a window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.models.engine.region import Region
from napari_medseg.models.prompts import Prompts
from napari_medseg.prompting.object_in_work import ObjectInWork
from napari_medseg.prompting.restoring import restored

from .editing_support import Desk

SHAPE = (2, 40, 50)
PLANE = (1,)


def box(top: int, left: int, bottom: int, right: int) -> tuple[slice, slice]:
    return slice(top, bottom), slice(left, right)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, np.zeros(SHAPE, np.uint8))
    mask = np.zeros(SHAPE, np.uint8)
    mask[PLANE][box(2, 2, 8, 8)] = 2
    mask[PLANE][box(20, 20, 26, 30)] = 3
    made.draw(mask)
    yield made
    made.close()


def prompt(desk: Desk, prompts: Prompts, where: tuple[slice, slice], label: int) -> None:
    """A prompt and its answer, as the panel makes them one step."""
    token = object()
    desk.editing.set_prompts(desk.mask, prompts, "Click", merge=token)
    pixels = np.full((1, *desk.pixels[PLANE][where].shape), label)
    desk.editing.change(desk.mask, (slice(1, 2), *where), pixels, "Click", merge=token)


def found(desk: Desk, *, alone: bool = True) -> ObjectInWork | None:
    steps = desk.editing.since_first_prompt(desk.mask)
    return restored(desk.pixels, desk.editing.prompts(desk.mask), steps, alone=alone)


def own(work: ObjectInWork | None, desk: Desk) -> np.ndarray:
    assert work is not None
    return work.on(PLANE).own(desk.pixels[PLANE]).on_plane((40, 50))


FIRST = Prompts().click((12, 12), plane=PLANE)
BOTH = FIRST.click((14, 18), positive=False, plane=PLANE)


def test_a_new_object_began_with_nothing(desk: Desk) -> None:
    prompt(desk, FIRST, box(10, 10, 20, 20), 4)
    prompt(desk, BOTH, box(14, 14, 20, 20), 0)
    desk.settle()  # the steps are compressed by now

    work = found(desk)

    assert work is not None
    assert (work.label, work.is_new) == (4, True)
    np.testing.assert_array_equal(own(work, desk), desk.pixels[PLANE] == 4)


def test_an_object_that_was_there_is_what_it_was_before_its_first_prompt(desk: Desk) -> None:
    before = desk.pixels[PLANE] == 2
    prompt(desk, Prompts().click((9, 9), plane=PLANE), box(2, 2, 12, 12), 2)

    work = found(desk)

    assert work is not None
    assert (work.label, work.is_new) == (2, False)
    np.testing.assert_array_equal(work.on(PLANE).begun.on_plane((40, 50)), before)


def test_what_it_ran_over_comes_back_when_it_shrinks(desk: Desk) -> None:
    before = desk.pixels[PLANE].copy()
    prompt(desk, FIRST, box(10, 10, 24, 24), 4)
    work = found(desk)
    assert work is not None

    nothing = Region.of((slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool))
    where, after = work.on(PLANE).to_write(desk.pixels[PLANE], nothing, overwrite=False)
    desk.pixels[PLANE][where] = after

    np.testing.assert_array_equal(desk.pixels[PLANE], before)


def test_an_object_of_a_class_is_not_taken_for_all_of_its_class(desk: Desk) -> None:
    prompt(desk, FIRST, box(10, 10, 16, 16), 2)

    work = found(desk, alone=False)

    expected = np.zeros((40, 50), bool)
    expected[box(10, 10, 16, 16)] = True
    np.testing.assert_array_equal(own(work, desk), expected)


def test_a_box_is_enough_to_find_its_object(desk: Desk) -> None:
    prompt(desk, Prompts().box((9, 9), (20, 20), plane=PLANE), box(10, 10, 18, 18), 7)

    work = found(desk)

    assert work is not None
    assert work.label == 7


def test_steps_of_an_object_before_are_left_alone(desk: Desk) -> None:
    prompt(desk, Prompts().click((30, 30), plane=PLANE), box(28, 28, 34, 34), 5)
    prompt(desk, FIRST, box(10, 10, 20, 20), 4)

    work = found(desk)

    assert work is not None
    assert work.label == 4
    steps = desk.editing.since_first_prompt(desk.mask)
    assert steps is not None
    assert len(steps) == 1


def test_without_its_steps_the_object_is_what_lies_under_a_click(desk: Desk) -> None:
    prompts = Prompts().click((4, 4), plane=PLANE)

    work = restored(desk.pixels, prompts, None, alone=True)

    assert work is not None
    assert work.label == 2
    np.testing.assert_array_equal(own(work, desk), desk.pixels[PLANE] == 2)
    assert restored(desk.pixels, Prompts().click((38, 2), plane=PLANE), None, alone=True) is None
