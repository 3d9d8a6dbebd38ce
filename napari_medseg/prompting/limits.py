"""The intensities that the predictor takes for dark and bright: those of the whole image, the same on every plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.intensity import intensity_limits

from ..layer_pixels import full_size, reading

SAMPLED = 2**21
"""Pixels that are looked at, about, evenly spread over an image in memory."""

COARSE = 8
"""Of so many rows and columns one is looked at, before planes are left out."""

PLANES = 6
"""Planes that are looked at of an image that is read from a disk or a server."""

BLOCKS = 4
"""Blocks a side that are looked at of a large plane of it."""

BLOCK = 256
"""Pixels that such a block has a side."""


def image_limits(layers: Sequence[Any]) -> npt.NDArray[np.float64]:
    """The intensities that become 0 and 1, for each channel; may take long where pixels come from a disk or a server.

    Args:
        layers: the Image layers of all channels, in their order; one for an image of one channel, or of colours.

    Returns:
        (C, 2), see `napari_medseg.models.intensity`; of an even sample if the image is large.

    Raises:
        ImageError: the pixels cannot be had.
    """
    with reading(layers[0]):
        return np.concatenate([intensity_limits(_sample(layer)) for layer in layers])


def _sample(layer: Any) -> npt.NDArray[Any]:
    """Some pixels, (N, C)."""
    channels = 1 if not layer.rgb else int(full_size(layer).shape[-1])
    data = _level(layer.data, channels) if layer.multiscale else layer.data
    sides = data.shape[:-1] if layer.rgb else data.shape
    if isinstance(data, np.ndarray) and not isinstance(data, np.memmap):
        pixels = data[_evenly(sides)]
    else:
        pixels = np.concatenate([np.asarray(data[part]).reshape(-1, channels) for part in _blocks(sides)])
    return np.asarray(pixels).reshape(-1, channels)


def _level(levels: Any, channels: int) -> Any:
    """The finest level of a pyramid that can be looked at as a whole; the coarsest one if none can."""
    return next((level for level in levels if math.prod(level.shape) <= SAMPLED * channels), levels[-1])


def _evenly(sides: tuple[int, ...]) -> tuple[slice, ...]:
    """Every so many pixels along each axis; rows and columns first, since planes differ more than neighbours do."""
    steps = [1] * len(sides)
    while math.prod(left := [-(-side // step) for side, step in zip(sides, steps, strict=True)]) > SAMPLED:
        in_plane = [axis for axis in range(len(sides) - 2, len(sides)) if steps[axis] < COARSE]
        steps[max(in_plane or range(len(sides)), key=left.__getitem__)] += 1
    return tuple(slice(step // 2, None, step) for step in steps)


def _blocks(sides: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """Parts of planes that are evenly spread."""
    count = math.prod(sides[:-2])
    planes = np.unique(np.linspace(0, count - 1, min(PLANES, count)).round().astype(int))
    leading = [tuple(int(at) for at in np.unravel_index(plane, sides[:-2])) if sides[:-2] else () for plane in planes]
    return [(*at, rows, columns) for at in leading for rows in _spans(sides[-2]) for columns in _spans(sides[-1])]


def _spans(length: int) -> list[slice]:
    if length <= BLOCKS * BLOCK:
        return [slice(0, length)]
    starts = np.linspace(0, length - BLOCK, BLOCKS).round().astype(int)
    return [slice(int(start), int(start) + BLOCK) for start in starts]
