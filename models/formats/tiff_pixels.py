"""Pixels of a TIFF: small images at once, large ones tile by tile as they are looked at."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import tifffile

from ..errors import ImageError
from ..image import Array
from ..memory import check_fits_in_memory
from .pyramid_tiles import lazily

LARGE = 64 << 20
"""Bytes from which an image is read lazily."""

_WINDOW = 1024
"""Rows and columns that are read at once of pixels that lie in the file as they are."""


def pixels(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path, *, lazy: bool) -> Array:
    """Pixels of one level of a series, with the axes and the type that tifffile gives them.

    Args:
        tif: an open TIFF.
        series: its series, or one of the smaller copies of it.
        path: of the file.
        lazy: a dask array that opens the file again when it is computed; else all pixels now.

    Raises:
        ImageError: a compression without a decoder, or pixels that do not fit in the memory.
    """
    if lazy:
        if _is_contiguous(tif, series):
            return lazily(_Contiguous(series, path), _window(series), series.axes, path.name)
        if _is_decodable(series):
            tiles = _tiles(series)
            return lazily(tiles, tiles.chunks, series.axes, path.name)
    check_fits_in_memory(series.nbytes, path.name)
    return _all(tif, series, path)


def _is_contiguous(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> bool:
    return series.dataoffset is not None and series.keyframe.is_memmappable and series.keyframe.parent is tif


def _window(series: tifffile.TiffPageSeries) -> tuple[int, ...]:
    return tuple(
        min(side, _WINDOW) if axis in "YX" else side if axis == "S" and series.axes[-1] == "S" else 1
        for axis, side in zip(series.axes, series.shape, strict=True)
    )


class _Contiguous:
    """Pixels that lie in the file as they are.

    The file is mapped for each look at it and not longer: a map of a file that somebody shortens ends the process,
    and on Windows nobody could replace the file.
    """

    def __init__(self, series: tifffile.TiffPageSeries, path: Path) -> None:
        self.shape = tuple(series.shape)
        self.dtype = np.dtype(series.keyframe.parent.byteorder + series.dtype.char)
        self._path, self._offset = path, series.dataoffset

    def __getitem__(self, region: Any) -> Array:
        if self._path.stat().st_size < self._offset + math.prod(self.shape) * self.dtype.itemsize:
            raise ImageError(
                f"'{self._path.name}' has become shorter since it was opened. Copy it again, and open it once more."
            )
        return np.array(np.memmap(self._path, self.dtype, "r", self._offset, self.shape)[region])


def _is_decodable(series: tifffile.TiffPageSeries) -> bool:
    """Whether tifffile has the decoder of a series' compression: what it has not, its decoder says when called."""
    try:
        series.keyframe.decode(None, 0)
    except ValueError as error:
        if "imagecodecs" in str(error):
            return False
        raise
    return True


def _tiles(series: tifffile.TiffPageSeries) -> Any:
    """The tiles, or strips, as the chunks of a zarr array; tifffile closes the file between looks at it."""
    import zarr

    # two workers: else it decodes in zarr's only thread, where everything that is read or written would wait
    store = series.aszarr(level=0, maxworkers=2)
    return zarr.open_array(store, mode="r")


def _all(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> Array:
    """All pixels; what tifffile cannot decompress alone (LZW, JPEG) goes through Pillow."""
    try:
        data: Array = series.asarray()
        return data
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
    compression = series.keyframe.compression
    called = getattr(compression, "name", str(compression))
    unreadable = ImageError(
        f"'{path.name}' is compressed with {called}, which cannot be read here. Save it without compression or with "
        "Deflate (ZIP), or install the decoders: pip install imagecodecs"
    )
    if any(page.parent is not tif for page in series.pages):
        raise unreadable
    try:
        with iio.imopen(path, "r", plugin="pillow") as file:
            planes = [file.read(index=page.index) for page in series.pages]
    except Exception as error:
        raise unreadable from error
    # Pillow cuts 16-bit colours down to 8: only the same type and size are the same pixels
    if any(p.shape != series.keyframe.shape or p.dtype != series.dtype for p in planes):
        raise unreadable
    return np.stack(planes).reshape(series.shape)
