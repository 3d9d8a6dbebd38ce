"""The pixels of a volume as an array that reads a plane from its file when that plane is asked for."""

from __future__ import annotations

import uuid
from typing import Any

import dask.array as da
import numpy as np

from ..image import Array
from .dicom_frames import Frame
from .dicom_values import type_of
from .dicom_volume import Volume


def lazy_planes(volume: Volume) -> Array:
    """(T, Z, Y, X), or (T, Z, Y, X, 3) of colours, lazy: a chunk is a plane. May be computed in threads."""
    there = [frame for row in volume.grid for frame in row if frame is not None]
    stored = np.result_type(*{frame.pixels.dtype for frame in there})
    dtype = type_of((frame.values for frame in there), stored)
    colours = ((3,),) if there[0].pixels.coloured else ()
    planes = tuple((length,) for length in volume.plane)
    chunks = ((1,) * volume.times, (1,) * volume.slices, *planes, *colours)
    reader = _Reader(volume, dtype, tuple(sum(lengths) for lengths in chunks[2:]))
    # without a name, dask would walk through all headers to make one
    return da.map_blocks(
        reader, chunks=chunks, dtype=dtype, meta=np.empty((0,) * len(chunks), dtype), name=f"dicom-{uuid.uuid4().hex}"
    )


class _Reader:
    """Reads the plane of a chunk."""

    def __init__(self, volume: Volume, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.volume, self.dtype, self.shape = volume, dtype, shape

    def __call__(self, block_id: tuple[int, ...] | None = None) -> Array:
        assert block_id is not None
        frame = self.volume.grid[block_id[0]][block_id[1]]
        if frame is None:
            return np.full((1, 1, *self.shape), self._fill(self.volume.middle), self.dtype)
        plane = frame.read(self.dtype)
        if self.volume.shifts:
            plane = self.volume.shifts[block_id[1]].apply(plane, self.volume.plane, self._fill(frame))
        return plane[np.newaxis, np.newaxis]

    def _fill(self, frame: Frame) -> float:
        if self.dtype.kind == "f":
            return frame.values.fill
        limits = np.iinfo(self.dtype)
        return min(max(frame.values.fill, limits.min), limits.max)
