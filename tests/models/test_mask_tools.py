"""Mask tools keep to what is selected, in 2D and in 3D, and say what they did."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from napari_medseg.models.mask_tools import (
    Change,
    MaskToolError,
    Selection,
    fill_holes,
    grow,
    keep_largest,
    plane_by_plane,
    remove_small,
    shrink,
    smooth,
)

from .mask_tools_support import applied, disc

TOOLS: dict[str, Callable[..., Change]] = {
    "smooth": lambda mask, *rest: smooth(mask, 1.5, *rest),
    "fill": fill_holes,
    "small": lambda mask, *rest: remove_small(mask, 4, *rest),
    "largest": keep_largest,
    "grow": lambda mask, *rest: grow(mask, 2, *rest),
    "shrink": lambda mask, *rest: shrink(mask, 1, *rest),
}

masks = arrays(np.uint8, array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9), elements=st.integers(0, 3))


@pytest.mark.parametrize("name", TOOLS)
@settings(deadline=None, max_examples=25)
@given(mask=masks, label=st.integers(1, 3))
def test_other_labels_keep_every_pixel_and_get_none(name: str, mask: np.ndarray, label: int) -> None:
    after = applied(mask, TOOLS[name](mask, Selection((label,))))

    for other in {1, 2, 3} - {label}:
        np.testing.assert_array_equal(after == other, mask == other)


@pytest.mark.parametrize("name", TOOLS)
@settings(deadline=None, max_examples=25)
@given(mask=masks, data=st.data())
def test_nothing_changes_outside_the_region(name: str, mask: np.ndarray, data: st.DataObject) -> None:
    starts = [data.draw(st.integers(0, side - 1)) for side in mask.shape]
    within = tuple(
        slice(start, data.draw(st.integers(start + 1, s))) for start, s in zip(starts, mask.shape, strict=True)
    )
    after = applied(mask, TOOLS[name](mask, Selection(within=within)))

    outside = np.ones(mask.shape, bool)
    outside[within] = False
    np.testing.assert_array_equal(after[outside], mask[outside])


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("shape", [(6, 7), (3, 4, 5)])
def test_an_empty_mask_stays_empty_and_the_tool_says_so(name: str, shape: tuple[int, ...]) -> None:
    change = TOOLS[name](np.zeros(shape, np.uint16))

    assert not change
    assert change.said
    assert not TOOLS[name](np.ones(shape, np.uint16), Selection((7,)))


@pytest.mark.parametrize("name", TOOLS)
def test_a_mask_over_time_is_refused_in_words(name: str) -> None:
    with pytest.raises(MaskToolError, match="Take one frame"):
        TOOLS[name](np.ones((2, 3, 4, 5), np.uint8))


@pytest.mark.parametrize("name", TOOLS)
def test_a_small_object_in_a_large_mask_costs_its_neighbourhood_only(name: str) -> None:
    """With the box known, the mask is read nowhere else."""

    class Watched(np.ndarray):
        read = 0

        def __getitem__(self, key: object) -> np.ndarray:
            part = np.asarray(super().__getitem__(key))
            Watched.read += part.size
            return part

    mask = np.zeros((40, 2048, 2048), np.uint8)
    mask[10:14, 100:130, 100:130] = 5
    watched = mask.view(Watched)
    Watched.read = 0

    TOOLS[name](watched, Selection((5,), boxes={5: np.s_[10:14, 100:130, 100:130]}))

    assert Watched.read < 100_000


@settings(deadline=None, max_examples=50)
@given(mask=masks)
def test_filling_holes_twice_fills_no_more(mask: np.ndarray) -> None:
    for label in (1, 2, 3):
        after = applied(mask, fill_holes(mask, Selection((label,))))
        assert not fill_holes(after, Selection((label,)))
        np.testing.assert_array_equal(after == label, ndimage.binary_fill_holes(mask == label) & (after == label))


def test_holes_are_counted_and_those_at_the_border_are_none() -> None:
    mask = np.ones((12, 12), np.uint8)
    mask[2:4, 2:4] = mask[6, 6] = mask[8:10, 0:3] = 0

    change = fill_holes(mask)

    assert change.said == "Filled 2 holes, 5 pixels."
    assert applied(mask, change)[9, 0] == 0


def test_large_holes_can_be_left_open() -> None:
    mask = np.ones((12, 12), np.uint8)
    mask[2:4, 2:4] = mask[6, 6] = 0

    assert fill_holes(mask, largest=1).said == "Filled 1 hole, 1 pixel."
    assert fill_holes(mask, largest=1.0, spacing=(0.5, 0.5)).said == "Filled 2 holes, 5 pixels."
    with pytest.raises(MaskToolError, match="above 0"):
        fill_holes(mask, largest=0)


def test_a_tunnel_is_a_hole_of_each_slice_but_not_of_the_volume() -> None:
    mask = np.ones((5, 9, 9), np.uint8)
    mask[:, 4, 4] = 0

    assert not fill_holes(mask)
    change = plane_by_plane(fill_holes, mask)
    assert change.said == "Changed 5 pixels on 5 slices."
    assert applied(mask, change).all()


def test_parts_below_a_size_go_and_those_of_it_stay() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[0:2, 0:2], mask[5, 5:8], mask[9, 0] = 1, 1, 2

    assert remove_small(mask, 4).said == "Removed 2 small parts, 4 pixels; label 2 is gone."
    assert remove_small(mask, 4, Selection((1,))).said == "Removed 1 small part, 3 pixels."
    assert remove_small(mask, 0.04, spacing=(0.1, 0.1)).pixels == 4
    assert not remove_small(mask, 1)
    with pytest.raises(MaskToolError, match="above 0"):
        remove_small(mask, math.nan)


def test_the_largest_part_of_each_label_stays() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[0:2, 0:2] = mask[5, 5] = mask[6, 6] = 1  # the last two touch at a corner
    mask[9, 9] = 2

    after = applied(mask, keep_largest(mask))

    assert (after == 1).sum() == 4
    assert (after == 2).sum() == 1
    assert keep_largest(mask).said == "Kept the largest part of each label; removed 1 other, 2 pixels."


@settings(deadline=None, max_examples=40)
@given(
    centre=st.tuples(st.floats(0, 20), st.floats(0, 20)),
    radius=st.floats(1, 9),
    distance=st.floats(0.5, 6),
    spacing=st.tuples(st.floats(0.3, 2), st.floats(0.3, 2)),
)
def test_growing_and_then_shrinking_keeps_all_of_an_object(
    centre: tuple[float, float], radius: float, distance: float, spacing: tuple[float, float]
) -> None:
    mask = disc((21, 21), centre, radius).astype(np.uint8)
    grown = applied(mask, grow(mask, distance, spacing=spacing))

    back = applied(grown, shrink(grown, distance, spacing=spacing))

    assert (grown >= mask).all()
    assert (back >= mask).all()


def test_a_margin_in_mm_is_rounder_in_mm_than_in_pixels() -> None:
    mask = np.zeros((11, 21, 21), np.uint8)
    mask[5, 10, 10] = 1

    after = applied(mask, grow(mask, 3.0, spacing=(3.0, 1.0, 0.5)))

    assert [int(np.ptp(np.argwhere(after)[:, axis])) for axis in range(3)] == [2, 6, 12]
    inner = applied(after, shrink(after, 0.5, spacing=(3.0, 1.0, 0.5)))
    assert [int(np.ptp(np.argwhere(inner)[:, axis])) for axis in range(3)] == [0, 4, 10]


def test_labels_that_grow_towards_each_other_meet_half_way() -> None:
    mask = np.zeros((3, 11), np.uint8)
    mask[1, 1], mask[1, 9] = 1, 2

    after = applied(mask, grow(mask, 20))

    assert (after[:, :5] == 1).all()
    assert (after[:, 6:] == 2).all()


def test_growing_does_not_reach_across_another_label() -> None:
    mask = np.zeros((7, 9), np.uint8)
    mask[:, 4] = 2
    mask[3, 2] = 1

    after = applied(mask, grow(mask, 4, Selection((1,))))

    assert (after[:, :4] == 1).sum() > 20
    assert not (after[:, 5:] == 1).any()


def test_the_border_of_the_mask_takes_nothing_from_an_object_that_it_cuts() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[:5] = 1

    np.testing.assert_array_equal(applied(mask, shrink(mask, 2))[:, 0], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    assert not shrink(np.ones((4, 4), np.uint8), 1)


def test_shrinking_something_thin_away_is_said() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[4] = 3

    assert "label 3 is gone" in shrink(mask, 1).said


@pytest.mark.parametrize("distance", [0, -1, math.inf, math.nan])
def test_distances_have_to_be_positive(distance: float) -> None:
    for tool in (grow, shrink, smooth):
        with pytest.raises(MaskToolError, match="above 0"):
            tool(np.ones((4, 4), np.uint8), distance)


def test_a_spacing_has_to_fit() -> None:
    with pytest.raises(MaskToolError, match="2 positive numbers"):
        grow(np.ones((4, 4), np.uint8), 1, spacing=(1, 1, 1))


def test_smoothing_takes_spikes_and_fills_notches() -> None:
    rough = disc((60, 60), (30, 30), 15).astype(np.uint8)
    rough[30, 45:48] = 1  # a spike of three pixels
    rough[12:18, 30] = 0  # a notch

    after = applied(rough, smooth(rough, 2))

    assert after[30, 47] == 0
    assert after[17, 30] == 1


def test_smoothing_keeps_vessels_spots_and_what_holds_an_object_together() -> None:
    mask = np.zeros((80, 80), np.uint8)
    mask[20, 5:75] = 1
    mask[60:62, 60:62] = 2
    mask[40:52, 4:16] = mask[40:52, 24:36] = mask[46, 16:24] = 3

    change = smooth(mask, 3)
    after = applied(mask, change)

    assert (after[20, 5:75] == 1).all()
    assert (after[60:62, 60:62] == 2).all()
    assert ndimage.label(after == 3, np.ones((3, 3)))[1] == 1
    assert "3 thin parts kept as they were." in change.said


def test_a_straight_edge_cut_by_the_border_stays_straight() -> None:
    mask = np.zeros((30, 30), np.uint8)
    mask[:, :12] = 1

    assert not smooth(mask, 3)


def test_smoothing_across_thick_slices_counts_their_spacing() -> None:
    mask = np.zeros((5, 20, 20), np.uint8)
    mask[2, 5:15, 5:15] = 1

    flat = applied(mask, smooth(mask, 1.0, spacing=(10.0, 1.0, 1.0)))

    assert not flat[[1, 3]].any()
    assert flat[2, 10, 10] == 1


def test_tiles_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_medseg.models.mask_tools import distances

    mask = (ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(70, 90)), 4) > 0).astype(np.uint8)
    whole = {name: applied(mask, TOOLS[name](mask)) for name in ("smooth", "grow", "shrink")}

    monkeypatch.setitem(distances.TILE, 2, 16)

    for name, expected in whole.items():
        np.testing.assert_array_equal(applied(mask, TOOLS[name](mask)), expected)


def test_a_tool_is_stopped_by_what_its_progress_raises() -> None:
    mask = disc((40, 40), (20, 20), 9).astype(np.uint8)

    def stop(_share: float) -> None:
        raise InterruptedError

    for tool in (lambda: smooth(mask, 1, progress=stop), lambda: grow(mask, 1, progress=stop)):
        with pytest.raises(InterruptedError):
            tool()
