"""Slices that are shifted against each other, as a tilted gantry makes them, moved onto a grid at right angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..image import Array

_SHEAR = 1e-3
"""Largest cosine between the axes that is not seen: 0.4 mm in a volume 40 cm long."""

_BESIDE = 0.1
"""Pixels by which a slice may lie beside the line through the first and the last."""


@dataclass(frozen=True)
class Shift:
    """How a plane is moved in a larger one.

    Attributes:
        y: rows downwards, 0 or more, a part of a row included.
        x: columns to the right, likewise.
    """

    y: float
    x: float

    def apply(self, plane: Array, shape: tuple[int, int], fill: float) -> Array:
        """The plane, (Y, X) or (Y, X, C), in one of `shape` with `fill` around it; whole numbers stay so.

        Linear interpolation, first along Y, then along X.
        """
        moved = _along(_along(plane, 0, self.y, shape[0], fill), 1, self.x, shape[1], fill)
        return np.rint(moved).astype(plane.dtype) if plane.dtype.kind in "iu" else moved.astype(plane.dtype)


def shifts_of(
    offsets: Array, at: Sequence[int], plane: tuple[int, int], shear: float
) -> tuple[tuple[Shift, ...], Array, tuple[int, int]]:
    """How slices are to be moved.

    Args:
        offsets: (slices, 2), how far the first pixel of each lies from that of the first slice along Y and X, in
            pixels.
        at: number of each slice in the stack; those that do not occur are missing.
        plane: lengths of Y and X.
        shear: of the stack, as `Geometry.shear`.

    Returns:
        One shift for each slice of the stack, missing ones included, or () if they stand one above the other; where
        the first pixel of the larger plane lies, (Y, X) in pixels; and the lengths of Y and X that it needs.
    """
    line = np.outer(np.array(at) / max(at[-1], 1), offsets[-1])
    if shear <= _SHEAR and np.abs(offsets - line).max() <= _BESIDE:
        return (), np.zeros(2), plane
    start = np.floor(offsets.min(axis=0) + 1e-6)
    grown = np.ceil(offsets.max(axis=0) - start - 1e-6).astype(int) + plane
    shifts = [Shift(0.0, 0.0)] * (at[-1] + 1)
    for slot, (y, x) in zip(at, np.maximum(offsets - start, 0), strict=True):
        shifts[slot] = Shift(float(y), float(x))
    return tuple(shifts), start, (int(grown[0]), int(grown[1]))


def _along(plane: Array, axis: int, shift: float, length: int, fill: float) -> Array:
    whole, part = int(np.floor(shift)), shift - np.floor(shift)
    if part < 1e-6 or part > 1 - 1e-6:
        whole, part = round(shift), 0.0
    moved = np.full((*plane.shape[:axis], length, *plane.shape[axis + 1 :]), fill, np.float64)
    kept = np.moveaxis(moved, axis, 0)
    rows = np.moveaxis(plane, axis, 0).astype(np.float64)
    if not part:
        kept[whole : whole + len(rows)] = rows
        return moved
    edge = np.full_like(rows[:1], fill)
    kept[whole : whole + len(rows) + 1] = (1 - part) * np.concatenate([rows, edge]) + part * np.concatenate(
        [edge, rows]
    )
    return moved
