"""An object on one plane, small enough to be sent with every click. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Box = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Region:
    """Part of a plane: what an object is inside a box; nothing of it lies outside.

    Attributes:
        box: rows and columns, whose length is that of `bits` unpacked.
        bits: the mask in the box, eight pixels a byte, as it travels.
    """

    box: Box
    bits: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, box: Box, mask: Mask) -> Region:
        """A mask (rows, columns) that fills the box."""
        return cls(box, np.packbits(mask))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the box."""
        rows, columns = self.box
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def mask(self) -> Mask:
        """Bool (rows, columns): the object in the box."""
        rows, columns = self.shape
        return np.unpackbits(self.bits, count=rows * columns).reshape(rows, columns).astype(bool)

    def on_plane(self, shape: tuple[int, int]) -> Mask:
        """Bool (Y, X): the object on its whole plane."""
        whole = np.zeros(shape, bool)
        whole[self.box] = self.mask
        return whole

    def equals(self, other: Region | None) -> bool:
        """Whether both are the same pixels in the same box."""
        return other is not None and self.box == other.box and np.array_equal(self.bits, other.bits)


NOTHING = Region((slice(0, 0), slice(0, 0)), np.zeros(0, np.uint8))
"""An object without a pixel."""
