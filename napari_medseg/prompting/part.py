"""How much of a plane the predictor is sent: all of it, or a part around what is clicked on. Without napari.

A plane of a slide may have gigabytes, of which a click needs a few megabytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_medseg.models.engine.region import Region
from napari_medseg.models.prompts.candidates import extent_of, united
from napari_medseg.models.prompts.prompts import Extent, Prompts
from napari_medseg.models.prompts.proposal import Piece, Proposal

WHOLE = 2**24
"""Pixels of a plane up to which it is sent as a whole."""

SIDE = 2048
"""Pixels that a part has a side at least."""

STEP = 256
"""Parts begin at multiples of this many pixels."""

ROOM = 0.125
"""Share of a part's side that is left around what it was cut for, so that it serves the next clicks, too."""


@dataclass(frozen=True)
class Part:
    """A part of a plane, in whose own pixels the predictor is asked and answers.

    Attributes:
        top: first row.
        left: first column.
        height: rows.
        width: columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def box(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def asked(self, prompts: Prompts) -> Prompts:
        """Prompts of the plane, as the part has them."""
        return prompts.moved(-self.top, -self.left)

    def region(self, region: Region) -> Region:
        """An object of the plane, as the part has it; what lies outside is left out."""
        (rows, columns), mask = region.box, region.mask
        (top, bottom), (left, right) = (
            (min(max(start, 0), length), min(max(stop, 0), length))
            for start, stop, length in (
                (rows.start - self.top, rows.stop - self.top, self.height),
                (columns.start - self.left, columns.stop - self.left, self.width),
            )
        )
        first_row, first_column = self.top - rows.start, self.left - columns.start
        kept = mask[top + first_row : bottom + first_row, left + first_column : right + first_column]
        return Region.of((slice(top, bottom), slice(left, right)), kept)

    def answer(self, proposal: Proposal) -> Proposal:
        """An answer of the part, as the plane has it."""
        (rows, columns) = proposal.box
        box = (
            slice(rows.start + self.top, rows.stop + self.top),
            slice(columns.start + self.left, columns.stop + self.left),
        )
        pieces = tuple(
            Piece(piece.prompts.moved(self.top, self.left), self.answer(piece.proposal)) for piece in proposal.pieces
        )
        return replace(proposal, box=box, pieces=pieces)


def part_for(shape: tuple[int, int], prompts: Prompts, region: Region, last: Part | None = None) -> Part:
    """The part of a plane that prompts and an object lie in.

    Args:
        shape: of the plane.
        prompts: on it.
        region: the object there.
        last: the part that was sent before, which is taken again if they lie well inside.
    """
    if shape[0] * shape[1] <= WHOLE:
        return Part(0, 0, *shape)
    (rows, columns) = region.box
    own: Extent | None = None
    if region.bits.size:
        own = (rows.start, columns.start), (rows.stop - 1, columns.stop - 1)
    extent = united(extent_of(prompts), own)
    assert extent is not None
    if last is not None and _has_room(last, extent, shape):
        return last
    spans = [_span(first, after, length) for first, after, length in zip(extent[0], extent[1], shape, strict=True)]
    return Part(spans[0][0], spans[1][0], spans[0][1], spans[1][1])


def _span(first: float, last: float, length: int) -> tuple[int, int]:
    """From where on, and how long, along one side of the plane; with twice the room that `_has_room` asks for."""
    needed = (last - first + 1) / (1 - 4 * ROOM)
    side = SIDE
    while side < needed:
        side *= 2
    side = min(side, length)
    start = round(((first + last) / 2 - side / 2) / STEP) * STEP
    return min(max(start, 0), length - side), side


def _has_room(part: Part, extent: Extent, shape: tuple[int, int]) -> bool:
    """Whether a box lies in a part and not near its border, unless the plane ends there."""
    for first, last, side, length in zip(*extent, part.box, shape, strict=True):
        room = ROOM * (side.stop - side.start)
        if side.start > 0 and first < side.start + room:
            return False
        if side.stop < length and last > side.stop - 1 - room:
            return False
    return True
