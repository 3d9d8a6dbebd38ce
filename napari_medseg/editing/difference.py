"""What a step changed in a mask, from its pieces. Without Qt and without napari."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

from .boxes import Array, Box, around
from .change import Change, gathered
from .packing import Packed, pack


class Difference:
    """Everything that one step changed: pieces, in the order in which they were written.

    Args:
        changes: none: it is not known yet what changed, and `fill` will tell.
    """

    def __init__(self, changes: Iterable[Change | Packed] | None = None) -> None:
        self._pieces: tuple[Change | Packed, ...] = tuple(changes or ())
        self._gathered = True  # whether there are as few pieces as can be
        self._known = threading.Event()
        if changes is not None:
            self._known.set()

    @property
    def known(self) -> bool:
        """Whether it is known what changed."""
        return self._known.is_set()

    def fill(self, changes: Iterable[Change | Packed]) -> None:
        """Tell what changed, once that has been found out."""
        self._pieces = tuple(changes)
        self._known.set()

    @property
    def pieces(self) -> tuple[Change | Packed, ...]:
        """What it consists of, oldest first."""
        return self._pieces

    @property
    def box(self) -> Box | None:
        """The box around all of it; None if nothing changed."""
        pieces = self._pieces  # the journal may exchange them at any moment
        return around(piece.box for piece in pieces) if pieces else None

    @property
    def packed(self) -> bool:
        """Whether all of it is compressed, and so holds no more memory than it will."""
        return all(isinstance(piece, Packed) for piece in self._pieces)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it holds."""
        return sum(piece.nbytes for piece in self._pieces)

    def apply(self, pixels: Array) -> None:
        """Write it into the mask as it was before the step."""
        for piece in self._pieces:
            piece.write(pixels, back=False)

    def revert(self, pixels: Array) -> None:
        """Take it out of the mask as it was after the step."""
        for piece in reversed(self._pieces):
            piece.write(pixels, back=True)

    def revert_on(self, plane: tuple[int, ...], pixels: Array) -> None:
        """Take it out of one plane of the mask as it was after the step.

        Args:
            plane: index along each leading axis.
            pixels: (Y, X) of that plane, of a type that holds what was there before.
        """
        leading = len(plane)
        for piece in reversed(self._pieces):
            if all(side.start <= at < side.stop for side, at in zip(piece.box, plane, strict=False)):
                change = piece.unpacked() if isinstance(piece, Packed) else piece
                here = tuple(at - side.start for at, side in zip(plane, change.box, strict=False))
                np.copyto(pixels[change.box[leading:]], change.before[here], where=change.where()[here])

    def then(self, later: Difference) -> Difference:
        """This and what followed it as one. Costs nothing; `pack` makes of its pieces as few as can be."""
        both = Difference([*self._pieces, *later._pieces])
        both._gathered = False
        return both

    def pack(self) -> tuple[Packed, ...]:
        """Compress it, which takes its time; what turns out to be no change is left out."""
        pieces = self._pieces
        if not self._gathered:
            pieces = tuple(gathered(pieces))
        packed: list[Packed] = []
        for piece in pieces:
            if isinstance(piece, Packed):
                packed.append(piece)
            else:
                packed += pack(piece)
        self._pieces, self._gathered = tuple(packed), True
        return tuple(packed)
