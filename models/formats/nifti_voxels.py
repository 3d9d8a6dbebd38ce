"""The numbers of a NIfTI file: of a plain one as they are asked for, of a gzipped one all at once."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError
from ..image import Array
from .nifti_header import NiftiHeader, opened

_CHUNK = 1 << 24
"""Bytes that are decompressed, or read for a chunk of a lazy image, at a time: 16 MB."""


@dataclass(frozen=True)
class StoredVoxels:
    """The array in a plain NIfTI file, read anew each time a part is asked for.

    The file is mapped only while it is read: a mapping that lives on would end the program when somebody cuts the
    file short.

    Attributes:
        path: the file.
        stored: type of the numbers in it.
        offset: of the first of them.
        scaling: slope and intercept that they are read with.
        shape: (C, T, Z, Y, X), the file's order counted from the slowest.
        dtype: of what is read.
    """

    path: Path
    stored: np.dtype[Any]
    offset: int
    scaling: tuple[float, float] | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Five."""
        return len(self.shape)

    def __getitem__(self, region: Any) -> Array:
        """The part of the array in `region`, a tuple of slices."""
        size = self.path.stat().st_size
        if size < self.offset + int(np.prod(self.shape, dtype=np.int64)) * self.stored.itemsize:
            raise ImageError(f"'{self.path.name}' has become shorter since it was opened. Copy and open it again.")
        mapped = np.memmap(self.path, self.stored, "r", self.offset, self.shape)
        return meant(np.array(mapped[region]), self.scaling)


def lazy_voxels(path: Path, header: NiftiHeader) -> Any:
    """A dask array (C, T, Z, Y, X), or (C, T, Z, Y, X) with fields for colours, in chunks of whole planes."""
    import dask.array as da

    shape = header.shape[::-1]
    stored = np.dtype(header.dtype)
    dtype = meant(np.empty(0, stored), header.scaling).dtype
    voxels = StoredVoxels(path, stored, header.offset, header.scaling, shape, dtype)
    return da.from_array(
        voxels, chunks=_chunked(shape, stored.itemsize), name=False, asarray=True, meta=np.empty((0,) * 5, dtype)
    )


def _chunked(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """As many planes as `_CHUNK` holds, at least one; volumes and times together where they are smaller than that."""
    room = max(1, _CHUNK // (shape[-1] * shape[-2] * itemsize))
    chunks: list[int] = []
    for length in shape[-3::-1]:  # Z, T, C
        chunks.insert(0, min(length, room))
        room = max(1, room // length)
    return (*chunks, *shape[-2:])


def read_voxels(path: Path, header: NiftiHeader) -> Array:
    """All numbers (C, T, Z, Y, X) of a gzipped file.

    Memory is taken for what comes out of the file, not for what its header says will.

    Raises:
        ImageError: they end early, or their checksum is wrong.
    """
    try:
        with opened(path) as file:
            file.seek(header.offset)
            chunks = _chunks(file, header.nbytes)
            file.read(1)  # at the end the checksum is looked at
    except (EOFError, OSError, zlib.error) as error:
        raise ImageError(
            f"'{path.name}' is damaged or incomplete: it cannot be decompressed to its end. Copy or export it again."
        ) from error
    found = sum(map(len, chunks))
    if found < header.nbytes:
        raise ImageError(
            f"'{path.name}' is incomplete: {found} of {header.nbytes} bytes of voxels are there. Copy or export it "
            "again."
        )
    whole = np.empty(header.nbytes, np.uint8)
    at = 0
    for chunk in _let_go(chunks):
        whole[at : at + len(chunk)] = np.frombuffer(chunk, np.uint8)
        at += len(chunk)
    return meant(whole.view(header.dtype).reshape(header.shape[::-1]), header.scaling)


def _chunks(file: Any, nbytes: int) -> list[bytes]:
    chunks: list[bytes] = []
    while nbytes > 0 and (chunk := file.read(min(_CHUNK, nbytes))):
        chunks.append(chunk)
        nbytes -= len(chunk)
    return chunks


def _let_go(chunks: list[bytes]) -> Any:
    """Each chunk in turn, which the list then holds no longer."""
    chunks.reverse()
    while chunks:
        yield chunks.pop()


def meant(numbers: Array, scaling: tuple[float, float] | None) -> Array:
    """Stored numbers in this computer's byte order, with slope and intercept applied.

    Whole numbers stay whole where slope and intercept change nothing. Scaled ones are 32-bit real numbers, which hold
    all of 16 bits; of longer ones 64-bit.
    """
    native = numbers.astype(numbers.dtype.newbyteorder("="), copy=False)
    if scaling is None or native.dtype.names is not None:
        return native
    short = native.dtype.itemsize <= 2 or native.dtype == np.float32
    scaled: Array = native.astype(np.float32 if short else np.float64)
    scaled *= scaling[0]
    scaled += scaling[1]
    return scaled
