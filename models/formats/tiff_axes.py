"""The axes of a TIFF: tifffile's letters, brought to those and the order of `image.AXES`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from ..errors import ImageError
from ..image import AXES, Array, is_lazy


def is_planar(series: tifffile.TiffPageSeries) -> bool:
    """Whether each channel stands in a plane of its own."""
    return "S" in series.axes.partition("Y")[0]


def is_coloured(series: tifffile.TiffPageSeries) -> bool:
    """Whether the samples of a pixel are red, green and blue."""
    photometric = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
    if "S" not in series.axes or series.keyframe.photometric not in photometric:
        return False
    # tifffile calls three planes of any type colours; nobody stores colours as signed or long numbers plane by plane
    return not is_planar(series) or series.dtype in (np.uint8, np.uint16)


def in_order(data: Array, named: str, path: Path) -> tuple[Array, str]:
    """Axes renamed and moved into the order of `AXES`.

    S (samples) and C become C, an axis that nobody named becomes Z, and T if Z is taken.

    Args:
        data: pixels with one axis for each letter of `named`.
        named: tifffile's letters; "Q" and "I" are those of axes without a meaning.
        path: named in errors.
    """
    axes = ["C" if axis == "S" else axis for axis in named]
    if axes.count("C") == 2:  # colours of several channels: all are channels
        first, last = named.index("C"), named.index("S")
        data = np.moveaxis(data, first, last - (first < last))
        at = last - (first < last)
        data = data.reshape(*data.shape[:at], -1, *data.shape[at + 2 :])
        axes = [a for a in named if a != "C"]
        axes[axes.index("S")] = "C"
    for at in reversed(range(len(axes))):
        if axes[at] not in AXES:
            axes[at] = next((free for free in "ZT" if free not in axes), axes[at])
    if len(set(axes)) != len(axes) or not set("YX") <= set(axes) <= set(AXES):
        shape = " x ".join(map(str, data.shape))
        raise ImageError(
            f"'{path.name}' holds {shape} pixels along axes {named!r}; up to five are allowed, each once: time, plane, "
            "row, column, channel (TZYXC). Save one position or series of it as a file of its own, as OME-TIFF."
        )
    order = [axes.index(axis) for axis in AXES if axis in axes]
    data = data.transpose(order)
    return data if is_lazy(data) else np.ascontiguousarray(data), "".join(axes[at] for at in order)
