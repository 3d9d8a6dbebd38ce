"""Smaller copies of an image, held against the image that they are said to be copies of."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import cast

from ..image import Array

_log = logging.getLogger(__name__)

_ROUNDING = 2
"""Pixels by which a smaller copy may be larger or smaller than its ratio says: programs round up, down, and by tile."""

_LEAST_RATIO = 1.2
"""Of the sides of one level to the next; what shrinks less is no level of a pyramid but another image."""


def checked_levels(full: Array, smaller: Iterable[Array], axes: str, called: str) -> tuple[Array, ...]:
    """Those of the smaller copies that show the whole of an image, the largest first.

    Args:
        full: the pixels at full size.
        smaller: what the file calls smaller copies.
        axes: one letter for each axis of all of them.
        called: name of the file, for the log.

    Returns:
        Copies of the same type and with the same times and channels, whose rows and columns are fewer by one and the
        same ratio, and whose planes are not more. Others are left out: napari would show them as the same place.
    """
    kept: list[Array] = []
    for level in sorted(smaller, key=lambda pixels: -pixels.size):
        if _is_copy(level, full, axes) and _is_smaller(level, kept[-1] if kept else full, axes):
            kept.append(level)
        else:
            _log.warning("'%s' has a level of %s that is no copy of its %s; left out", called, level.shape, full.shape)
    return tuple(kept)


def _is_copy(level: Array, full: Array, axes: str) -> bool:
    if level.ndim != full.ndim or level.dtype != full.dtype or 0 in level.shape:
        return False
    sides, whole = dict(zip(axes, level.shape, strict=True)), dict(zip(axes, full.shape, strict=True))
    if any(sides[axis] != whole[axis] for axis in axes if axis in "TC") or sides.get("Z", 1) > whole.get("Z", 1):
        return False
    longer = "X" if whole["X"] > whole["Y"] else "Y"
    ratio = whole[longer] / sides[longer]
    return all(abs(whole[axis] / ratio - sides[axis]) <= max(_ROUNDING, 0.01 * sides[axis]) for axis in "YX")


def _is_smaller(level: Array, above: Array, axes: str) -> bool:
    sides = [(level.shape[axes.index(axis)], above.shape[axes.index(axis)]) for axis in "YX"]
    return cast(bool, max(large / small for small, large in sides) >= _LEAST_RATIO) and all(s <= a for s, a in sides)
