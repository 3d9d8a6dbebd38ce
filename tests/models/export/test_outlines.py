import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_medseg.models.export.outlines import Polygon, polygons

masks = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def covered(pieces: list[Polygon], shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centres lie within, by counting how many edges lie to the left of each."""
    crossings = np.zeros(shape, int)
    for piece in pieces:
        for ring in (piece.outer, *piece.holes):
            for (x, y), (_, to) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                crossings[min(y, to) : max(y, to), x:] += 1
    return crossings % 2 == 1


@settings(max_examples=80, deadline=None)
@given(inside=masks)
def test_the_polygons_cover_the_pixels_and_nothing_else(inside: np.ndarray) -> None:
    pieces = polygons(inside)

    assert (covered(pieces, inside.shape) == inside).all()
    numbers, count = ndimage.label(inside)
    assert len(pieces) == count
    for number, piece in enumerate(pieces, start=1):
        around = np.pad(numbers != number, 1, constant_values=True)
        assert len(piece.holes) == ndimage.label(around)[1] - 1


@settings(max_examples=80, deadline=None)
@given(inside=masks)
def test_no_outline_touches_itself_and_all_run_one_way(inside: np.ndarray) -> None:
    for piece in polygons(inside):
        for ring, sign in ((piece.outer, 1), *((hole, -1) for hole in piece.holes)):
            assert len(np.unique(ring, axis=0)) == len(ring)
            steps = np.roll(ring, -1, axis=0) - ring
            assert (np.count_nonzero(steps, axis=1) == 1).all()
            assert (np.count_nonzero(steps + np.roll(steps, -1, axis=0), axis=1) == 2).all()  # a corner at each point
            x, y = ring.T
            assert sign * (x @ np.roll(y, -1) - y @ np.roll(x, -1)) > 0


def test_one_pixel_is_a_square_at_its_edges() -> None:
    inside = np.zeros((3, 4), bool)
    inside[1, 2] = True
    (pixel,) = polygons(inside)
    assert {tuple(corner) for corner in pixel.outer.tolist()} == {(2, 1), (3, 1), (3, 2), (2, 2)}


@pytest.mark.parametrize("turned", [False, True])
def test_pixels_that_touch_at_a_corner_are_two_pieces(turned: bool) -> None:
    inside = np.eye(2, dtype=bool)
    assert len(polygons(inside[::-1] if turned else inside)) == 2


def test_a_checkerboard_is_one_piece_for_each_field() -> None:
    checks = np.indices((40, 40)).sum(0) % 2 == 0
    assert len(polygons(checks)) == checks.sum()
