"""Changes of a mask, compressed: as they are kept in memory, and as they go to the disk."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .boxes import Array, Box, inside, sides, whole
from .change import Change, put

_SLAB = 2**22
"""Pixels that are compared at once."""


@dataclass(frozen=True)
class Packed:
    """The same, compressed, as it is kept and as it goes to the disk.

    Attributes:
        box: where.
        dtype: of the pixels, as numpy writes it; two if the mask was given a wider type by the change.
        count: number of pixels that changed.
        changed: zlib of one bit for each pixel of the box, in C order.
        before: zlib of the pixels that changed, in C order, little endian.
        after: likewise.
    """

    box: Box
    dtype: tuple[str, str]
    count: int
    changed: bytes
    before: bytes
    after: bytes

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """Types of the pixels before and after."""
        return np.dtype(self.dtype[0]), np.dtype(self.dtype[1])

    @property
    def nbytes(self) -> int:
        return len(self.changed) + len(self.before) + len(self.after)

    def write(self, pixels: Array, *, back: bool) -> None:
        dtype, content = (self.dtype[0], self.before) if back else (self.dtype[1], self.after)
        put(pixels, self.box, self._where(), self._values(content, dtype))

    def unpacked(self) -> Change:
        """With arrays."""
        changed = self._where()
        arrays = []
        for dtype, content in zip(self.dtype, (self.before, self.after), strict=True):
            filled = np.zeros(changed.shape, dtype)
            filled[changed] = self._values(content, dtype)
            arrays.append(filled)
        return Change(self.box, arrays[0], arrays[1], changed)

    def _where(self) -> npt.NDArray[np.bool_]:
        size = math.prod(sides(self.box))
        bits = np.frombuffer(_inflated(self.changed, (size + 7) // 8), np.uint8)
        changed = np.unpackbits(bits, count=size).view(bool)
        if np.count_nonzero(changed) != self.count:
            raise ValueError("a step speaks of more or fewer pixels than it has")
        return changed.reshape(sides(self.box))

    def _values(self, content: bytes, dtype: str) -> Array:
        return np.frombuffer(_inflated(content, self.count * np.dtype(dtype).itemsize), dtype)


def compared(before: Array, after: Array) -> list[Packed]:
    """What differs between two masks of one shape, compressed. Takes its time for large ones."""
    return pack(Change(whole(before.shape), before, after))


def pack(change: Change) -> list[Packed]:
    """Slab by slab along the longest axis, so that comparing takes little memory."""
    if change.before.size == 0:
        return []
    axis = int(np.argmax(change.before.shape))
    step = max(1, _SLAB * change.before.shape[axis] // change.before.size)
    packed = []
    for start in range(0, change.before.shape[axis], step):
        here = (slice(None),) * axis + (slice(start, start + step),)
        whole_box = change.box[axis]
        length = min(step, whole_box.stop - whole_box.start - start)
        along = slice(whole_box.start + start, whole_box.start + start + length)
        box = (*change.box[:axis], along, *change.box[axis + 1 :])
        before, after = change.before[here], change.after[here]
        changed = before != after
        if change.changed is not None:
            changed &= change.changed[here]
        packed += _compressed(box, before, after, changed)
    return packed


def _compressed(box: Box, before: Array, after: Array, changed: npt.NDArray[np.bool_]) -> list[Packed]:
    if not changed.any():
        return []
    tight = []
    for axis, along in enumerate(box):
        seen = np.flatnonzero(changed.any(axis=tuple(a for a in range(changed.ndim) if a != axis)))
        tight.append(slice(along.start + int(seen[0]), along.start + int(seen[-1]) + 1))
    here = inside(tuple(tight), box)
    before, after, changed = before[here], after[here], changed[here]
    before, after = _plain(before[changed]), _plain(after[changed])
    return [
        Packed(
            tuple(tight),
            (before.dtype.str, after.dtype.str),
            before.size,
            _deflated(np.packbits(changed)),
            _deflated(before),
            _deflated(after),
        )
    ]


def _plain(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))


def _deflated(values: Array) -> bytes:
    return zlib.compress(values.data, 1)


def _inflated(content: bytes, size: int) -> bytes:
    """Never more than `size` bytes, whatever a file says."""
    try:
        found = zlib.decompressobj().decompress(content, size + 1)
    except zlib.error as error:
        raise ValueError("a step is no zlib data") from error
    if len(found) != size:
        raise ValueError(f"a step has {len(found)} bytes where {size} are needed")
    return found
