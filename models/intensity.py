"""How intensities of any scale become what a network reads.

One rule for all images: each channel is shifted and scaled so that its 1st percentile becomes 0 and its 99.8th
becomes 1, over the whole image or volume (never over a tile or a slice, so that neighbours agree), then clipped to
[-1, 2]. Therefore 8-bit,
16-bit and floating point copies of an image give the same input. NaN and infinities take no part in the
percentiles; NaN and minus infinity become 0, plus infinity becomes 1. A constant channel becomes 0.

A network sees a grey image in each of its channels; one that reads one channel sees the mean of three, as of red,
green and blue. Any other number of channels must be the network's own. Four channels are four stains: transparency
was left out when the image was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ImageError

LOW, HIGH = 1.0, 99.8
"""Percentiles that become 0 and 1."""

SAMPLED = 2**22
"""Percentiles of more values than this are taken from an even sample of them."""

READ = 2**28
"""Of more pixels than this not even each row is looked at for the sample, but squares of `SQUARE` pixels."""

SQUARE = 64
"""Side of those squares, which lie evenly over the planes and over each plane."""


def match_channels(data: npt.NDArray[Any], in_channels: int) -> npt.NDArray[Any]:
    """(..., C) with the number of channels that a network reads; perhaps a view that cannot be written to.

    Raises:
        ImageError: the numbers differ and none of the rules of this module fits.
    """
    given = data.shape[-1]
    if given == in_channels:
        return data
    if given == 1:
        return np.broadcast_to(data, (*data.shape[:-1], in_channels))
    if given == 3 and in_channels == 1:
        return data.mean(axis=-1, keepdims=True)
    raise ImageError(
        f"This image has {given} channels, but the network reads {in_channels}. "
        "Pick one channel (a single one always fits), or a network made for this number of channels."
    )


def intensity_limits(data: Any) -> npt.NDArray[np.float64]:
    """The intensities that become 0 and 1.

    Args:
        data: (..., Y, X, C), any integer or real type and range; a dask array is read piece by piece.

    Returns:
        (C, 2), low and high of each channel; equal where a channel is constant or nowhere finite.
    """
    return limits_of(intensity_sample(data))


def intensity_sample(data: Any, in_channels: int | None = None) -> npt.NDArray[Any]:
    """An even sample of an image's pixels, the same one however the image is stored.

    Args:
        data: (..., Y, X, C), a NumPy or a dask array; of the latter only a strip is in memory at once.
        in_channels: channels of the sample, as `match_channels` makes them; by default those of the image.

    Returns:
        (n, C): all pixels up to `SAMPLED`, else about as many of them.
    """
    channels = in_channels or data.shape[-1]
    if data.shape[-1] == 1:  # which all channels will be
        channels = 1
    size = int(np.prod(data.shape[:-1], dtype=np.int64))
    pieces = _squares(data) if size > READ else _every(data, max(1, size // SAMPLED))
    return np.concatenate([match_channels(piece, channels) for piece in pieces])


def limits_of(sample: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(C, 2), low and high of each channel of a sample (n, C)."""
    return np.array([_channel_limits(sample[:, channel]) for channel in range(sample.shape[-1])])


def normalise(plane: npt.NDArray[Any], limits: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Intensities as a network reads them.

    Args:
        plane: (Y, X, C), any integer or real type and range.
        limits: (C, 2), of `intensity_limits`.

    Returns:
        (C, Y, X) float32 within [-1, 2].
    """
    exact = np.float32 if plane.dtype.itemsize <= 2 else np.float64  # which holds all values of the type
    low: npt.NDArray[Any] = limits[:, 0, None, None].astype(exact)  # (C, 1, 1)
    span: npt.NDArray[Any] = np.diff(limits)[..., None].astype(exact)
    stretched = np.moveaxis(plane, -1, 0).astype(exact)  # (Y, X, C) -> (C, Y, X)
    with np.errstate(over="ignore", invalid="ignore"):
        np.subtract(stretched, low, out=stretched)
        np.divide(stretched, np.where(span > 0, span, np.inf), out=stretched)
    if plane.dtype.kind == "f":
        np.nan_to_num(stretched, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
    return np.clip(stretched, -1, 2, out=stretched).astype(np.float32, copy=False)


def _every(data: Any, step: int) -> Iterator[npt.NDArray[Any]]:
    """Each `step`-th pixel in the order of memory, as (n, C) a piece."""
    if data.ndim < 3:
        yield np.asarray(data).reshape(-1, data.shape[-1])[::step]
        return
    *leading, height, width, channels = data.shape
    rows = max(1, min(height, _STRIP // max(1, width)))
    passed = 0
    for index in np.ndindex(*leading):
        for top in range(0, height, rows):
            strip = np.asarray(data[(*index, slice(top, top + rows))]).reshape(-1, channels)
            yield strip[-passed % step :: step].copy()
            passed += len(strip)


def _squares(data: Any) -> Iterator[npt.NDArray[Any]]:
    """Squares that lie evenly, with about `SAMPLED` pixels in all, as (n, C) a piece."""
    *leading, height, width, channels = data.shape
    planes = list(np.ndindex(*leading))
    several = min(len(planes), 64)
    chosen = [planes[number] for number in np.linspace(0, len(planes) - 1, several).round().astype(int)]
    a_side = max(1, round((SAMPLED / SQUARE**2 / several) ** 0.5))
    tops, lefts = (
        np.linspace(0, max(0, side - SQUARE), min(a_side, -(-side // SQUARE))).astype(int) for side in (height, width)
    )
    for index, top, left in product(chosen, tops, lefts):
        square = data[(*index, slice(top, top + SQUARE), slice(left, left + SQUARE))]
        yield np.asarray(square).reshape(-1, channels)


_STRIP = 2**22
"""Pixels that are read at once for the sample."""


def _channel_limits(channel: npt.NDArray[Any]) -> tuple[float, float]:
    values = channel.astype(np.float64)
    if channel.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 0.0
    low, high = np.percentile(values, (LOW, HIGH), overwrite_input=True)
    if high <= low:  # nearly constant: fewer than 0.2 % of the pixels stand out
        low, high = values.min(), values.max()
    return float(low), float(high)
