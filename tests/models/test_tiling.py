from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models.tiling import blend_window, tile_origins

TILES = st.integers(1, 600)
OVERLAPS = st.floats(0, 0.95)


@given(TILES, st.integers(0, 5000), OVERLAPS)
def test_tiles_cover_the_whole_side_and_nothing_beyond(tile: int, more: int, overlap: float) -> None:
    origins = tile_origins(tile + more, tile, overlap)
    assert origins[0] == 0
    assert origins[-1] == more
    assert all(0 < after - before <= tile for before, after in pairwise(origins))


@given(st.integers(20, 600), st.integers(0, 5000), OVERLAPS)
def test_neighbours_share_at_least_what_was_asked(tile: int, more: int, overlap: float) -> None:
    origins = tile_origins(tile + more, tile, overlap)
    shared = [tile - (after - before) for before, after in pairwise(origins)]
    assert all(width >= overlap * tile - 1e-9 for width in shared)


@given(st.integers(64, 600), st.integers(0, 5000))
def test_no_more_tiles_than_needed(tile: int, more: int) -> None:
    assert len(tile_origins(tile + more, tile, 0.0)) == -(-(tile + more) // tile)


def test_a_side_of_one_tile_has_one() -> None:
    assert tile_origins(512, 512, 0.25) == [0]


@given(TILES, TILES)
def test_weights_are_positive_symmetric_and_highest_in_the_middle(height: int, width: int) -> None:
    window = blend_window(height, width)
    assert window.shape == (height, width)
    assert window.dtype == np.float32
    assert window.min() > 0
    assert np.allclose(window, window[::-1, ::-1])
    assert window[height // 2, width // 2] == window.max()


@given(st.integers(8, 600), st.integers(8, 600))
def test_how_little_a_tiles_edge_counts_is_the_same_along_the_border_of_the_image(height: int, width: int) -> None:
    window = blend_window(height, width)
    assert np.allclose(window[0] / window[height // 2], window[0, 0] / window[height // 2, 0])
