"""Whether an object still stands out from what is around it. Without napari.

A network that is shown where an object was one slice before finds it again where nothing is left but noise: it has
learned that borders may be too weak to be seen. What it cannot have learned is how this object looked a slice before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_medseg.models.engine.region import Region

LEAST = 0.3
"""Share of its contrast that an object may not fall below from one slice to the next."""

VISIBLE = 0.08
"""Contrast, as a share of the image's range, from which an object is told by its brightness at all."""

SMALL = 40
"""Pixels below which brightness says little; so the ends of objects are not judged by it."""

Contrast = npt.NDArray[np.float64]


def contrast(pixels: npt.NDArray[Any], own: Region, limits: npt.NDArray[np.float64]) -> Contrast:
    """How much brighter an object is than a ring around it.

    Args:
        pixels: (Y, X) or (Y, X, C).
        own: the object.
        limits: (C, 2), intensities that are 0 and 1.

    Returns:
        (C,), as a share of that range; 0 where the ring has no pixel.
    """
    rows, columns = own.shape
    width = max(3, (rows + columns) // 10)
    top, left = own.box[0].start, own.box[1].start
    padded = np.pad(own.mask, width)
    ring = ndimage.binary_dilation(padded, iterations=width) & ~ndimage.binary_dilation(padded)
    inside_image = [np.arange(-width, side + width) + first for side, first in zip(own.shape, (top, left), strict=True)]
    kept = [(at >= 0) & (at < length) for at, length in zip(inside_image, pixels.shape, strict=False)]
    here = np.ix_(inside_image[0][kept[0]], inside_image[1][kept[1]])
    around, mask, ring = pixels[here], padded[np.ix_(*kept)], ring[np.ix_(*kept)]
    if around.ndim == 2:
        around = around[..., None]
    if not ring.any() or not mask.any():
        return np.zeros(len(limits))
    difference = around[mask].mean(0, dtype=np.float64) - around[ring].mean(0, dtype=np.float64)
    return difference / np.maximum(limits[:, 1] - limits[:, 0], 1e-12)


def faded(before: Contrast, after: Contrast) -> bool:
    """Whether an object stood out on one slice and does not on the next."""
    strength = float(before @ before)
    return strength > VISIBLE**2 and float(after @ before) < LEAST * strength
