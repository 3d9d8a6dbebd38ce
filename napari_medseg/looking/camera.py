"""Bringing a region of a layer into view."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

SHARE = 1 / 3
"""Of the view that a region fills."""

LEAST = 16
"""Pixels of the layer that a region is taken to have a side at least: around a single pixel there is nothing to see."""

Box = tuple[slice, ...]


def go_to(viewer: Any, layer: Any, at: Sequence[int]) -> None:
    """Move the sliders to a pixel of a layer."""
    world, beyond = layer.data_to_world(at), viewer.dims.ndim - layer.ndim
    hidden = [axis for axis in viewer.dims.not_displayed if axis >= beyond]
    if hidden:
        viewer.dims.set_point(hidden, [float(world[axis - beyond]) for axis in hidden])


def bring_into_view(viewer: Any, layer: Any, at: Sequence[int]) -> None:
    """Move the sliders to a pixel of a layer, and the camera if it is out of view; the zoom stays."""
    go_to(viewer, layer, at)
    world, beyond = layer.data_to_world(at), viewer.dims.ndim - layer.ndim
    rows, columns = viewer.dims.displayed[-2:]
    there = np.array([world[rows - beyond], world[columns - beyond]], float)
    canvas = np.array(viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size, float)[-2:]
    away = np.abs(there - np.array(viewer.camera.center, float)[-2:])
    if (away > canvas / (2 * viewer.camera.zoom)).any():
        viewer.camera.center = (*viewer.camera.center[:-2], *there)


def look_at(viewer: Any, layer: Any, box: Box, centre: Sequence[int]) -> None:
    """Move the sliders to the centre of a box, and the camera so that the box fills a third of the view.

    Args:
        viewer: napari's.
        layer: that the box lies in.
        box: from where to where along each axis, in pixels.
        centre: index of the pixel whose slice is shown.
    """
    go_to(viewer, layer, centre)
    shown = viewer.dims.displayed
    first, last = _in_world(viewer, layer, _widened(box), centre)
    whole = _in_world(viewer, layer, tuple(slice(0, side) for side in layer.data.shape), centre)
    middle = (first + last) / 2
    viewer.camera.center = tuple(middle[list(shown)])
    canvas = np.array(viewer.canvas.size if hasattr(viewer, "canvas") else viewer._canvas_size, float)[-2:]
    on_screen = list(shown[-2:])
    wanted = np.minimum((last - first)[on_screen] / SHARE, (whole[1] - whole[0])[on_screen] * 1.1)
    viewer.camera.zoom = float(np.min(canvas / np.maximum(wanted, 1e-9)))


def _widened(box: Box) -> Box:
    """A box that is LEAST pixels a side at least, in the plane of the pixels."""
    sides = []
    for side in box[-2:]:
        more = max(0, LEAST - (side.stop - side.start)) / 2
        sides.append(slice(side.start - more, side.stop + more))
    return (*box[:-2], *sides)


def _in_world(viewer: Any, layer: Any, box: Box, centre: Sequence[int]) -> tuple[Any, Any]:
    """First and last corner of a box in the world, for all axes of the viewer; the slice of the centre only, in 2D."""
    beyond = viewer.dims.ndim - layer.ndim
    spans = [
        (side.start - 0.5, side.stop - 0.5) if axis + beyond in viewer.dims.displayed else (at, at)
        for axis, (side, at) in enumerate(zip(box, centre, strict=True))
    ]
    corners = np.array([layer.data_to_world(corner) for corner in itertools.product(*spans)])
    unused = np.zeros(beyond)
    return np.concatenate((unused, corners.min(0))), np.concatenate((unused, corners.max(0)))
