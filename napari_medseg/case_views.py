"""What of a case fits into a page: one plane of a volume, and of a large plane a part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.image import PLANE_CALLED, Array, MedicalImage

SIDE = 480
"""Pixels that the longer side of a picture has at most."""

SMALL = 240
"""Pixels that it has at least: smaller images are magnified, so that outlines hide little."""


@dataclass(frozen=True, eq=False)
class View:
    """A part of a case.

    Attributes:
        image: (Y, X) or (Y, X, C).
        mask: labels, (Y, X).
        proposal: likewise, or None.
        where: which slice and which part it is, for people; "" for all of the image.
        aspect: width of the part divided by its height, as long as its pixels are.
    """

    image: MedicalImage
    mask: Array
    proposal: Array | None
    where: str
    aspect: float


def view_of(image: MedicalImage, mask: Array, proposal: Array | None) -> View:
    """The middle one of the planes in which there is an object; of a large plane where most was corrected.

    Args:
        image: any.
        mask: labels of its `mask_shape`.
        proposal: likewise, or None.
    """
    index = _plane(mask if mask.any() or proposal is None else proposal)
    said = [
        f"{PLANE_CALLED[axis]} {at} of {length} (counted from 0)"
        for axis, at, length in zip(image.axes, index, mask.shape, strict=False)
    ]
    flat, drawn = mask[index], None if proposal is None else proposal[index]
    pixels = image.data[index]
    height, width = flat.shape
    step = 1
    if max(flat.shape) > 2 * SIDE:
        box = _busiest(flat, drawn)
        pixels, flat, drawn = pixels[box], flat[box], None if drawn is None else drawn[box]
        said.append(f"{flat.shape[1]} x {flat.shape[0]} of {width} x {height} pixels")
    elif max(flat.shape) > SIDE:
        step = 2
    times = max(1, -(-SMALL // max(flat.shape)))
    flat, drawn = _sized(flat, step, times), None if drawn is None else _sized(drawn, step, times)
    shown = MedicalImage(_sized(pixels, step, times), "YXC" if "C" in image.axes else "YX")
    y, x = image.spacing[-2:]
    return View(shown, flat, drawn, ", ".join(said), float(flat.shape[1] * x / (flat.shape[0] * y)))


def _plane(mask: Array) -> tuple[int, ...]:
    """Index along the leading axes."""
    there = np.flatnonzero(mask.any(axis=(-2, -1)))
    count = int(np.prod(mask.shape[:-2], dtype=np.int64))
    middle = there[len(there) // 2] if len(there) else count // 2
    return tuple(int(at) for at in np.unravel_index(middle, mask.shape[:-2])) if mask.ndim > 2 else ()


def _busiest(mask: Array, proposal: Array | None) -> tuple[slice, slice]:
    """The square with most that was corrected, or with most objects."""
    wrong: npt.NDArray[Any] = (mask > 0) != (proposal > 0) if proposal is not None else mask > 0
    counted = wrong if wrong.any() else mask > 0
    starts = [np.arange(0, length, SIDE) for length in mask.shape]
    counts = np.add.reduceat(np.add.reduceat(counted, starts[0], axis=0, dtype=np.int64), starts[1], axis=1)
    row, column = np.unravel_index(int(np.argmax(counts)), counts.shape)
    corner = [max(0, min(int(at) * SIDE, length - SIDE)) for at, length in zip((row, column), mask.shape, strict=True)]
    return slice(corner[0], corner[0] + SIDE), slice(corner[1], corner[1] + SIDE)


def _sized(pixels: Array, step: int, times: int) -> Array:
    """Every `step`-th pixel, each `times` as large."""
    return pixels[::step, ::step].repeat(times, 0).repeat(times, 1)
