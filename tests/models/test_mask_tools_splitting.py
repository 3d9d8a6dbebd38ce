"""Objects made two by two clicks, and made one again."""

from __future__ import annotations

import numpy as np
import pytest

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
