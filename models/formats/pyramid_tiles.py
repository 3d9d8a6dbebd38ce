"""Pixels that are read block by block, when somebody looks at them or computes with them, as dask arrays."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from ..errors import ImageError
from ..image import Array
from ..memory import check_fits_in_memory

_log = logging.getLogger(__name__)

_BLOCK_BYTES = 4 << 20
"""A block of several tiles: few enough for quick bookkeeping, small enough that a look at it costs little."""

_MOST_BLOCKS = 1 << 18
"""Above this the bookkeeping alone would stop the window; no image that can be computed with has so many."""


class Pixels(Protocol):
    """What a source of pixels looks like: it is indexed as an array is, and reads then."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> npt.DTypeLike: ...

    def __getitem__(self, region: Any) -> Any: ...


def lazily(pixels: Pixels, tile: Sequence[int], axes: str, called: str) -> Array:
    """A dask array of `pixels`, read in blocks of whole tiles.

    Args:
        pixels: what is read.
        tile: shape of the piece that is decoded at once.
        axes: a letter for each axis; rows are "Y", columns "X".
        called: name of the file, for errors.

    Raises:
        ImageError: more blocks than any image has, or a tile that does not fit in the memory. When it is computed:
            the pixels cannot be read.
    """
    import dask.array as da

    dtype = np.dtype(pixels.dtype)
    block = block_shape(pixels.shape, tile, axes, dtype.itemsize)
    blocks = math.prod(-(-side // step) for side, step in zip(pixels.shape, block, strict=True))
    if blocks > _MOST_BLOCKS:
        raise ImageError(
            f"'{called}' is said to hold {' x '.join(map(str, pixels.shape))} pixels, more than can be opened here. "
            "Is it damaged? Save the part you need as a file of its own."
        )
    check_fits_in_memory(math.prod(block) * dtype.itemsize, called)
    source = _Explained(pixels, dtype, called)
    # with a name of its own: dask would hash the pixels for one, and so read them all
    name = f"pixels-{uuid.uuid4().hex}"
    return cast(Array, da.from_array(source, chunks=block, name=name, asarray=True, fancy=False))


def block_shape(shape: Sequence[int], tile: Sequence[int], axes: str, itemsize: int) -> tuple[int, ...]:
    """Whole tiles, so many that a block has up to 4 MiB and is about as high as wide.

    Args:
        shape: of the image.
        tile: what is decoded at once; its sides may be longer than the image's.
        axes: a letter for each axis. Only "Y" and "X" grow: planes are read without their neighbours.
        itemsize: bytes of a number.
    """
    block = [min(step, side) for step, side in zip(tile, shape, strict=True)]
    while 2 * math.prod(block) * itemsize <= _BLOCK_BYTES:
        growing = [at for at, axis in enumerate(axes) if axis in "YX" and block[at] < shape[at]]
        if not growing:
            break
        shortest = min(growing, key=lambda at: block[at])
        block[shortest] = min(2 * block[shortest], shape[shortest])
    return tuple(block)


class _Explained:
    """Pixels of a known type, whose failures are sentences."""

    def __init__(self, pixels: Pixels, dtype: np.dtype[Any], called: str) -> None:
        self._pixels, self._called = pixels, called
        self.shape, self.dtype, self.ndim = pixels.shape, dtype.newbyteorder("="), len(pixels.shape)

    def __getitem__(self, region: Any) -> Array:
        try:
            return np.asarray(self._pixels[region], self.dtype)
        except (ImageError, MemoryError):
            raise
        except Exception as error:  # a damaged file fails a decoder in any way
            _log.info("%s cannot be decoded at %s", self._called, region, exc_info=True)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ImageError(
                f"Part of '{self._called}' is damaged or missing ({reason}). Copy or export it again from where it "
                "came from."
            ) from error
