import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models.errors import ImageError
from napari_medseg.models.geometry import Geometry, turn

ORIENTATIONS = [
    np.eye(3)[list(order)] * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
"""All 48 ways in which the axes of an array can run along those of the body."""

AXIAL = Geometry.from_lps((0, 0, 0), (0.5, 0.7, 3), np.eye(3))


def affine(orientation: np.ndarray, spacing: tuple[float, float, float] = (3, 0.7, 0.5)) -> np.ndarray:
    made = np.eye(4)
    made[:3, :3] = orientation * spacing
    made[:3, 3] = (10, -20, 30)
    return made


def test_a_volume_that_stands_upright_already_is_not_turned() -> None:
    assert AXIAL.as_seen() == (False, False, False)
    assert AXIAL.spacing == (3, 0.7, 0.5)


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_turning_and_storing_again_leaves_every_voxel_where_it_was(orientation: np.ndarray) -> None:
    stored = Geometry(affine(orientation))
    shape = (4, 5, 6)
    shown = stored.flip(stored.as_seen(), shape)
    assert shown.as_seen() == (False, False, False)

    index = np.stack(np.indices(shape), -1).reshape(-1, 3)  # (N, 3), where each voxel was before
    where = turn(np.indices(shape), shown.flipped).reshape(3, -1).T
    np.testing.assert_allclose(placed(shown, index), placed(stored, where), atol=1e-9)
    np.testing.assert_allclose(shown.stored(shape).affine, stored.affine, atol=1e-9)
    assert shown.stored(shape).flipped == (False, False, False)


def placed(geometry: Geometry, index: np.ndarray) -> np.ndarray:
    return index @ geometry.affine[:3, :3].T + geometry.affine[:3, 3]


@given(st.lists(st.floats(-500, 500), min_size=3, max_size=3), st.tuples(*[st.floats(0.01, 50)] * 3))
def test_ras_and_lps_are_one_place(origin: list[float], spacing: tuple[float, ...]) -> None:
    geometry = Geometry.from_lps(origin, spacing, np.eye(3))
    np.testing.assert_allclose(Geometry.from_ras(geometry.ras_affine).affine, geometry.affine)
    np.testing.assert_allclose(geometry.ras_affine[:3, 3], np.multiply(origin, (-1, -1, 1)))
    assert geometry.spacing == pytest.approx(spacing[::-1])


def test_rows_of_a_side_view_run_towards_the_feet() -> None:
    sagittal = Geometry.from_lps((0, 0, 0), (1, 1, 3), np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]))
    assert sagittal.as_seen() == (False, True, False)


@pytest.mark.parametrize(
    "broken",
    [
        np.zeros((4, 4)),
        np.full((4, 4), np.nan),
        affine(np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]])),
        affine(np.eye(3), (1, 0, 1)),
        np.eye(3),
    ],
    ids=["zeros", "NaN", "flat", "a spacing of 0", "3 x 3"],
)
def test_a_broken_affine_is_refused(broken: np.ndarray) -> None:
    with pytest.raises(ImageError, match="Where the image lies cannot be told"):
        Geometry(broken)


def test_shear_is_the_largest_cosine_between_two_axes() -> None:
    assert AXIAL.shear == pytest.approx(0, abs=1e-12)
    tilted = AXIAL.affine.copy()
    tilted[1, 0] = 3 * np.tan(np.radians(10))  # slices shift towards the back, as under a tilted gantry
    assert Geometry(tilted).shear == pytest.approx(np.sin(np.radians(10)))


def test_the_affine_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        AXIAL.affine[0, 0] = 2
