"""Where in an image the mouse is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_medseg.models.errors import PromptError
from napari_medseg.models.image import PLANE_CALLED
from napari_medseg.models.prompts.prompts import Position

from ..image_layers import axes_of, mask_shape, pixel_side

Plane = tuple[int, ...]


def shown_plane(viewer: Any, image: Any) -> Plane:
    """Index of the shown plane along each leading axis (time, plane) of an image layer; () for a 2D image.

    Raises:
        PromptError: it is not shown plane by plane with its rows and columns as they are, or not at all here.
    """
    dims = viewer.dims
    if dims.ndisplay != 2:
        raise PromptError(
            "Prompts are given on slices or frames: leave the 3D view first (the cube below the layer list)."
        )
    if tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1):
        raise PromptError(
            "Prompts are given on slices or frames as they were taken: the axes are rolled or transposed now; roll or "
            "transpose them back (the buttons below the layer list)."
        )
    at = np.asarray(image.world_to_data(dims.point))[:-2]
    plane = tuple(int(index) for index in np.round(at))
    if not all(0 <= index < length for index, length in zip(plane, mask_shape(image), strict=False)):
        raise PromptError(f"'{image.name}' has no {_called(plane, image)} here; move the slider below the image.")
    return plane


def _called(plane: Plane, image: Any) -> str:
    """What is missing where the sliders are: "slice" or "frame"."""
    beyond = (not 0 <= at < length for at, length in zip(plane, mask_shape(image), strict=False))
    return next((PLANE_CALLED[axis] for axis, out in zip(axes_of(image), beyond, strict=False) if out), "plane")


def position_in(image: Any, world: Sequence[float]) -> Position:
    """Row and column of an image layer, in its pixels, below a position in the world."""
    row, column = image.world_to_data(world)[-2:]
    return float(row), float(column)


def is_inside(image: Any, at: Position) -> bool:
    """Whether a position is on a pixel of the image."""
    return all(-0.5 <= x < side - 0.5 for x, side in zip(at, mask_shape(image)[-2:], strict=True))


def check_pixel(image: Any, plane: Plane, at: Position) -> None:
    """That a position is on a pixel in which there is something to be seen.

    Raises:
        PromptError: it is outside, or the pixel holds no number; those that are not in memory are taken to hold one.
    """
    if not is_inside(image, at):
        raise PromptError("That was outside the image; nothing was changed.")
    if isinstance(image.data, np.ndarray) and image.data.dtype.kind == "f":
        row, column = (round(x) for x in into(image, at))
        if not np.isfinite(image.data[(*plane, row, column)]).any():
            raise PromptError("The image has no value at this pixel; nothing was changed. Click on one beside it.")


def into(image: Any, at: Position) -> Position:
    """The nearest position on a pixel of the image."""
    row, column = (min(max(x, 0.0), side - 1.0) for x, side in zip(at, mask_shape(image)[-2:], strict=True))
    return row, column


def middle_of_view(viewer: Any, image: Any) -> Position:
    """The pixel of an image that lies in the middle of the canvas, or nearest to it; shown as `shown_plane` wants."""
    return into(image, position_in(image, (*viewer.dims.point[:-2], *viewer.camera.center[-2:])))


def canvas_pixels(viewer: Any, image: Any) -> float:
    """Pixels of the screen that a pixel of the image takes, roughly."""
    return float(viewer.camera.zoom * pixel_side(image))
