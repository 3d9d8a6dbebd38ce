import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models.scaling import Resampling
from napari_medseg.models.streaming.blending import Blender, Block
from napari_medseg.models.streaming.tiles import Grid

grids = st.builds(
    lambda height, width, tile, overlap: Grid(max(height, tile), max(width, tile), tile, overlap),
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(8, 40),
    st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7]),
)
PLANES = 2


def answers_of(grid: Grid, classes: int, seed: int) -> list:
    """Each tile of two planes with an answer that no other tile gives."""
    random = np.random.default_rng(seed)
    return [(tile, random.random((classes, *grid.sides), np.float32)) for tile in grid.tiles(PLANES)]


def blended(grid: Grid, answers: list, shape: tuple[int, int]) -> list[Block]:
    blender = Blender(grid, Resampling(grid.height, shape[0]), Resampling(grid.width, shape[1]))
    return [block for tile, answer in answers for block in blender.add(tile, torch.from_numpy(answer))]


def put_together(blocks: list[Block], classes: int, shape: tuple[int, int]) -> np.ndarray:
    whole = np.full((PLANES, classes, *shape), np.nan, np.float32)
    for block in blocks:
        here = whole[block.plane, :, block.top : block.bottom, block.left : block.right]
        assert np.isnan(here).all(), "no pixel comes twice"
        here[:] = block.probability
    return whole


def weighted_mean(grid: Grid, answers: list, classes: int) -> np.ndarray:
    """What blending means, with all of the image in memory."""
    total = np.zeros((PLANES, classes, grid.height, grid.width))
    weight = np.zeros_like(total)
    for tile, answer in answers:
        top, left = grid.rows[tile.row], grid.columns[tile.column]
        here = (tile.plane, slice(None), slice(top, top + grid.sides[0]), slice(left, left + grid.sides[1]))
        total[here] += answer * grid.window
        weight[here] += grid.window
    return total / weight


@given(grids, st.integers(1, 3), st.integers(0, 99))
def test_blocks_make_the_weighted_mean_of_all_tiles(grid: Grid, classes: int, seed: int) -> None:
    answers = answers_of(grid, classes, seed)
    found = put_together(blended(grid, answers, (grid.height, grid.width)), classes, (grid.height, grid.width))
    np.testing.assert_allclose(found, weighted_mean(grid, answers, classes), atol=1e-5)


@given(grids, st.integers(0, 99))
def test_they_come_from_left_to_right_and_then_from_top_to_bottom(grid: Grid, seed: int) -> None:
    at = (0, 0, 0)  # plane, row, column that the next block has to begin at
    for block in blended(grid, answers_of(grid, 1, seed), (grid.height, grid.width)):
        assert (block.plane, block.top, block.left) == at
        at = (block.plane, block.top, block.right)
        if block.right == grid.width:
            at = (block.plane, block.bottom, 0) if block.bottom < grid.height else (block.plane + 1, 0, 0)
    assert at == (PLANES, 0, 0)


@given(grids, st.integers(0, 99))
def test_a_pixel_is_given_out_with_the_last_tile_that_has_a_say_in_it(grid: Grid, seed: int) -> None:
    blender = Blender(grid, Resampling(grid.height, grid.height), Resampling(grid.width, grid.width))
    for tile, answer in answers_of(grid, 1, seed):
        if tile.plane:
            break
        blocks = list(blender.add(tile, torch.from_numpy(answer)))
        assert (blocks[0].top, blocks[0].left) == (grid.rows[tile.row], grid.columns[tile.column])
        last_row, last_column = tile.row + 1 == len(grid.rows), tile.column + 1 == len(grid.columns)
        assert blocks[-1].bottom == (grid.height if last_row else grid.rows[tile.row + 1])
        assert blocks[-1].right == (grid.width if last_column else grid.columns[tile.column + 1])


@given(grids, st.integers(0, 99), st.sampled_from([0.4, 0.77, 1.6]))
def test_of_an_image_seen_smaller_or_larger_the_mean_is_brought_back_to_its_size(
    grid: Grid, seed: int, scale: float
) -> None:
    shape = max(1, round(grid.height / scale)), max(1, round(grid.width / scale))
    answers = answers_of(grid, 2, seed)
    found = put_together(blended(grid, answers, shape), 2, shape)
    mean = weighted_mean(grid, answers, 2).astype(np.float32)
    rows, columns = Resampling(grid.height, shape[0]), Resampling(grid.width, shape[1])
    for plane in range(PLANES):
        np.testing.assert_allclose(found[plane], rows.apply(columns.apply(mean[plane], 2), 1), atol=1e-5)


@given(grids, st.integers(0, 99), st.integers(0, 5))
def test_begun_at_a_later_row_of_tiles_the_rows_that_only_those_reach_are_the_same(
    grid: Grid, seed: int, row: int
) -> None:
    row = min(row, len(grid.rows) - 1)
    answers = answers_of(grid, 1, seed)
    shape = grid.height, grid.width
    whole = put_together(blended(grid, answers, shape), 1, shape)
    later = [(tile, answer) for tile, answer in answers if (tile.plane, tile.row) >= (0, row)]
    part = put_together(blended(grid, later, shape), 1, shape)
    reached = grid.rows[row - 1] + grid.sides[0] if row else 0  # by the tiles that were left out
    assert np.array_equal(part[:, :, reached:], whole[:, :, reached:])
    assert np.array_equal(part[1], whole[1])
