"""Rows of a lazy image, read ahead to the end of a chunk so that no chunk is read twice in a plane."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ImageError, MedSegError

Array = npt.NDArray[Any]

LARGEST = 2**27
"""Bytes that what shares a chunk may take, to be read at once; else chunks are read again for each part of them."""


class LazyRows:
    """Hands out rows of a dask array, and keeps those that the next tiles need, too.

    Args:
        data: dask array (N, Y, X, C); its values are read with `read`, by one thread at a time.
        planes: how many planes are needed in turns.
        name: what the user calls the image.
    """

    def __init__(self, data: Any, planes: int = 1, name: str = "") -> None:
        self._data, self._name = data, name
        deep, high = (int(max(data.chunks[axis])) for axis in (0, 1))
        a_row = int(np.prod(data.shape[2:], dtype=np.int64)) * data.dtype.itemsize
        self._deep = deep if deep * data.shape[1] * a_row <= LARGEST else 1
        self._high = high if self._deep * high * a_row <= LARGEST else min(high, 1024)
        self._blocks = planes // self._deep + 2 if planes > 1 else 1
        self._kept: OrderedDict[int, tuple[int, Array]] = OrderedDict()  # first row and (planes, rows, X, C) of a block

    def read(self, plane: int, top: int, bottom: int) -> Array:
        """(bottom - top, X, C) of a plane, in the type of the image.

        Raises:
            ImageError: its file vanished, or is damaged there.
        """
        block, within = divmod(plane, self._deep)
        first, rows = self._kept.get(block, (0, None))
        if rows is None or top < first or bottom > first + rows.shape[1]:
            first, rows = self._extended(block, first, rows, top, bottom)
            self._kept[block] = first, rows
        self._kept.move_to_end(block)
        while len(self._kept) > self._blocks:
            self._kept.popitem(last=False)
        return rows[within, top - first : bottom - first]

    def _extended(self, block: int, first: int, rows: Array | None, top: int, bottom: int) -> tuple[int, Array]:
        end = min(self._data.shape[1], -(-bottom // self._high) * self._high)
        if rows is None or top < first or top >= first + rows.shape[1]:
            return top, self._computed(block, top, end)
        known = rows[:, top - first :]
        return top, np.concatenate([known, self._computed(block, top + known.shape[1], end)], axis=1)

    def _computed(self, block: int, top: int, end: int) -> Array:
        wanted = self._data[block * self._deep : (block + 1) * self._deep, top:end]
        try:
            return np.asarray(wanted.compute(scheduler="synchronous"))
        except (MemoryError, MedSegError):
            raise
        except Exception as error:
            called = f"'{self._name}'" if self._name else "The image"
            raise ImageError(
                f"{called} cannot be read any further ({type(error).__name__}): its file was moved or changed, or is "
                "damaged. Is its disk still connected?"
            ) from error
