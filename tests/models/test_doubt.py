"""Doubtful places of a mask: what stands out, in which order, and what does not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_medseg.models import doubt
from napari_medseg.models.doubt import BORDER, HOLE, INSIDE, ISLAND, MISSED, OBJECT, doubtful_places
from napari_medseg.models.doubt_cells import CELLS, Cells

Array = npt.NDArray[np.uint8]
DISCS = ((60, 60), (60, 180), (180, 60), (180, 180))


def answer(*softness: float) -> tuple[Array, Array]:
    """Confidence and mask of four discs of radius 30, whose borders are as wide as said."""
    rows, columns = np.mgrid[:256, :256]
    logits = np.full(rows.shape, -8.0)
    for (row, column), soft in zip(DISCS, softness, strict=True):
        logits = np.maximum(logits, np.clip(2 * (30 - np.hypot(rows - row, columns - column)) / soft, -8, 8))
    foreground = 1 / (1 + np.exp(-logits))
    mask = (foreground > 0.5).astype(np.uint8)
    return (np.maximum(foreground, 1 - foreground) * 255).round().astype(np.uint8), mask


def test_ordinary_borders_are_not_doubtful() -> None:
    assert doubtful_places(*answer(1, 1, 1, 1)) == []
    assert doubtful_places(*answer(2, 2, 2, 2)) == []


def test_a_border_wider_than_the_others_is() -> None:
    (place,) = doubtful_places(*answer(1, 1, 5, 1))

    assert place.why == BORDER
    assert place.label == 1
    assert all(side.start < middle < side.stop for side, middle in zip(place.box, DISCS[2], strict=True))
    assert all(side.stop - side.start > 60 for side in place.box)


def test_the_worst_comes_first() -> None:
    places = doubtful_places(*answer(1, 4, 6, 1))

    assert [place.box[0].start > 100 for place in places] == [True, False]
    assert places[0].score > places[1].score > 0


def test_the_score_is_the_expected_number_of_wrong_pixels() -> None:
    confidence, mask = answer(1, 1, 1, 1)
    confidence[55:65, 55:65] = 0.6 * 255
    (place,) = doubtful_places(confidence, mask)

    assert place.why == INSIDE
    assert place.score == pytest.approx(40, rel=0.1)
    assert place.size == pytest.approx(100, rel=0.2)


def test_something_missed_an_island_a_hole_and_an_unsure_object_are_told_apart() -> None:
    confidence, mask = answer(1, 1, 1, 1)
    confidence[20:30, 110:120] = 150
    mask[120:124, 120:124] = 3
    mask[180:184, 56:60] = 0
    mask[40:80, 160:200] *= 2
    confidence[mask == 2] = 160
    found = {place.why: place for place in doubtful_places(confidence, mask)}

    assert found[MISSED].label == 0
    assert found[MISSED].centre == (24, 114) or abs(found[MISSED].centre[0] - 24.5) < 2
    assert found[HOLE].label == 1
    assert found[HOLE].box == (slice(180, 184), slice(56, 60))
    assert found[OBJECT].label == 2
    assert found[ISLAND].label == 3  # too small beside the others, also with a label of its own


def test_a_second_small_part_of_a_label_is_an_island() -> None:
    confidence, mask = answer(1, 1, 1, 1)
    mask[120:124, 120:124] = 1
    (place,) = doubtful_places(confidence, mask)

    assert (place.why, place.box, place.label) == (ISLAND, (slice(120, 124), slice(120, 124)), 1)


@pytest.mark.parametrize("corner", [(0, 120), (252, 120), (120, 0), (120, 252)])
def test_an_object_that_the_border_of_the_image_cuts_off_may_be_small(corner: tuple[int, int]) -> None:
    confidence, mask = answer(1, 1, 1, 1)
    row, column = corner
    mask[row : row + 4, column : column + 4] = 2
    assert doubtful_places(confidence, mask) == []


def test_what_somebody_corrected_since_is_left_out() -> None:
    confidence, predicted = answer(1, 4, 6, 1)
    mask = predicted.copy()
    mask[60, 180] = 0  # in the second one

    assert len(doubtful_places(confidence, mask, predicted)) == 1
    assert len(doubtful_places(confidence, predicted, predicted)) == 2


def test_places_that_lie_near_are_looked_at_together() -> None:
    confidence, mask = answer(1, 1, 1, 1)
    for column in (100, 122, 144):
        confidence[20:30, column : column + 10] = 150
    (place,) = doubtful_places(confidence, mask)
    assert place.box[1].start <= 100
    assert place.box[1].stop >= 154

    confidence[20:30, 112:150] = 255
    confidence[20:30, 150:160] = 150
    assert len(doubtful_places(confidence, mask)) == 2


def test_no_more_places_than_asked_for() -> None:
    confidence, mask = np.full((600, 600), 255, np.uint8), np.zeros((600, 600), np.uint8)
    for row in range(20, 580, 40):
        confidence[row : row + 8, 20:580:1] = np.where(np.arange(560) % 60 < 8, 140, 255)

    assert len(doubtful_places(confidence, mask, most=7)) == 7
    assert len(doubtful_places(confidence, mask)) == doubt.MOST


def test_a_volume_is_looked_through_in_cells_and_the_worst_slice_is_the_centre() -> None:
    confidence, mask = (np.repeat(array[None], 40, 0) for array in answer(1, 1, 1, 1))
    confidence[20:23, 50:70, 50:70] = 200
    confidence[21, 50:70, 50:70] = 140
    assert Cells.of(confidence, mask).side > 1
    assert Cells.of(confidence, mask).doubt.size <= CELLS
    (place,) = doubtful_places(confidence, mask)

    assert place.centre[0] == 21
    assert abs(place.centre[1] - 60) < 12
    assert (place.box[0].start, place.box[0].stop) == (20, 23) or place.box[0] == slice(21, 22)
    assert all(side.start <= 52 and side.stop >= 68 for side in place.box[1:])


def test_time_and_planes_may_lead() -> None:
    confidence, mask = (np.repeat(array[None, None], 3, 1).repeat(2, 0) for array in answer(1, 1, 1, 1))
    confidence[1, 2, 50:70, 50:70] = 140
    (place,) = doubtful_places(confidence, mask)

    assert place.centre[:2] == (1, 2)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="very shape"):
        doubtful_places(np.zeros((3, 4), np.uint8), np.zeros((4, 4), np.uint8))


shapes = array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=9)


@given(st.data(), shapes)
@settings(max_examples=60, deadline=None)
def test_any_mask_can_be_looked_through(data: st.DataObject, shape: tuple[int, ...]) -> None:
    confidence = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 255)))
    mask = data.draw(arrays(np.uint16, shape, elements=st.integers(0, 3)))
    places = doubtful_places(confidence, mask)

    assert [place.score for place in places] == sorted((place.score for place in places), reverse=True)
    for place in places:
        assert all(0 <= side.start < side.stop <= length for side, length in zip(place.box, shape, strict=True))
        assert all(side.start <= at < side.stop for at, side in zip(place.centre, place.box, strict=True))
        assert place.label == 0 or place.label in mask
