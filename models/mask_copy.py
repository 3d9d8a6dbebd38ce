"""A mask in a file of whatever program, copied piece by piece into a store of its image's own, which can be corrected.

Its own chunks are not taken over: other programs keep labels as other types, in other chunks and without the smaller
levels, or with such as are no halves of each other, and in TIFF. The file is only read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .cancelling import Cancel, each_unless
from .durable import explained, sync_tree
from .errors import ImageError, MedSegError
from .image import Array, MedicalImage, as_mask, is_lazy
from .label_store import CHUNK, LabelStore, Region

SIDE = 4 * CHUNK
"""Of the squares that are written at once, in pixels."""

MOST = 2**25
"""Pixels that are read at once, unless the file holds more of them in one piece."""

CLASSES = 255
"""Labels that a mask of classes has at most: one with more of them has objects, each with a number of its own."""

_COUNTED = 2**16
"""Labels below this are counted; no class has a larger one."""


@dataclass(frozen=True)
class Copied:
    """What was copied.

    Attributes:
        largest: label; 0 if there is none.
        objects: whether there are more labels than classes.
    """

    largest: int
    objects: bool


def copy_mask(
    values: Any,
    target: Path,
    grid: MedicalImage,
    *,
    called: str,
    progress: Callable[[float], object] | None = None,
    cancel: Cancel | None = None,
) -> Copied:
    """Make a store of the values of a mask, of which no more than some rows of squares are in memory.

    Labels of 8 bits are kept with 16, and all others with 32: there is room for objects that are added.

    Args:
        values: (..., Y, X) of the grid's `mask_shape`, as `lazy_mask_on` gives them.
        target: folder of the store, of which nothing is there yet; what is there after a failure is to be removed.
        grid: the image that it is a mask of; its pixels are not looked at.
        called: name of the mask's file, for errors.
        progress: told which share is copied.
        cancel: asked whether to stop.

    Raises:
        ImageError: values that are no labels, or a part that cannot be read.
        WriteError: no permission, no space, ...
        CancelledError: asked to stop.
    """
    store = store_on(target, grid, np.uint16 if values.dtype.itemsize == 1 else np.uint32)
    largest, there, pieces = 0, np.zeros(_COUNTED, np.bool_), _pieces(values)
    for done, piece in enumerate(each_unless(cancel, pieces, "Opening the mask"), 1):
        labels = _labels(_read(values[piece], called), called)
        largest = max(largest, int(labels.max()))
        if largest < _COUNTED:
            there[labels] = True
        _write(store, piece, labels)
        if progress is not None:
            progress(done / len(pieces))
    with explained(target):
        sync_tree(target)
    return Copied(largest, bool(largest >= _COUNTED or np.count_nonzero(there[1:]) > CLASSES))


def store_on(
    target: Path, grid: MedicalImage, dtype: npt.DTypeLike = np.uint16, *, durable: bool = False
) -> LabelStore:
    """A store without labels that lies on an image.

    Args:
        target: folder of the store, of which nothing is there yet.
        grid: the image; its pixels are not looked at.
        dtype: uint8, uint16 or uint32.
        durable: see `LabelStore`.

    Raises:
        WriteError: no permission, no space, ...
    """
    where = (grid.axes.replace("C", ""), grid.spacing, grid.unit, grid.geometry)
    time = (grid.time_step, grid.time_unit)
    return LabelStore.create(target, grid.mask_shape, *where, dtype, origin=grid.origin, time=time, durable=durable)


def _pieces(values: Any) -> list[Region]:
    """Regions that cover the values, each of whole blocks of the file, so that none is decompressed twice."""
    blocks = [max(lengths) for lengths in values.chunks] if is_lazy(values) else [1] * values.ndim
    *leading, high, wide = blocks
    columns = wide * math.ceil(SIDE / wide)
    rows = min(SIDE, MOST // (math.prod(leading) * min(columns, values.shape[-1])))
    return list(_regions(values.shape, (*leading, high * max(1, rows // high), columns)))


def _regions(shape: Sequence[int], steps: Sequence[int]) -> Iterator[Region]:
    """Regions of `steps` that cover a shape, the last axis first; those at its ends may be shorter."""
    starts = (range(0, side, step) for side, step in zip(shape, steps, strict=True))
    for corner in product(*starts):
        yield tuple(slice(at, min(at + step, side)) for at, step, side in zip(corner, steps, shape, strict=True))


def _read(values: Any, called: str) -> Array:
    """One thread reads, so that a core is left to the window."""
    try:
        return np.asarray(values.compute(scheduler="synchronous") if is_lazy(values) else values)
    except (MedSegError, MemoryError):
        raise
    except Exception as error:  # whatever a file that was taken away does to its decoder
        raise ImageError(
            f"'{called}' cannot be read any further ({type(error).__name__}): it was moved or changed, or is damaged. "
            "Is its disk still connected?"
        ) from error


def _labels(values: Array, called: str) -> Array:
    try:
        return as_mask(values)
    except ImageError as error:
        raise ImageError(f"'{called}' is no mask that can be opened. {error}") from error


def _write(store: LabelStore, piece: Region, labels: Array) -> None:
    """Squares of each plane with labels in them; the others are background already."""
    for part in _regions(labels.shape, (*(1,) * (labels.ndim - 2), SIDE, SIDE)):
        if labels[part].any():
            sides = zip(piece, part, strict=True)
            store.write(tuple(slice(of.start + at.start, of.start + at.stop) for of, at in sides), labels[part])
