"""Objects made two by two clicks, and made one again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_medseg.models.mask_tools import MaskToolError, merge, split

from .mask_tools_support import applied, disc


def test_merging_gives_the_first_label_to_all() -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[0], mask[4], mask[7] = 1, 2, 3

    change = merge(mask, 1, [2, 1, 3])

    assert change.said == "Merged 2 labels into label 1, 16 pixels."
    assert set(np.unique(applied(mask, change))) == {0, 1}
    assert not merge(mask, 1, [9])
    with pytest.raises(MaskToolError, match="label 1 already"):
        merge(mask, 1, [1])
    with pytest.raises(MaskToolError, match="Background"):
        merge(mask, 0, [1])
    with pytest.raises(MaskToolError, match="Background"):
        merge(mask, 1, [0])


def dumbbell() -> np.ndarray:
    shape = (40, 80)
    return (disc(shape, (20, 20), 14) | disc(shape, (20, 55), 12)).astype(np.uint8) * np.uint8(4)


def test_a_split_runs_through_the_waist_wherever_the_clicks_are() -> None:
    mask = dumbbell()
    mask[18:23, 20:55] = 4

    for second in ((20, 50), (12, 58), (28, 62)):
        after = applied(mask, split(mask, (24, 12), second))
        border = np.argwhere((after[:, :-1] == 4) & (after[:, 1:] == 5))[:, 1]
        assert border.min() >= 30
        assert border.max() <= 46
        assert (after > 0).sum() == (mask > 0).sum()


@pytest.mark.parametrize("axes", [2, 3])
def test_a_split_is_within_a_voxel_of_the_waist_whichever_way_it_lies_and_wherever_the_clicks_are(axes: int) -> None:
    """Two balls that run into each other are thinnest where their surfaces meet, in a plane."""
    random, reach = np.random.default_rng(axes), 3**0.5  # a voxel, from corner to corner
    for _ in range(30 if axes == 2 else 6):
        radii = random.uniform(6, 11, 2)
        apart = np.sqrt((radii**2).sum() - random.uniform(-0.9, -0.4) * 2 * radii.prod())
        along = random.normal(size=axes)
        along /= np.linalg.norm(along)
        centres = 24 - apart / 2 * along, 24 + apart / 2 * along
        shape = (48,) * axes
        mask = (disc(shape, centres[0], radii[0]) | disc(shape, centres[1], radii[1])).astype(np.uint8)
        waist = (apart**2 + radii[0] ** 2 - radii[1] ** 2) / (2 * apart)
        beyond = (np.moveaxis(np.indices(shape), 0, -1) - centres[0]) @ along - waist
        sides = [np.argwhere((mask > 0) & side) for side in (beyond < -2, beyond > 2)]

        after = applied(mask, split(mask, *(random.choice(side) for side in sides)))

        assert beyond[after == 1].max() <= reach
        assert beyond[after == 2].min() >= -reach


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), axes=st.sampled_from([2, 3]), full=st.floats(0.5, 0.9))
def test_a_split_leaves_two_pieces_of_which_each_has_its_click_and_nothing_else_is_touched(
    seed: int, axes: int, full: float
) -> None:
    random = np.random.default_rng(seed)
    mask = (ndimage.uniform_filter(random.random((20 if axes == 2 else 10,) * axes), 3) < full).astype(np.uint8)
    pieces, _ = ndimage.label(mask, np.ones((3,) * axes))
    one, other = random.choice(np.argwhere(pieces == pieces.max()), 2)
    if (one == other).all() or not pieces.max():
        return

    after = applied(mask, split(mask, one, other))

    np.testing.assert_array_equal(after > 0, mask > 0)
    assert (after[pieces != pieces.max()] < 2).all()
    for number, click in ((1, one), (2, other)):
        part = (after == number) & (pieces == pieces.max())
        assert part[tuple(click)]
        assert ndimage.label(part, np.ones((3,) * axes))[1] == 1


def test_where_there_is_no_waist_the_split_is_half_way_between_the_clicks() -> None:
    mask = np.zeros((20, 60), np.uint8)
    mask[5:15, 5:55] = 1

    after = applied(mask, split(mask, (10, 15), (10, 35)))

    np.testing.assert_array_equal(np.flatnonzero(after[10] == 2)[[0, -1]], [26, 54])


def test_a_split_of_a_volume_counts_its_spacing() -> None:
    mask = np.ones((9, 12, 12), np.uint8)

    after = applied(mask, split(mask, (1, 2, 2), (7, 2, 2), spacing=(5, 1, 1)))

    assert (after[:4] == 1).all()
    assert (after[5:] == 2).all()


def test_parts_that_do_not_touch_are_told_apart_by_two_clicks() -> None:
    mask = np.zeros((10, 20), np.uint8)
    mask[2:6, 2:6] = mask[2:6, 10:16] = 1

    after = applied(mask, split(mask, (3, 3), (3, 12)))

    assert (after[2:6, 10:16] == 2).all()
    assert (after[2:6, 2:6] == 1).all()


def test_a_split_that_needs_label_256_asks_for_a_wider_mask() -> None:
    mask = np.zeros((32, 64), np.uint8)
    mask.flat[: 255 * 2] = np.repeat(np.arange(1, 256), 2)
    mask[20, 10:30] = 7

    change = split(mask, (20, 10), (20, 29))

    assert change.after.dtype == np.uint16
    after = applied(mask, change)
    assert after.max() == 256
    assert (after == 7).sum() == 12


def test_a_free_label_below_the_highest_is_taken_before_the_mask_is_widened() -> None:
    mask = np.zeros((4, 10), np.uint8)
    mask[0], mask[2, :4] = 255, 1

    assert applied(mask, split(mask, (0, 1), (0, 8))).dtype == np.uint8
    assert applied(mask, split(mask, (0, 1), (0, 8)))[0, 9] == 2


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ((0, 0), (3, 3), "background"),
        ((3, 3), (3, 3), "one pixel"),
        ((3, 3), (3, 7), "labels 1 and 2"),
        ((3, 3), (3, 99), "outside"),
        ((-1, 3), (3, 3), "outside"),
    ],
)
def test_clicks_that_split_nothing_are_refused_in_words(
    first: tuple[int, int], second: tuple[int, int], why: str
) -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[2:5, 2:5], mask[2:5, 6:9] = 1, 2

    with pytest.raises(MaskToolError, match=why):
        split(mask, first, second)
