import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models.prompts.prompts import Point
from napari_medseg.models.prompts.proposal import Proposal
from napari_medseg.models.prompts.reach import COARSE, reach, reaching

SHAPE = (80, 90)


def disc(middle: tuple[float, float], radius: float, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.asarray(np.hypot(rows - middle[0], columns - middle[1]) < radius)


def as_proposal(mask: np.ndarray) -> Proposal:
    return Proposal.of(mask, ())


def test_a_click_that_removes_takes_away_about_as_far_as_the_border_is() -> None:
    before = disc((40, 40), 20)

    after = reaching(as_proposal(before), as_proposal(before), Point((40, 54), positive=False), SHAPE).full(SHAPE)

    away = before & ~after
    assert away[40, 51:58].all()
    assert not away[40, :49].any()
    assert away.sum() == pytest.approx(np.pi * (0.8 * 6) ** 2, rel=0.2)


def test_a_click_that_adds_beside_the_mask_fills_what_lies_between_but_for_a_rest() -> None:
    before = disc((40, 40), 15)

    after = reaching(as_proposal(before), as_proposal(before), Point((40, 60)), SHAPE).full(SHAPE)

    assert after[before].all()
    assert after[40, 57:64].all()
    assert after[36:45, 60].all()


def test_a_click_reaches_no_farther_than_the_mask_is_deep_and_not_at_all_from_far_away() -> None:
    before = as_proposal(disc((20, 20), 6))
    assert 0 < reach(before, Point((20, 36))) <= 6
    assert reach(before, Point((20, 45))) == 0


@pytest.mark.parametrize("click", [Point((40, 40)), Point((5, 5), positive=False), Point((40, 61), positive=False)])
def test_a_click_that_contradicts_nothing_reaches_nothing(click: Point) -> None:
    mask = as_proposal(disc((40, 40), 20))
    assert reach(mask, click) == 0
    assert reaching(mask, mask, click, SHAPE) is mask


def test_in_a_thin_mask_nothing_is_reached() -> None:
    vessel = np.zeros(SHAPE, bool)
    vessel[40:43, 5:85] = True
    assert reach(as_proposal(vessel), Point((50, 40))) == 0
    assert reach(as_proposal(vessel), Point((41, 40), positive=False)) == 0


def test_without_a_mask_nothing_is_reached() -> None:
    nothing = Proposal.nothing(())
    assert reach(nothing, Point((4, 4))) == 0
    assert reaching(nothing, nothing, Point((4, 4), positive=False), SHAPE) is nothing


def test_a_large_mask_is_measured_in_larger_steps_to_almost_the_same() -> None:
    side = 5 * COARSE
    before = as_proposal(disc((side / 2, side / 2), 0.45 * side, (side, side)))
    click = Point((side / 2, side / 2 + 0.35 * side), positive=False)
    assert reach(before, click) == pytest.approx(0.8 * 0.1 * side, rel=0.1)


places = st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1))


@given(places, st.floats(1, 30), places, st.booleans())
def test_what_lies_beyond_its_reach_a_click_leaves_to_the_network(
    middle: tuple[int, int], radius: float, at: tuple[int, int], positive: bool
) -> None:
    before, found = disc(middle, radius), disc((40, 45), 25)
    click = Point((float(at[0]), float(at[1])), positive)

    after = reaching(as_proposal(found), as_proposal(before), click, SHAPE).full(SHAPE)

    near = disc(at, max(1.0, reach(as_proposal(before), click)))
    np.testing.assert_array_equal(after[~near], found[~near])
    if reach(as_proposal(before), click) > 1:
        assert (after[near] == positive).all()
