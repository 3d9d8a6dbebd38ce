"""What prompts are answered with; carried between processes, so without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .prompts import Extent, Prompts


@dataclass(frozen=True, eq=False)
class Proposal:
    """A mask of one object on one plane.

    Attributes:
        plane: index along each leading axis of the image; () for a 2D image.
        box: rows and columns of the plane that the object lies in; nothing of it lies outside. Empty if there is none.
        mask: bool, in the box.
        confidence: uint8, in the box: 255 times the probability of the side that won, so 127 to 255.
        corrects: whether it began with a mask that somebody else made, of which a click changes only what is near it.
        pieces: those that lie apart and are worked on by themselves; none for an object that is worked on as a whole.
    """

    plane: tuple[int, ...]
    box: tuple[slice, slice]
    mask: npt.NDArray[np.bool_]
    confidence: npt.NDArray[np.uint8]
    corrects: bool = False
    pieces: tuple[Piece, ...] = ()

    @classmethod
    def nothing(cls, plane: tuple[int, ...]) -> Proposal:
        """No object."""
        return cls(plane, (slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool), np.zeros((0, 0), np.uint8))

    @classmethod
    def of(cls, mask: npt.NDArray[np.bool_], plane: tuple[int, ...]) -> Proposal:
        """A mask (Y, X) that somebody else made, of which all is certain."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            return cls.nothing(plane)
        box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        return cls(plane, box, mask[box].copy(), np.full(mask[box].shape, 255, np.uint8), corrects=True)

    @property
    def extent(self) -> Extent | None:
        """First and last row and column of the object; None if there is none."""
        (rows, columns) = self.box
        if rows.start == rows.stop:
            return None
        return (rows.start, columns.start), (rows.stop - 1, columns.stop - 1)

    def full(self, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """The mask in the whole plane, (Y, X)."""
        whole = np.zeros(shape, bool)
        whole[self.box] = self.mask
        return whole


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of an object that lies apart from the others.

    Attributes:
        prompts: that were about it.
        proposal: it.
    """

    prompts: Prompts
    proposal: Proposal
