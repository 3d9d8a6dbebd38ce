"""Which part of a large image is looked at, and which part around it is opened for correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_medseg.models.errors import PromptError

from ..image_layers import mask_shape

Box = tuple[slice, ...]

SIDE = 2048
"""Pixels of a part along its rows and columns, at most."""

LEAST = 512
"""The same, at least, where the image has as many: a few objects and what is around them."""

VOXELS = 2**26
"""Pixels of a part in all, at most; of a longer stack only the slices around the shown one are in it."""


def visible(viewer: Any, image: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where rows and columns of an image are in the view, in its pixels; may reach beyond the image.

    Raises:
        PromptError: it is not shown plane by plane with its rows and columns as they are.
    """
    dims = viewer.dims
    if dims.ndisplay != 2 or tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1):
        raise PromptError("A part is corrected on slices as they were taken: leave the 3D view, and roll no axes.")
    half = _canvas(viewer) / viewer.camera.zoom / 2
    middle = np.array(viewer.camera.center, float)[-2:]
    point = np.array(dims.point, float)
    corners = []
    for sign in (-1, 1):
        at = point.copy()
        at[-2:] = middle + sign * half
        corners.append(np.asarray(image.world_to_data(at))[-2:])
    low, high = np.minimum(*corners), np.maximum(*corners)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def part_in_view(viewer: Any, image: Any) -> Box:
    """The part to be corrected: what is in the view, and as much around it.

    Raises:
        PromptError: nothing of the image is in the view, or too much of it; says what to do.
    """
    shape = mask_shape(image)
    seen = []
    for (low, high), side in zip(visible(viewer, image), shape[-2:], strict=True):
        first, last = max(0, math.floor(low + 0.5)), min(side, math.ceil(high + 0.5))
        if first >= last:
            raise PromptError("Nothing of the image is in the view; move to where the mask has to be corrected.")
        seen.append((first, last))
    longest = max(last - first for first, last in seen)
    if longest > SIDE:
        raise PromptError(
            f"Zoom in to where the mask has to be corrected: {longest} pixels are in the view, and up to {SIDE} can be "
            "corrected at a time."
        )
    index = np.round(np.asarray(image.world_to_data(viewer.dims.point))[:-2]).astype(int)
    return part_around(seen, [int(at) for at in index], shape)


def part_around(seen: Sequence[tuple[int, int]], index: Sequence[int], shape: Sequence[int]) -> Box:
    """A part around what is seen.

    Args:
        seen: from where to where of rows and columns; at most SIDE each.
        index: of the shown plane, along each leading axis.
        shape: of the image.

    Returns:
        A box inside the image that holds all that is seen: twice as long and wide, where it may be.
    """
    plane = [_around(first, last, side) for (first, last), side in zip(seen, shape[-2:], strict=True)]
    left = max(1, VOXELS // math.prod(side.stop - side.start for side in plane))
    leading: list[slice] = []
    for at, side in reversed(list(zip(index, shape[:-2], strict=True))):  # as many planes as may be, then frames
        length = min(side, left)
        start = min(max(0, at - length // 2), side - length)
        leading.insert(0, slice(start, start + length))
        left = max(1, left // length)
    return (*leading, *plane)


def is_far(viewer: Any, image: Any, part: Box) -> bool:
    """Whether the middle of the view has left a part by more than half of the part's length or width."""
    try:
        ranges = visible(viewer, image)
    except PromptError:
        return False
    for (low, high), side in zip(ranges, part[-2:], strict=True):
        middle, more = (low + high) / 2, (side.stop - side.start) / 2
        if not side.start - more <= middle <= side.stop + more:
            return True
    return False


def look_at(viewer: Any, part: Any) -> None:
    """Have a part, which is a layer, in the view as a whole."""
    low, high = np.asarray(part.extent.world, float)
    middle = (low + high) / 2
    for axis in range(len(middle) - 2):
        if not low[axis] <= viewer.dims.point[axis] <= high[axis]:
            viewer.dims.set_point(axis, middle[axis])
    viewer.camera.center = (0, *middle[-2:])
    viewer.camera.zoom = float(np.min(_canvas(viewer) / np.maximum(high - low, 1e-9)[-2:]))


def _canvas(viewer: Any) -> Any:
    """Height and width of the canvas, in pixels of the screen."""
    return np.array(viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size, float)[-2:]


def _around(first: int, last: int, side: int) -> slice:
    length = min(side, max(LEAST, min(SIDE, 2 * (last - first))))
    start = min(max(0, (first + last - length) // 2), side - length)
    return slice(start, start + length)
