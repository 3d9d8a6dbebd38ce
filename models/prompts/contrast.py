"""Whether an object still stands out from what is around it. Without torch.

A network that is shown where an object was one plane before finds it again where nothing is left but noise: it has
learned that borders may be too weak to be seen. What it cannot have learned is how this object looked a plane before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .proposal import Proposal

LEAST = 0.3
"""Share of its contrast that an object may not fall below from one plane to the next."""

VISIBLE = 0.08
"""Contrast, as a share of the image's range, from which an object is told by its brightness at all."""

Contrast = npt.NDArray[np.float64]


def contrast(pixels: npt.NDArray[Any], own: Proposal, limits: npt.NDArray[np.float64]) -> Contrast:
    """How much brighter an object is than a ring around it.

    Args:
        pixels: (Y, X, C).
        own: the object.
        limits: (C, 2), intensities that are 0 and 1.

    Returns:
        (C,), as a share of that range; 0 where the ring has no pixel.
    """
    rows, columns = own.mask.shape
    width = max(3, (rows + columns) // 10)
    padded = np.pad(own.mask, width)
    ring = ndimage.binary_dilation(padded, iterations=width) & ~ndimage.binary_dilation(padded)
    beyond = [np.arange(side.start - width, side.stop + width) for side in own.box]
    kept = [(at >= 0) & (at < length) for at, length in zip(beyond, pixels.shape, strict=False)]
    around = pixels[np.ix_(beyond[0][kept[0]], beyond[1][kept[1]])]
    mask, ring = padded[np.ix_(*kept)], ring[np.ix_(*kept)]
    if not ring.any() or not mask.any():
        return np.zeros(len(limits))
    difference = around[mask].mean(0, dtype=np.float64) - around[ring].mean(0, dtype=np.float64)
    return np.asarray(difference / np.maximum(limits[:, 1] - limits[:, 0], 1e-12))


def faded(before: Contrast, after: Contrast) -> bool:
    """Whether an object stood out on one plane and does not on the next."""
    strength = float(before @ before)
    return strength > VISIBLE**2 and float(after @ before) < LEAST * strength
