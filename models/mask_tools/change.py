"""What a tool would do to a mask: a bounding box, and the pixels in it before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

Region: TypeAlias = tuple[slice, ...]
"""A box in an array: one slice an axis, with start and stop and without a step."""

Progress: TypeAlias = Callable[[float], None]
"""Called with the share done, 0 < share <= 1; what it raises stops the tool, and the mask is as it was."""


@dataclass(frozen=True, eq=False)
class Change:
    """New pixels for a part of a mask.

    Attributes:
        region: where, as slices of the mask; the smallest box around the pixels that change, empty if none do.
        before: what the tool found there; whoever writes `after` sees by it whether the mask is still the same.
        after: what shall be there, in the mask's type, or in the next larger one if a new label needs it.
        said: what is done, in words.
    """

    region: Region
    before: Array
    after: Array
    said: str

    def __bool__(self) -> bool:
        """Whether any pixel changes."""
        return self.after.size > 0

    @property
    def pixels(self) -> int:
        """How many pixels change."""
        return int(np.count_nonzero(self.before != self.after))

    @classmethod
    def between(cls, region: Region, before: Array, after: Array, said: str) -> Change:
        """The change from `before` to `after` in `region`, cut to the pixels that differ."""
        box = box_of(before != after)
        return cls(inside(region, box), before[box], after[box], said)

    @classmethod
    def nothing(cls, mask: Array, said: str) -> Change:
        """No pixel changes; `said` tells why."""
        empty = np.zeros((0,) * mask.ndim, mask.dtype)
        return cls((slice(0, 0),) * mask.ndim, empty, empty, said)


def box_of(found: npt.NDArray[np.bool_]) -> Region:
    """The smallest box around the true pixels; empty (all slices 0 to 0) if there are none."""
    box = []
    for axis in range(found.ndim):
        others = tuple(other for other in range(found.ndim) if other != axis)
        at = np.flatnonzero(found.any(axis=others))
        if len(at) == 0:
            return (slice(0, 0),) * found.ndim
        box.append(slice(int(at[0]), int(at[-1]) + 1))
    return tuple(box)


def around(box: Region, reach: Sequence[int], shape: Sequence[int]) -> Region:
    """The box with `reach` pixels more on both sides of each axis, as far as the array goes."""
    return tuple(
        slice(max(side.start - more, 0), min(side.stop + more, length))
        for side, more, length in zip(box, reach, shape, strict=True)
    )


def union(boxes: Iterable[Region]) -> Region:
    """The smallest box around some boxes, of which there must be one at least."""
    sides = zip(*boxes, strict=True)
    return tuple(slice(min(s.start for s in side), max(s.stop for s in side)) for side in sides)


def common(one: Region, other: Region) -> Region:
    """Where two boxes overlap; a slice with equal start and stop where they do not."""
    starts = [max(a.start, b.start) for a, b in zip(one, other, strict=True)]
    stops = [min(a.stop, b.stop) for a, b in zip(one, other, strict=True)]
    return tuple(slice(start, max(start, stop)) for start, stop in zip(starts, stops, strict=True))


def is_empty(box: Region) -> bool:
    """Whether a box holds no pixel."""
    return any(side.stop <= side.start for side in box)


def inside(region: Region, box: Region) -> Region:
    """A box that is counted from the corner of `region`, counted from that of the whole array."""
    return tuple(slice(outer.start + s.start, outer.start + s.stop) for outer, s in zip(region, box, strict=True))


def relative(box: Region, region: Region) -> Region:
    """A box of the whole array, counted from the corner of `region`."""
    return tuple(slice(s.start - outer.start, s.stop - outer.start) for s, outer in zip(box, region, strict=True))
