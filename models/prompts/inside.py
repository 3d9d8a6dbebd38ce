"""Whether the inside of an object goes on from one plane to the next, or another one's begins. Without torch.

Two vertebrae are of one brightness and one shape, and lie over one another: neither what is inside the mask nor its
outline tells where one ends. But bright and dark spots inside an object go on in the next plane, and those of another
object are others. In an object without any, such as a liver in noise, there is nothing to be told from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .proposal import Proposal
from .rastering import Box2D

SIDE = 128
"""Pixels a side that are kept of a plane at most, evenly spread over the object."""

RIM = 2
"""Pixels from an object's border that are left out: they change wherever the border moves."""

LEAST = 30
"""Pixels that have to be compared to tell anything."""

EARLIER = 2
"""Steps that have to be known before one is judged by them."""

PATTERN = 0.25
"""Correlation of an object's inside with the plane before, from which on it has spots that go on."""

LOST = 0.05
"""Correlation below which they do not."""

SUDDEN = 1.3
"""By how much more than usual the inside has to change in the same step: a pattern may also fade away."""


@dataclass(frozen=True, eq=False)
class Inside:
    """The pixels of an object on one plane.

    Attributes:
        box: rows and columns of the plane.
        step: every so many of them are kept.
        pixels: (rows, columns, C).
    """

    box: Box2D
    step: int
    pixels: npt.NDArray[np.float32]

    @classmethod
    def of(cls, pixels: npt.NDArray[Any], own: Proposal) -> Inside:
        """Of a plane (Y, X, C), in the box around the object."""
        rows, columns = own.box
        step = max(1, -(-max(rows.stop - rows.start, columns.stop - columns.start) // SIDE))
        return cls(own.box, step, pixels[own.box][::step, ::step].astype(np.float32))


@dataclass(frozen=True)
class Step:
    """How the inside of an object changed from one plane to the next.

    Attributes:
        likeness: correlation of its pixels, -1 to 1.
        change: mean difference of its pixels, in the image's own units.
    """

    likeness: float
    change: float


def step_between(inside: Inside, before: Proposal, pixels: npt.NDArray[Any], found: Proposal) -> Step | None:
    """Compare an object with itself on the plane before; None if too little of it lies over one another.

    Args:
        inside: of the plane before.
        before: the object there, or what is left of it where other labels lie.
        pixels: (Y, X, C) of this plane.
        found: the object here.
    """
    sampled = (slice(None, None, inside.step), slice(None, None, inside.step))
    here = _cut(before, inside.box) & _cut(found, inside.box)
    core = ndimage.binary_erosion(here, iterations=RIM)
    core = (core if core[sampled].sum() >= LEAST else here)[sampled]
    if core.sum() < LEAST:
        return None
    first, second = inside.pixels[core], pixels[inside.box][sampled][core].astype(np.float32)
    change = float(np.nanmean(np.abs(second - first)))
    first, second = (values - np.nanmean(values, 0) for values in (first, second))
    size = float(np.sqrt(np.nansum(first**2) * np.nansum(second**2)))
    return Step(float(np.nansum(first * second)) / size if size > 0 else 0.0, change)


def _cut(own: Proposal, box: Box2D) -> npt.NDArray[np.bool_]:
    """The part of an object that lies in a box, as large as that."""
    mask = np.zeros(tuple(side.stop - side.start for side in box), bool)
    both = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(own.box, box, strict=True)]
    if all(side.start < side.stop for side in both):
        there = tuple(slice(side.start - by.start, side.stop - by.start) for side, by in zip(both, box, strict=True))
        here = tuple(slice(side.start - by.start, side.stop - by.start) for side, by in zip(both, own.box, strict=True))
        mask[there] = own.mask[here]
    return mask


def broke_off(earlier: tuple[Step, ...], now: Step) -> bool:
    """Whether the inside went on from plane to plane so far, and now it is another one."""
    if len(earlier) < EARLIER:
        return False
    usual = float(np.median([step.likeness for step in earlier]))
    change = float(np.median([step.change for step in earlier]))
    return usual > PATTERN and now.likeness < LOST and now.change > SUDDEN * change
