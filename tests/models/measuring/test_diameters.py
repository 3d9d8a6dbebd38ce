import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_medseg.models.measuring.diameters import axial_diameters


def ellipse(long: float, short: float, angle: float, spacing: tuple[float, float]) -> np.ndarray:
    """Pixels whose centres lie in an ellipse with these diameters, turned by an angle in degrees."""
    reach = [int(long / 2 / step) + 2 for step in spacing]
    y, x = (np.arange(-count, count + 1) * step for count, step in zip(reach, spacing, strict=True))
    y, x = np.meshgrid(y, x, indexing="ij")
    turn = np.deg2rad(angle)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return (along / (long / 2)) ** 2 + (across / (short / 2)) ** 2 <= 1


@pytest.mark.parametrize("angle", [0, 20, 45, 90, 130])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 0.7), (2.0, 0.5)])
def test_of_an_ellipse_they_are_its_axes_however_it_is_turned(angle: float, spacing: tuple[float, float]) -> None:
    longest, shortest = axial_diameters(ellipse(60, 32, angle, spacing), spacing)
    assert longest == pytest.approx(60, abs=max(spacing))
    assert shortest == pytest.approx(32, abs=max(spacing))


def test_of_a_disc_both_are_its_diameter() -> None:
    assert axial_diameters(ellipse(50, 50, 0, (1, 1)), (1, 1)) == pytest.approx((50, 50), abs=1)


@pytest.mark.parametrize("length", [1, 2, 9])
def test_a_row_of_pixels_is_as_long_as_they_are(length: int) -> None:
    assert axial_diameters(np.ones((1, length), bool), (1.0, 1.0))[0] == pytest.approx(length)
    assert axial_diameters(np.ones((length, 1), bool), (1.0, 1.0))[0] == pytest.approx(length)


def test_of_a_rectangle_the_longest_is_its_diagonal() -> None:
    longest, shortest = axial_diameters(np.ones((30, 40), bool), (1, 1))
    assert longest == pytest.approx(50, abs=1)
    # at right angles to the diagonal of 3 : 4, from one long side to the short one: 30 / (4/5)
    assert shortest == pytest.approx(37.5, abs=1)


def test_the_shortest_is_the_longest_chord_at_right_angles_and_not_the_width_of_a_hull() -> None:
    crescent = ellipse(60, 40, 0, (1, 1))
    crescent[: crescent.shape[0] // 2] = False  # half an ellipse
    notched = crescent.copy()
    rows, columns = np.nonzero(notched)
    top = rows.min()
    notched[top : top + 10, 15:45] = False  # less is left in the middle than at the ends of the notch
    assert axial_diameters(crescent, (1, 1)) == pytest.approx((60, 20), abs=1.5)
    assert axial_diameters(notched, (1, 1))[1] < axial_diameters(crescent, (1, 1))[1]
    assert np.ptp(columns) + 1 == axial_diameters(notched, (1, 1))[0]


def test_holes_do_not_count() -> None:
    ring = ellipse(50, 30, 0, (1, 1))
    whole = axial_diameters(ring, (1, 1))
    ring[ellipse(20, 12, 0, (1, 1)).nonzero()[0].min() + 20 : 40, 20:30] = False
    middle = ring.shape[0] // 2
    ring[middle - 3 : middle + 4, 15:35] = False
    assert axial_diameters(ring, (1, 1)) == whole


def test_of_several_pieces_the_one_with_the_longest_counts() -> None:
    mask = np.zeros((60, 100), bool)
    mask[5:10, 5:10], mask[40:43, 60:90] = True, True
    longest, shortest = axial_diameters(mask, (1, 1))
    assert (longest, shortest) == pytest.approx((30, 3), abs=0.5)


TWO_AS_LONG = np.array([[1, 1, 0, 1, 0, 0], [1, 0, 0, 0, 1, 0]], bool)
"""Two pieces of one longest diameter but for rounding, and not of one shortest."""


@settings(max_examples=60, deadline=None)
@given(
    inside=arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any),
    spacing=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)),
)
@example(inside=TWO_AS_LONG, spacing=(2.0, 1.5901446005372806))
@example(inside=TWO_AS_LONG, spacing=(1.0, 1.5901446005372806))
def test_turning_an_image_over_or_enlarging_it_changes_nothing(
    inside: np.ndarray, spacing: tuple[float, float]
) -> None:
    longest, shortest = found = axial_diameters(inside, spacing)
    assert 0 < shortest <= longest * (1 + 1e-9)
    assert axial_diameters(inside[::-1], spacing) == pytest.approx(found)
    assert axial_diameters(inside[:, ::-1], spacing) == pytest.approx(found)
    assert axial_diameters(inside.T, spacing[::-1]) == pytest.approx(found)
    assert axial_diameters(inside, [3 * step for step in spacing]) == pytest.approx((3 * longest, 3 * shortest))


@settings(max_examples=40, deadline=None)
@given(inside=arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))).filter(np.any))
def test_the_longest_is_the_largest_distance_between_any_two_edges_of_a_piece(inside: np.ndarray) -> None:
    from scipy import ndimage

    longest = 0.0
    pieces, count = ndimage.label(inside, np.ones((3, 3)))
    for number in range(1, count + 1):
        y, x = np.nonzero(pieces == number)
        # the middles of the four edges of each pixel; those of inner edges are never the farthest
        points = np.concatenate(
            [np.stack((y + dy, x + dx), 1) for dy, dx in ((-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5))]
        )
        apart = np.hypot(*(points[:, np.newaxis] - points).transpose(2, 0, 1))
        longest = max(longest, apart.max())
    assert axial_diameters(inside, (1, 1))[0] == pytest.approx(longest)
