"""Distances in a mask, in the unit of its spacing, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .change import Region, around, relative
from .errors import MaskToolError

TILE = {1: 1 << 20, 2: 1024, 3: 128}
"""Side of a tile by number of axes: a distance transform needs some 40 bytes a pixel, 80 MB here."""

ROUNDING = 1 + 1e-6
"""Three steps of 0.3 mm are 0.9 mm, whatever floating point says."""


def checked_spacing(spacing: Sequence[float], ndim: int) -> tuple[float, ...]:
    """The spacing along each axis; 1 (pixels) if none is given.

    Raises:
        MaskToolError: not one positive number an axis.
    """
    steps = tuple(float(step) for step in spacing) or (1.0,) * ndim
    if len(steps) != ndim or not all(math.isfinite(step) and step > 0 for step in steps):
        raise MaskToolError(f"The spacing {tuple(spacing)} does not fit: {ndim} positive numbers are needed.")
    return steps


def checked_distance(distance: float) -> float:
    """The distance itself.

    Raises:
        MaskToolError: not a positive number.
    """
    if not (math.isfinite(distance) and distance > 0):
        raise MaskToolError(f"The distance is {distance:g}; it must be above 0.")
    return float(distance)


def reach_of(distance: float, spacing: Sequence[float]) -> tuple[int, ...]:
    """Pixels along each axis that a distance spans at most."""
    return tuple(math.floor(distance * ROUNDING / step) + 1 for step in spacing)


def tiles(region: Region) -> Iterator[Region]:
    """Boxes of at most `TILE` pixels a side that fill a region."""
    side = TILE[len(region)]
    counts = [range(axis.start, axis.stop, side) for axis in region]
    for at in np.ndindex(*(len(count) for count in counts)):
        starts = [count[number] for count, number in zip(counts, at, strict=True)]
        yield tuple(slice(s, min(s + side, axis.stop)) for s, axis in zip(starts, region, strict=True))


def near(found: npt.NDArray[np.bool_], distance: float, spacing: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Pixels whose middle is at most `distance` from the middle of a true one.

    Args:
        found: (Y, X) or (Z, Y, X); what lies outside the array counts as false.
        distance: in the unit of `spacing`.
        spacing: between neighbours, along each axis.
    """

    def near_in(part: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        return np.asarray(ndimage.distance_transform_edt(~part, sampling=spacing) <= distance * ROUNDING)

    return tile_by_tile(found, reach_of(distance, spacing), near_in)


def tile_by_tile(
    found: npt.NDArray[np.bool_],
    reach: Sequence[int],
    work: Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.bool_]],
) -> npt.NDArray[np.bool_]:
    """The result of something local, made of tiles, so that a volume needs little memory.

    Args:
        found: (Y, X) or (Z, Y, X).
        reach: pixels, along each axis, beyond which nothing counts for a pixel of the result.
        work: gives the result for a part of `found`; where all is true or all is false, that has to be the result.
    """
    result = found.copy()
    for tile in tiles(tuple(slice(0, side) for side in found.shape)):
        halo = around(tile, reach, found.shape)
        part = found[halo]
        if part.any() and not part.all():
            result[tile] = work(part)[relative(tile, halo)]
    return result
