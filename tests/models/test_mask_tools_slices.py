"""Tools across slices, where labels lie, and painting by brightness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_medseg.models.mask_tools import (
    LabelBoxes,
    MaskToolError,
    Selection,
    copy_slice,
    find_boxes,
    in_range,
    interpolate,
    limit_stroke,
)

planes = arrays(np.uint8, (9, 11), elements=st.integers(0, 2))
stacks = arrays(np.uint8, (6, 7, 8), elements=st.integers(0, 3))


def disc(at: tuple[int, int], radius: float, shape: tuple[int, int] = (64, 64)) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= radius**2


def applied(mask: np.ndarray, change: object) -> np.ndarray:
    after = mask.copy()
    after[change.region] = change.after
    return after


@settings(deadline=None, max_examples=40)
@given(plane=planes, gap=st.integers(1, 5), spacing=st.tuples(st.just(1.0), st.floats(0.2, 3), st.floats(0.2, 3)))
def test_between_equal_slices_there_are_equal_slices(
    plane: np.ndarray, gap: int, spacing: tuple[float, float, float]
) -> None:
    mask = np.zeros((gap + 4, *plane.shape), np.uint8)
    mask[1] = mask[gap + 2] = plane

    after = applied(mask, interpolate(mask, spacing=spacing))

    for number in range(1, gap + 3):
        np.testing.assert_array_equal(after[number], plane)
    assert not after[[0, -1]].any()


@settings(deadline=None, max_examples=25)
@given(mask=stacks, label=st.integers(1, 3))
def test_interpolating_a_label_changes_background_on_slices_without_it_only(mask: np.ndarray, label: int) -> None:
    after = applied(mask, interpolate(mask, Selection((label,))))

    different = after != mask
    assert (mask[different] == 0).all()
    assert (after[different] == label).all()
    assert not different[(mask == label).any(axis=(1, 2))].any()


def test_a_cone_is_interpolated_with_the_sizes_between() -> None:
    mask = np.zeros((9, 64, 64), np.uint8)
    mask[0], mask[8] = disc((32, 32), 20), disc((32, 32), 4)

    change = interpolate(mask)
    sizes = (applied(mask, change) > 0).sum(axis=(1, 2))

    assert change.said.startswith("Filled 7 slices of the mask")
    radii = np.sqrt(sizes / np.pi)
    np.testing.assert_allclose(radii, np.linspace(20, 4, 9), atol=0.6)


def test_a_slanted_vessel_is_not_interrupted() -> None:
    mask = np.zeros((7, 64, 64), np.uint8)
    mask[0], mask[6] = disc((12, 12), 4), disc((50, 44), 4)

    after = applied(mask, interpolate(mask))

    for number in range(1, 6):
        middle = np.argwhere(after[number]).mean(axis=0)
        np.testing.assert_allclose(middle, np.array((12, 12)) + number / 6 * np.array((38, 32)), atol=1.0)
        assert 0.7 <= after[number].sum() / after[0].sum() <= 1.3


def test_several_gaps_are_filled_each_between_its_own_slices() -> None:
    mask = np.zeros((12, 64, 64), np.uint8)
    for number, radius in ((1, 6), (4, 10), (5, 10), (9, 3)):
        mask[number] = disc((30, 30), radius)

    filled = (applied(mask, interpolate(mask)) != mask).any(axis=(1, 2))

    np.testing.assert_array_equal(np.flatnonzero(filled), [2, 3, 6, 7, 8])


def test_slices_can_lie_along_any_axis() -> None:
    mask = np.zeros((20, 20, 9), np.uint8)
    mask[5:10, 5:10, 1] = mask[5:10, 5:10, 7] = 2

    assert (applied(mask, interpolate(mask, axis=2))[5:10, 5:10, 1:8] == 2).all()


def test_what_cannot_be_interpolated_is_said() -> None:
    mask = np.zeros((4, 8, 8), np.uint8)
    mask[1, 2:5, 2:5] = 3

    assert interpolate(mask, Selection((3,))).said == "Label 3 is on no more than one slice; annotate another one."
    mask[2] = mask[1]
    assert interpolate(mask, Selection((3,))).said == "Label 3 has no gap between slices."
    with pytest.raises(MaskToolError, match="single plane"):
        interpolate(mask[1])


@settings(deadline=None, max_examples=30)
@given(mask=stacks, target=st.integers(0, 5), label=st.integers(1, 3))
def test_a_copied_slice_writes_on_background_only(mask: np.ndarray, target: int, label: int) -> None:
    after = applied(mask, copy_slice(mask, 2, target, Selection((label,))))

    free = mask[target] == 0
    np.testing.assert_array_equal(after[target][~free], mask[target][~free])
    np.testing.assert_array_equal(after[target] == label, (mask[target] == label) | (free & (mask[2] == label)))
    others = np.arange(6) != target
    np.testing.assert_array_equal(after[others], mask[others])


def test_copying_says_what_stayed_and_what_is_not_there() -> None:
    mask = np.zeros((3, 8, 8), np.uint8)
    mask[0, 2:6, 2:6], mask[1, 2:4, 2:4] = 1, 2

    assert copy_slice(mask, 0, 1).said == (
        "Copied the mask from slice 0 to 1, 12 pixels; 4 pixels of other labels stayed."
    )
    assert not copy_slice(mask, 2, 1)
    with pytest.raises(MaskToolError, match="no slice 3"):
        copy_slice(mask, 0, 3)


@settings(deadline=None, max_examples=40)
@given(mask=stacks)
def test_boxes_are_the_smallest_ones(mask: np.ndarray) -> None:
    boxes = find_boxes(mask)

    assert set(boxes) == set(np.unique(mask).tolist()) - {0}
    for label, box in boxes.items():
        where = np.argwhere(mask == label)
        assert [(side.start, side.stop) for side in box] == list(
            zip(where.min(axis=0), where.max(axis=0) + 1, strict=True)
        )
        assert find_boxes(mask, [label]) == {label: box}
    assert find_boxes(mask.astype(np.int64)) == boxes


def test_huge_labels_cost_no_more_than_small_ones() -> None:
    mask = np.zeros((6, 6), np.int64)
    mask[2, 3] = 4_000_000_000

    assert find_boxes(mask) == {4_000_000_000: np.s_[2:3, 3:4]}


@settings(deadline=None, max_examples=40)
@given(mask=stacks, data=st.data())
def test_boxes_follow_every_change(mask: np.ndarray, data: st.DataObject) -> None:
    mask = mask.copy()
    boxes = LabelBoxes(mask)
    for _ in range(data.draw(st.integers(0, 4))):
        starts = [data.draw(st.integers(0, side - 1)) for side in mask.shape]
        region = tuple(slice(start, start + 3) for start in starts)
        if data.draw(st.booleans()):
            dict(boxes)
        mask[region] = data.draw(st.integers(0, 4))
        boxes.changed(tuple(slice(s.start, min(s.stop, side)) for s, side in zip(region, mask.shape, strict=True)))

    for label, box in find_boxes(mask).items():
        assert boxes.tighten(label) == box
    assert Selection(boxes=boxes).find(mask) == find_boxes(mask)


def test_a_stroke_keeps_to_the_brightness_asked_for() -> None:
    image = np.array([[0.0, 5.0, 10.0, np.nan]])
    before, after = np.array([[0, 2, 0, 0]], np.uint8), np.full((1, 4), 3, np.uint8)

    np.testing.assert_array_equal(limit_stroke(before, after, image, 5, 10), [[0, 3, 3, 0]])
    with pytest.raises(MaskToolError, match="differ in shape"):
        limit_stroke(before, after, image[:, :2], 0, 1)


def test_brightness_of_a_colour_image_is_the_mean_of_its_colours() -> None:
    image = np.array([[[0, 30, 60, 255], [200, 200, 200, 0]]], np.uint8)

    np.testing.assert_array_equal(in_range(image, 20, 40, colours=True), [[True, False]])


@pytest.mark.parametrize("limits", [(2, 1), (np.nan, 1)])
def test_a_range_that_holds_nothing_is_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(MaskToolError, match="must not be above"):
        in_range(np.zeros((2, 2)), *limits)


def test_background_cannot_be_selected() -> None:
    with pytest.raises(MaskToolError, match="Background"):
        Selection((0,))


def test_the_tools_need_no_torch() -> None:
    import subprocess
    import sys

    code = "import napari_medseg.models.mask_tools as m, sys; m.smooth, m.split; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
