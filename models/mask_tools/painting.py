"""Painting that keeps to pixels of some brightness."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .change import Array
from .errors import MaskToolError


def in_range(pixels: Array, low: float, high: float, *, colours: bool = False) -> npt.NDArray[np.bool_]:
    """Which pixels lie between two values, both included; what is no number does not.

    Args:
        pixels: the image, or a part of it.
        low: the least value.
        high: the largest value.
        colours: whether the last axis holds red, green, blue (and transparency, which does not count);
            the mean of the three is compared.

    Returns:
        True inside; the shape of `pixels`, without the axis of the colours.

    Raises:
        MaskToolError: `low` is above `high`, or one of them is no number.
    """
    if math.isnan(low) or math.isnan(high) or low > high:
        raise MaskToolError(f"The values go from {low:g} to {high:g}; the first must not be above the second.")
    values: npt.NDArray[Any] = pixels[..., :3].mean(axis=-1) if colours else pixels
    return np.asarray((values >= low) & (values <= high))


def limit_stroke(before: Array, after: Array, pixels: Array, low: float, high: float) -> Array:
    """A stroke kept to the pixels between two values: elsewhere the mask stays as it was.

    Args:
        before: the labels under the stroke.
        after: the same with the stroke.
        pixels: the image at the same place, of the same shape.
        low: the least value that is painted on.
        high: the largest.

    Returns:
        The labels, in the type of `after`.

    Raises:
        MaskToolError: the shapes differ, or as `in_range` does.
    """
    if not before.shape == after.shape == pixels.shape:
        raise MaskToolError(f"Mask {before.shape}, stroke {after.shape} and image {pixels.shape} differ in shape.")
    return np.where(in_range(pixels, low, high), after, before).astype(after.dtype, copy=False)
