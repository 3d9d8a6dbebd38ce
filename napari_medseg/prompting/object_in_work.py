"""The object that prompts are about: which pixels of the mask are its own, and what lies beneath them. Without napari.

An answer replaces the one before, so what an object covered must come back when it shrinks: other labels that it ran
over while a box was still being dragged, say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.engine.region import NOTHING, Region
from napari_medseg.models.prompts.prompts import Prompts, Sizes

Plane = tuple[int, ...]
Box = tuple[slice, slice]
Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answer:
    """What prompts were answered with, and what of it was written: not all, where other labels are kept."""

    proposed: Region
    written: Region


@dataclass(eq=False)
class PlaneInWork:
    """An object on one plane.

    Attributes:
        label: of the object.
        alone: whether all pixels of that label are the object's; False for a class that several objects share.
        begun: the object as it was before the first prompt; nothing of a new one.
        box: rows and columns outside of which no pixel is the object's own.
        below: (rows, columns) of the box, what would be there without the object. Where this is the object's own label,
            the pixel belongs to another object of the same class.
        answers: to the prompts that were given. A correction goes on from the network's own answer, also where not all
            of it could be written.
    """

    label: int
    alone: bool = True
    begun: Region = NOTHING
    box: Box = NOTHING.box
    below: Array = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    answers: dict[Prompts, Answer] = field(default_factory=dict)

    @classmethod
    def picked(cls, label: int, alone: bool, pixels: Array, begun: Region) -> PlaneInWork:
        """An object that is there already: `pixels` (Y, X) is the mask, `begun` where the object is in it."""
        below = np.where(begun.mask, 0, pixels[begun.box]).astype(pixels.dtype)
        return cls(label, alone, begun, begun.box, below)

    def owns(self, pixels: Array, row: int, column: int) -> bool:
        """Whether a pixel of the plane is the object's."""
        if self.alone:
            return bool(pixels[row, column] == self.label)
        rows, columns = self.box
        if not (rows.start <= row < rows.stop and columns.start <= column < columns.stop):
            return False
        below = self.below[row - rows.start, column - columns.start]
        return bool(pixels[row, column] == self.label and below != self.label)

    def reaches(self, pixels: Array, box: Box) -> bool:
        """Whether a pixel of the object lies in a box."""
        rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(self.box, box, strict=True))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return False
        below = self.below[_within((rows, columns), self.box)]
        return bool(np.any((pixels[rows, columns] == self.label) & (below != self.label)))

    def own(self, pixels: Array) -> Region:
        """The object as it is in the mask (Y, X)."""
        return trimmed(self.box, (pixels[self.box] == self.label) & (self.below != self.label))

    def now(self, pixels: Array, prompts: Prompts) -> Region:
        """What a further prompt has to go on from.

        Args:
            pixels: (Y, X) of the mask.
            prompts: on this plane so far.

        Returns:
            The answer to these prompts if the object is still what was written of it; else the object as it is.
        """
        own, answer = self.own(pixels), self.answers.get(prompts)
        return answer.proposed if answer and own.equals(answer.written) else own

    def remember(self, pixels: Array, prompts: Prompts, proposed: Region) -> None:
        """These prompts were answered, and the mask is what came of it."""
        self.answers[prompts] = Answer(proposed, self.own(pixels))

    def to_write(self, pixels: Array, proposed: Region, *, overwrite: bool) -> tuple[Box, Array]:
        """Where an answer changes the mask (Y, X), and the pixels that have to be written there.

        Args:
            pixels: (Y, X) of the mask.
            proposed: the answer.
            overwrite: whether it may take pixels of other labels.
        """
        self._cover(pixels, proposed.box)
        inside = np.zeros(self.below.shape, bool)
        if proposed.bits.size:
            inside[_within(proposed.box, self.box)] = proposed.mask
        if not overwrite:
            inside &= self.below == 0
        after = self.below.astype(np.promote_types(self.below.dtype, np.min_scalar_type(self.label)))
        after[inside] = self.label
        changes = trimmed(self.box, pixels[self.box] != after).box
        return changes, after[_within(changes, self.box)]

    def changed(self, pixels: Array, box: Box) -> None:
        """Somebody else changed the mask in a box of this plane: a brush, an undo, another tool."""
        if np.any(pixels[box] == self.label):
            self._cover(pixels, box)
        pixels = pixels[self.box]
        self.below = np.where(pixels == self.label, self.below, pixels)

    def _cover(self, pixels: Array, box: Box) -> None:
        """Know what lies below another box, too."""
        if any(side.start >= side.stop for side in box):
            return
        union = _union(self.box, box) if self.below.size else box
        if union == self.box:
            return
        below = pixels[union].copy()
        if self.alone:
            below[below == self.label] = 0
        if self.below.size:
            below = below.astype(np.promote_types(below.dtype, self.below.dtype), copy=False)
            below[_within(self.box, union)] = self.below
        self.box, self.below = union, below


@dataclass(eq=False)
class ObjectInWork:
    """An object, on one plane or on several of a volume or a series.

    Attributes:
        label: its own.
        alone: whether all pixels of that label are its own.
        sizes: of others of its kind, in pixels; None if there were none when it began.
        planes: what is known of it on each plane that was worked on.
    """

    label: int
    alone: bool = True
    sizes: Sizes | None = None
    planes: dict[Plane, PlaneInWork] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """Whether nothing of it was there before the first prompt."""
        return not any(plane.begun.bits.any() for plane in self.planes.values())

    def asked(self, prompts: Prompts) -> Prompts:
        """Prompts of the object on one plane, which is all that is sent of the image, as the predictor is asked."""
        return prompts.flat().expecting(self.sizes)

    def on(self, plane: Plane) -> PlaneInWork:
        """The object on a plane; nothing there yet if it was not worked on."""
        return self.planes.setdefault(plane, PlaneInWork(self.label, self.alone))


def trimmed(box: Box, mask: Mask) -> Region:
    """A mask that fills a box, in the smallest box that holds it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return NOTHING
    here = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    top, left = box[0].start, box[1].start
    return Region.of(
        (slice(top + here[0].start, top + here[0].stop), slice(left + here[1].start, left + here[1].stop)), mask[here]
    )


def _union(one: Box, other: Box) -> Box:
    (a, b), (c, d) = one, other
    return slice(min(a.start, c.start), max(a.stop, c.stop)), slice(min(b.start, d.start), max(b.stop, d.stop))


def _within(box: Box, outer: Box) -> Box:
    """A box as seen from the corner of another one; an empty one is empty anywhere."""
    if any(side.start >= side.stop for side in box):
        return NOTHING.box
    top, left = outer[0].start, outer[1].start
    return slice(box[0].start - top, box[0].stop - top), slice(box[1].start - left, box[1].stop - left)
