"""Parts of a mask: upright boxes of pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

Box: TypeAlias = tuple[slice, ...]
"""A part of a mask: for each axis, from where to where, both numbers."""


def whole(shape: Sequence[int]) -> Box:
    """The box that a mask of this shape fills."""
    return tuple(slice(0, side) for side in shape)


def around(boxes: Iterable[Box]) -> Box:
    """The smallest box around all of these, at least one."""
    axes = zip(*boxes, strict=True)
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in axes)


def sides(box: Box) -> tuple[int, ...]:
    """Shape of what lies in a box."""
    return tuple(axis.stop - axis.start for axis in box)


def inside(box: Box, outer: Box) -> Box:
    """Where `box` lies in an array that holds what lies in `outer`."""
    return tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, outer, strict=True))
