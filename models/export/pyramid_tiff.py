"""A mask that lies on the disk as a pyramid of tiles in one file: an OME-TIFF that QuPath, Fiji and OMERO open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from ..cancelling import Cancel, stop_if
from ..durable import written_beside
from ..errors import ImageError
from ..image import Array, MedicalImage
from ..label_store import CHUNK, LabelStore
from ..writing import ome_description


def write_pyramid(
    path: Path,
    store: LabelStore,
    image: MedicalImage,
    *,
    progress: Callable[[float], object] | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Write all levels of a store into an OME-TIFF, whole or not at all; no more than a tile is in memory.

    Labels get the smallest of uint8, uint16 and uint32 that holds them.

    Args:
        path: of the file; an older one is replaced.
        store: the labels, to which nothing is written meanwhile, see `LabelStore.unchanged`.
        image: whose spacing, unit, time and place are written; its pixels are not looked at.
        progress: told which share is written.
        cancel: asked whether to stop.

    Raises:
        ImageError: part of the mask is damaged, its disk is gone, or another process has written to it meanwhile.
        WriteError: no permission, no space, ...; an older file is untouched.
        CancelledError: asked to stop; an older file is untouched.
    """
    dtype = np.min_scalar_type(store.largest(cancel))
    tiles = _Tiles(store, progress, cancel)
    settings: dict[str, Any] = {
        "dtype": dtype,
        "tile": (CHUNK, CHUNK),
        "compression": "zlib",
        "photometric": "minisblack",
        "maxworkers": 1,  # a core is left to the window
    }
    full, *smaller = store.levels
    with written_beside(path) as beside, tifffile.TiffWriter(beside, bigtiff=True, ome=True) as tif:
        described = ome_description(image)
        tif.write(tiles.of(full, dtype), shape=full.shape, subifds=len(smaller), metadata=described, **settings)
        for level in smaller:
            tif.write(tiles.of(level, dtype), shape=level.shape, subfiletype=1, metadata=None, **settings)


class _Tiles:
    """Hands out tiles, and says how far it is.

    Args:
        store: whose.
        progress: told which share is handed out.
        cancel: asked whether to stop.
    """

    def __init__(self, store: LabelStore, progress: Callable[[float], object] | None, cancel: Cancel | None) -> None:
        self._store, self._progress, self._cancel = store, progress, cancel
        self._pixels, self._done = sum(level.size for level in store.levels), 0

    def of(self, level: Any, dtype: np.dtype[Any]) -> Iterator[Array]:
        """The tiles of a level plane by plane, row by row, each of full size."""
        corners = [range(length) for length in level.shape[:-2]] + [range(0, n, CHUNK) for n in level.shape[-2:]]
        for *index, top, left in product(*corners):
            stop_if(self._cancel)
            inside = np.asarray(level[(*index, slice(top, top + CHUNK), slice(left, left + CHUNK))])
            self._store.check_there()
            if int(inside.max()) > np.iinfo(dtype).max:
                raise ImageError("The mask was corrected while it was written. Nothing was written; export it again.")
            tile = np.zeros((CHUNK, CHUNK), dtype)
            tile[: inside.shape[0], : inside.shape[1]] = inside
            self._done += inside.size
            if self._progress is not None:
                self._progress(self._done / self._pixels)
            yield tile
