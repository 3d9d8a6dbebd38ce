"""Where the tiles of a plane lie, and how much each of them counts where several overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..tiling import blend_window, tile_origins


@dataclass(frozen=True)
class Tile:
    """One tile: its plane, and where it stands among the tile rows and columns of that plane."""

    plane: int
    row: int
    column: int


@dataclass(frozen=True)
class Grid:
    """The tiles of a plane of `height` x `width` pixels.

    Attributes:
        height: of the plane, no less than the tile's.
        width: of the plane, no less than the tile's.
        tile: longest side of a tile in pixels; shorter where the plane is.
        overlap: smallest share of a tile that its neighbour covers too.
    """

    height: int
    width: int
    tile: int
    overlap: float

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of each tile."""
        return min(self.tile, self.height), min(self.tile, self.width)

    @cached_property
    def rows(self) -> list[int]:
        """First row of each row of tiles."""
        return tile_origins(self.height, self.sides[0], self.overlap)

    @cached_property
    def columns(self) -> list[int]:
        """First column of each column of tiles."""
        return tile_origins(self.width, self.sides[1], self.overlap)

    @cached_property
    def window(self) -> npt.NDArray[np.float32]:
        """(h, w) how much each pixel of a tile counts."""
        return blend_window(*self.sides)

    @cached_property
    def weights(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """(height,) and (width,): the product of both is the sum of all windows at a pixel."""
        row, column = (blend_window(side, 1)[:, 0].astype(np.float64) for side in self.sides)
        middle = float(blend_window(1, 1)[0, 0]) ** 0.5  # of the axis of length one
        return _summed(row / middle, self.rows, self.height), _summed(column / middle, self.columns, self.width)

    def tiles(self, planes: int, start: tuple[int, int] = (0, 0)) -> Iterator[Tile]:
        """All tiles of so many planes in the order in which they are done, from (plane, row of tiles) on."""
        for plane in range(start[0], planes):
            for row in range(start[1] if plane == start[0] else 0, len(self.rows)):
                for column in range(len(self.columns)):
                    yield Tile(plane, row, column)

    def first_row_for(self, row: int) -> int:
        """The first row of tiles that has a say in a row of pixels, or in one below."""
        return next(number for number, origin in enumerate(self.rows) if origin + self.sides[0] > row)

    def final(self, tile: Tile) -> tuple[int, int]:
        """Rows and columns at the upper left of a tile that no later tile changes."""
        last_row, last_column = tile.row + 1 == len(self.rows), tile.column + 1 == len(self.columns)
        bottom = self.height if last_row else self.rows[tile.row + 1]
        right = self.width if last_column else self.columns[tile.column + 1]
        return bottom - self.rows[tile.row], right - self.columns[tile.column]


def _summed(profile: npt.NDArray[np.float64], origins: list[int], length: int) -> npt.NDArray[np.float32]:
    total = np.zeros(length)
    for origin in origins:
        total[origin : origin + len(profile)] += profile
    return total.astype(np.float32)
