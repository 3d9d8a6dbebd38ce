"""One resolution of a mask on the disk, as napari reads it: what is in the view, and as it is on the disk now."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Box = tuple[slice, ...]


class Level:
    """An array that is read part by part, with a box of it left empty.

    Dask would do it, but builds its graph of a slide's thousands of blocks anew at each change, which takes a second.

    Args:
        stored: the zarr array.
        without: the box, in pixels of this array; None for none.
    """

    def __init__(self, stored: Any, without: Box | None = None) -> None:
        self._stored, self._without = stored, without
        self.shape: tuple[int, ...] = tuple(stored.shape)
        self.dtype: np.dtype[Any] = np.dtype(stored.dtype)
        self.ndim, self.size = len(self.shape), int(np.prod(self.shape, dtype=np.int64))

    def __getitem__(self, key: Any) -> Array:
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis in key:
            at = key.index(Ellipsis)
            key = (*key[:at], *(slice(None),) * (self.ndim - len(key) + 1), *key[at + 1 :])
        key = (*key, *(slice(None),) * (self.ndim - len(key)))
        pixels = np.array(self._stored[key])
        if self._without is not None and (hole := _within(key, self._without, self.shape)) is not None:
            pixels[hole] = 0
        return pixels

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return self[()].astype(dtype or self.dtype, copy=False)


def _within(key: tuple[Any, ...], box: Box, shape: tuple[int, ...]) -> tuple[slice, ...] | None:
    """Where in `array[key]` a box of the array lies; None if it does not. Keys are whole numbers and slices."""
    inside: list[slice] = []
    for at, side, length in zip(key, box, shape, strict=True):
        if isinstance(at, slice):
            start, stop, step = at.indices(length)
            first, last = (max(0, -(-(edge - start) // step)) for edge in (side.start, side.stop))
            last = min(last, len(range(start, stop, step)))
            if first >= last:
                return None
            inside.append(slice(first, last))
        elif not side.start <= int(at) % length < side.stop:
            return None
    return tuple(inside)
