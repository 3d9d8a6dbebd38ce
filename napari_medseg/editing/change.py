"""New pixels in a box of a mask, as arrays: what the window's thread notes, as it costs no more than copying them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .boxes import Array, Box, around, inside, sides
from .label_type import label_type

_PIECE = 2**20
"""Pixels that a box around several changes may have, unless one of them fills half of it."""


@dataclass(frozen=True, eq=False)
class Change:
    """New pixels in a box.

    Attributes:
        box: where.
        before: the pixels that were there; of the shape of the box.
        after: those that are there now, likewise.
        changed: which of them count; None for those that differ.
    """

    box: Box
    before: Array
    after: Array
    changed: npt.NDArray[np.bool_] | None = None

    def where(self) -> npt.NDArray[np.bool_]:
        """Which pixels of the box are others now."""
        return self.before != self.after if self.changed is None else self.changed

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """Types of the pixels before and after."""
        return self.before.dtype, self.after.dtype

    @property
    def nbytes(self) -> int:
        return self.before.nbytes + self.after.nbytes + (0 if self.changed is None else self.changed.nbytes)

    def unpacked(self) -> Change:
        return self

    def write(self, pixels: Array, *, back: bool) -> None:
        values = self.before if back else self.after
        if self.changed is None:
            pixels[self.box] = values
        else:
            put(pixels, self.box, self.changed, values[self.changed])


class Piece(Protocol):
    """A change, with arrays or compressed."""

    @property
    def box(self) -> Box:
        """Where."""

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """Types of the pixels before and after."""

    def unpacked(self) -> Change:
        """With arrays."""


P = TypeVar("P", bound=Piece)


def gathered(pieces: Sequence[P]) -> list[P | Change]:
    """As few boxes as are not much larger than what they hold, so that a long stroke does not cost the whole volume.

    A pixel that changed more than once counts once: as it was at first, and as it is at last.
    """
    groups: list[list[P]] = []
    box: Box = ()
    largest = 0
    for piece in pieces:
        size = math.prod(sides(piece.box))
        wider = around([box, piece.box]) if groups else piece.box
        if groups and math.prod(sides(wider)) <= max(_PIECE, 2 * max(largest, size)):
            groups[-1].append(piece)
            box, largest = wider, max(largest, size)
        else:
            groups.append([piece])
            box, largest = piece.box, size
    return [group[0] if len(group) == 1 else _united(group) for group in groups]


def _united(group: Sequence[Piece]) -> Change:
    """One box; the arrays of one piece at a time are in memory."""
    box = around(piece.box for piece in group)
    before = np.zeros(sides(box), label_type(*(piece.dtypes[0] for piece in group)))
    after = np.zeros(sides(box), label_type(*(piece.dtypes[1] for piece in group)))
    known = np.zeros(sides(box), bool)
    for piece in group:
        change, here = piece.unpacked(), inside(piece.box, box)
        where = change.where()
        np.copyto(before[here], change.before, where=where & ~known[here])
        np.copyto(after[here], change.after, where=where)
        known[here] |= where
    return Change(box, before, after, known)


def put(pixels: Array, box: Box, changed: npt.NDArray[np.bool_], values: Array) -> None:
    """Write the pixels of a box that changed, in C order.

    Of masks that are no numpy arrays the box is read, changed and written back, since they give copies.
    """
    part = np.asarray(pixels[box])
    part[changed] = values
    if not isinstance(pixels, np.ndarray):
        pixels[box] = part
