"""A mask and the doubt about it in cells of a few pixels, so that a volume can be looked through in a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

CELLS = 2**20
"""Cells at most, unless a volume has more planes than can be made up for within them."""

Box = tuple[slice, ...]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Merged:
    """Some cells together.

    Attributes:
        pixels: in them.
        doubt: of all pixels, added up, each out of 255.
    """

    pixels: int
    doubt: float

    @property
    def mean(self) -> float:
        """Doubt of a pixel, out of 255."""
        return self.doubt / max(self.pixels, 1)


@dataclass(frozen=True, eq=False)
class Cells:
    """Squares of pixels within each plane.

    Attributes:
        side: of a cell, in pixels; planes are not merged.
        shape: of the mask, (..., Y, X).
        doubt: float32 (..., rows, columns): mean over the cell of 255 minus the confidence.
        labels: (..., rows, columns): the largest label in the cell.
    """

    side: int
    shape: tuple[int, ...]
    doubt: npt.NDArray[np.float32]
    labels: Array

    @classmethod
    def of(cls, confidence: npt.NDArray[np.uint8], mask: Array) -> Cells:
        """Cells as small as the number of pixels allows; those of an image up to a megapixel are its pixels."""
        side = 1
        while side < min(mask.shape[-2:]) and mask.size / side**2 > CELLS:
            side += 1
        if side == 1:
            return cls(1, mask.shape, np.subtract(255, confidence, dtype=np.float32), mask)
        starts = [np.arange(0, length, side) for length in mask.shape[-2:]]
        shape = (*mask.shape[:-2], len(starts[0]), len(starts[1]))
        doubt, labels = np.empty(shape, np.float32), np.empty(shape, mask.dtype)
        area = np.outer(*(np.diff([*starts[axis], mask.shape[axis - 2]]) for axis in (0, 1)))
        for plane in np.ndindex(*mask.shape[:-2]):
            rows = np.add.reduceat(255 - confidence[plane], starts[0], 0, dtype=np.float32)
            doubt[plane] = np.add.reduceat(rows, starts[1], 1) / area
            labels[plane] = np.maximum.reduceat(np.maximum.reduceat(mask[plane], starts[0], 0), starts[1], 1)
        return cls(side, mask.shape, doubt, labels)

    def parts(
        self, numbers: Array, wanted: Callable[[int, int], bool] = lambda number, pixels: True
    ) -> Iterator[tuple[int, Box, Merged]]:
        """Each part that the cells were divided into.

        Args:
            numbers: in the shape of the cells: of the part that each belongs to; 0 for none.
            wanted: says of a part, by its number and its size in pixels, whether it is asked for.

        Yields:
            Its number, its box among the cells, and what is in it.
        """
        pixels = np.bincount(numbers.ravel()) * self.side**2
        doubt = np.bincount(numbers.ravel(), self.doubt.ravel()) * self.side**2
        for number, box in enumerate(ndimage.find_objects(numbers), 1):
            if box is not None and wanted(number, int(pixels[number])):
                yield number, box, Merged(int(pixels[number]), float(doubt[number]))

    def box(self, cells: Box) -> Box:
        """Pixels of a box of cells."""
        return (
            *cells[:-2],
            *(
                slice(side.start * self.side, min(side.stop * self.side, length))
                for side, length in zip(cells[-2:], self.shape[-2:], strict=True)
            ),
        )

    def middle(self, cell: tuple[int, ...]) -> tuple[int, ...]:
        """The pixel in the middle of a cell."""
        row, column = (
            min(at * self.side + self.side // 2, length - 1)
            for at, length in zip(cell[-2:], self.shape[-2:], strict=True)
        )
        return *cell[:-2], row, column
