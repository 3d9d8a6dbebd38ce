"""The pixels of a mask as the journal knows them: compressed while nobody changes them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np

from .boxes import Array

_SLAB = 2**22
"""Bytes that are compressed at once."""


class KnownPixels:
    """A copy of a mask, for one thread.

    Args:
        slabs: zlib of stretches of the pixels in C order, little endian.
        shape: of the mask.
        dtype: of its pixels.

    Raises:
        ValueError: the slabs do not fit the shape.
    """

    def __init__(self, slabs: Sequence[bytes], shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
        self.shape, self.dtype = shape, dtype.newbyteorder("<")
        self._slabs: tuple[bytes, ...] | None = tuple(slabs)
        self._array: Array | None = None

    @classmethod
    def of(cls, array: Array) -> KnownPixels:
        """Those of an array, which is not kept."""
        known = cls((), array.shape, array.dtype)
        known._slabs = _deflated(array)
        return known

    def copy(self) -> KnownPixels:
        """The same pixels, to be changed apart from these."""
        return KnownPixels(self.slabs(), self.shape, self.dtype)

    def slabs(self) -> tuple[bytes, ...]:
        """Compressed."""
        if self._slabs is None:
            assert self._array is not None
            self._slabs = _deflated(self._array)
        return self._slabs

    def array(self) -> Array:
        """To be read."""
        if self._array is None:
            assert self._slabs is not None
            self._array = _inflated(self._slabs, self.shape, self.dtype)
        return self._array

    def array_to_change(self) -> Array:
        """To be written into; what is known compressed is forgotten."""
        array = self.array()
        self._slabs = None
        return array

    def widen(self, dtype: np.dtype[np.generic]) -> None:
        """Hold another type from now on."""
        if dtype != self.dtype:
            self._array, self._slabs = self.array().astype(dtype.newbyteorder("<")), None
            self.dtype = self._array.dtype

    def rest(self) -> None:
        """Keep the compressed pixels only."""
        self.slabs()
        self._array = None


def _deflated(array: Array) -> tuple[bytes, ...]:
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
    return tuple(zlib.compress(plain[start : start + _SLAB].data, 1) for start in range(0, plain.size, _SLAB))


def _inflated(slabs: Sequence[bytes], shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
    """Never more bytes than the shape has, whatever a file says."""
    found = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
    at = 0
    for slab in slabs:
        try:
            content = zlib.decompressobj().decompress(slab, _SLAB + 1)
        except zlib.error as error:
            raise ValueError("a draft is no zlib data") from error
        if len(content) > min(_SLAB, found.size - at):
            raise ValueError("a draft has more pixels than its shape")
        found[at : at + len(content)] = np.frombuffer(content, np.uint8)
        at += len(content)
    if at != found.size:
        raise ValueError("a draft has fewer pixels than its shape")
    return found.view(dtype).reshape(shape)
