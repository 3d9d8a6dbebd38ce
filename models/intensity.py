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

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ImageError

LOW, HIGH = 1.0, 99.8
"""Percentiles that become 0 and 1."""

SAMPLED = 2**22
"""Percentiles of more values than this are taken from an even sample of them."""


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


def intensity_limits(data: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The intensities that become 0 and 1.

    Args:
        data: (..., C), any integer or real type and range.

    Returns:
        (C, 2), low and high of each channel; equal where a channel is constant or nowhere finite.
    """
    return np.array([_channel_limits(data[..., channel]) for channel in range(data.shape[-1])])


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


def _channel_limits(channel: npt.NDArray[Any]) -> tuple[float, float]:
    values = channel.reshape(-1)
    values = values[:: max(1, values.size // SAMPLED)].astype(np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 0.0
    low, high = np.percentile(values, (LOW, HIGH))
    if high <= low:  # nearly constant: fewer than 0.2 % of the pixels stand out
        low, high = values.min(), values.max()
    return float(low), float(high)
