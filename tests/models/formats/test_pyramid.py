from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats.pyramid import checked_levels
from napari_medseg.models.formats.pyramid_tiles import block_shape, lazily


@given(
    height=st.integers(64, 3000),
    width=st.integers(64, 3000),
    factor=st.sampled_from([2, 3, 4]),
    rounding=st.sampled_from([np.floor, np.ceil, np.round]),
)
def test_every_way_of_rounding_a_half_is_a_level(height: int, width: int, factor: int, rounding: Any) -> None:
    full = np.broadcast_to(np.uint8(0), (height, width))
    level = np.broadcast_to(np.uint8(0), (int(rounding(height / factor)), int(rounding(width / factor))))
    assert len(checked_levels(full, [level], "YX", "a")) == 1


@pytest.mark.parametrize(
    ("shape", "axes", "levels", "kept"),
    [
        ((100, 200), "YX", [(25, 50), (50, 100)], [(50, 100), (25, 50)]),
        ((100, 200), "YX", [(100, 200), (50, 100)], [(50, 100)]),
        ((100, 200), "YX", [(50, 50)], []),
        ((100, 200), "YX", [(200, 400)], []),
        ((100, 200), "YX", [(0, 0)], []),
        ((9, 100, 200), "ZYX", [(9, 50, 100), (4, 25, 50)], [(9, 50, 100), (4, 25, 50)]),
        ((9, 100, 200), "TYX", [(4, 50, 100)], []),
        ((100, 200, 3), "YXC", [(50, 100, 3), (25, 50, 1)], [(50, 100, 3)]),
    ],
)
def test_what_is_no_copy_of_the_whole_is_left_out(
    shape: tuple[int, ...], axes: str, levels: list[tuple[int, ...]], kept: list[tuple[int, ...]]
) -> None:
    found = checked_levels(np.zeros(shape, "u1"), [np.zeros(level, "u1") for level in levels], axes, "a")
    assert [level.shape for level in found] == kept


def test_a_level_of_another_type_is_left_out() -> None:
    assert checked_levels(np.zeros((64, 64), "u2"), [np.zeros((32, 32), "u1")], "YX", "a") == ()


@given(
    sides=st.tuples(st.integers(1, 30000), st.integers(1, 30000)),
    tile=st.tuples(st.sampled_from([1, 7, 64, 256, 1024]), st.sampled_from([64, 256, 30000])),
    itemsize=st.sampled_from([1, 2, 4]),
)
def test_a_block_is_whole_tiles_and_not_much_larger_than_needed(
    sides: tuple[int, int], tile: tuple[int, int], itemsize: int
) -> None:
    block = block_shape((5, *sides), (1, *tile), "ZYX", itemsize)
    assert block[0] == 1
    for side, step, length in zip(sides, tile, block[1:], strict=True):
        assert length == side or length % step == 0
        assert length <= side
    largest = max(4 << 20, np.prod([min(pair) for pair in zip(sides, tile, strict=True)]) * itemsize)
    assert np.prod(block) * itemsize <= largest


class Broken:
    """Pixels that cannot be read."""

    shape, dtype = (64, 64), np.dtype("u1")

    def __getitem__(self, region: Any) -> Any:
        raise OSError(5, "Input/output error")


def test_nothing_is_read_before_it_is_computed_and_then_failures_are_sentences() -> None:
    pixels = lazily(Broken(), (32, 32), "YX", "a.tif")
    with pytest.raises(ImageError, match=r"Part of 'a\.tif' is damaged or missing \(.*Input/output error"):
        np.asarray(pixels)


def test_more_blocks_than_any_image_has_are_refused() -> None:
    broken = Broken()
    broken.shape = (10**9, 10**9)
    with pytest.raises(ImageError, match="more than can be opened"):
        lazily(broken, (256, 256), "YX", str(Path("a.tif")))
