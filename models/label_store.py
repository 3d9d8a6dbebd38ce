"""Masks on disk as a pyramid, so that they may be larger than memory: OME-Zarr labels that other programs open, too.

A store is a Zarr v3 group with the metadata of OME-NGFF 0.5 (https://ngff.openmicroscopy.org/0.5/): `multiscales`
with one array a level, axes, units and spacing, and `image-label`. Each level is half of the one before along Y and X.
A pixel of it takes the most frequent of the four labels below it, the larger one of two that are equally frequent, so
that a line of one pixel does not disappear. Pixels that were never written are 0 and take no space.
"""

from __future__ import annotations

import contextlib
import errno
import math
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .cancelling import Cancel, each_unless
from .durable import WriteError, explained, sync_folder
from .errors import ImageError
from .geometry import Geometry
from .label_metadata import described, described_geometry, read_axes, read_geometry
from .memory import check_fits_in_memory
from .units import NO_TIME

Labels = npt.NDArray[Any]
Region = tuple[slice, ...]

DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.uint32))
"""What labels are kept as."""

CHUNK = 512
"""Side of the squares in which a plane is kept, in pixels; each is a file."""


@dataclass(frozen=True, eq=False)
class LabelStore:
    """A mask on disk; `create` makes one, `open` finds it again.

    May be written by several threads of one process; two processes must not write at once.

    Attributes:
        path: folder of the store.
        axes: of the labels, some of "TZYX".
        spacing: distance between neighbours along Z, Y, X (those that `axes` has).
        unit: unit of `spacing`.
        geometry: where the labels lie in the patient, if that is known.
        levels: Zarr arrays, full size first; may be read, but written only with `write`.
        durable: what was written is on the disk when `write` returns, and survives a power failure.
    """

    path: Path
    axes: str
    spacing: tuple[float, ...]
    unit: str
    geometry: Geometry | None
    levels: list[Any]
    durable: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __reduce__(self) -> tuple[Any, ...]:
        return LabelStore.open, (self.path, self.durable)

    @classmethod
    def create(
        cls,
        path: str | Path,
        shape: Sequence[int],
        axes: str,
        spacing: Sequence[float],
        unit: str,
        geometry: Geometry | None = None,
        dtype: npt.DTypeLike = np.uint16,
        chunk: int = CHUNK,
        *,
        origin: Sequence[float] = (),
        time: tuple[float, str] = (1.0, NO_TIME),
        durable: bool = False,
    ) -> LabelStore:
        """Make a store of zeros.

        Args:
            path: folder to make; there must be nothing of that name.
            shape: of the labels, along `axes`.
            axes: some of "TZYX", in that order.
            spacing: along Z, Y, X (those that `axes` has).
            unit: of `spacing`: "mm", "um", "nm", "cm", "m" or "pixel".
            geometry: where the labels lie in the patient.
            dtype: uint8, uint16 or uint32.
            chunk: side of the squares that are kept as files, in pixels.
            origin: where the middle of the first pixel lies along Z, Y, X (those that `axes` has), in `unit`; () at 0,
                or where the `geometry` says.
            time: step from frame to frame and its unit, see `MedicalImage`.
            durable: force whatever is written to the disk, which takes some milliseconds a square.

        Raises:
            ImageError: axes, a spacing or a type that cannot be.
            WriteError: no permission, no space, or something of that name is there.
        """
        import zarr

        path = Path(path).absolute()
        shape = tuple(int(n) for n in shape)
        if len(shape) != len(axes) or min(shape) < 1 or not axes.endswith("YX"):
            raise ImageError(f"Labels of shape {shape} cannot be kept with the axes {axes!r}.")
        if np.dtype(dtype) not in DTYPES:
            raise ImageError(f"Labels cannot be kept as {np.dtype(dtype)}; use uint8, uint16 or uint32.")
        if path.exists():
            raise WriteError(f"There is a '{path.name}' in '{path.parent}' already. Nothing was written.")
        sizes = _level_shapes(shape, chunk)
        if geometry is not None and not origin:  # for programs that do not read the affine
            origin = geometry.translate[-len(spacing) :]
        attributes = described(axes, tuple(spacing), unit, len(sizes), tuple(origin), time)
        attributes |= described_geometry(geometry)
        with explained(path):
            group = zarr.open_group(_chunks(path, durable), mode="w", zarr_format=3, attributes=attributes)
            levels = [
                group.create_array(
                    str(level),
                    shape=size,
                    dtype=np.dtype(dtype),
                    chunks=(*(1,) * (len(axes) - 2), min(chunk, size[-2]), min(chunk, size[-1])),
                    fill_value=0,
                    dimension_names=list(axes.lower()),
                )
                for level, size in enumerate(sizes)
            ]
            if durable:
                sync_folder(path.parent)
        return cls(path, axes, tuple(float(s) for s in spacing), unit, geometry, levels, durable)

    @classmethod
    def open(cls, path: str | Path, durable: bool = False) -> LabelStore:
        """A store that `create` made, or another program's labels of the same kind.

        Args:
            path: its folder.
            durable: force whatever is written to the disk.

        Raises:
            ImageError: there is none, or it is damaged.
        """
        import zarr

        path = Path(path).absolute()
        try:
            group = zarr.open_group(_chunks(path, durable), mode="r+")
            attributes = dict(group.attrs)
            axes, spacing, unit, names = read_axes(attributes)
            levels = [group[name] for name in names]
        except ImageError:
            raise
        except Exception as error:  # whatever a damaged file does to its decoder
            raise ImageError(
                f"'{path.name}' is not a mask in OME-Zarr, or it is damaged. Choose the folder whose name ends in "
                "'.ome.zarr', or export the mask again."
            ) from error
        if not levels or any(level.ndim != len(axes) or level.dtype not in DTYPES for level in levels):
            raise ImageError(f"'{path.name}' is an image, not a mask: its values are no labels.")
        return cls(path, axes, spacing, unit, read_geometry(attributes), levels, durable)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the labels at full size."""
        return tuple(self.levels[0].shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the labels."""
        return np.dtype(self.levels[0].dtype)

    def read(self, region: Region = ()) -> Labels:
        """Labels of a region at full size: a slice for each axis, in pixels; the last axes may be left out.

        Raises:
            ImageError: the file is damaged, its disk is gone, or the region does not fit into memory.
        """
        whole = _bounds(region, self.shape)
        sides = [part.stop - part.start for part in whole]
        check_fits_in_memory(math.prod(sides) * self.dtype.itemsize, self.path.name)
        try:
            labels = np.asarray(self.levels[0][whole])
        except Exception as error:
            raise ImageError(
                f"The mask '{self.path.name}' cannot be read: part of it is damaged or missing. Is its disk connected?"
            ) from error
        self.check_there()
        return labels

    def check_there(self) -> None:
        """To be called after the levels were read: of a store that is gone, all would be background.

        Raises:
            ImageError: its folder is gone.
        """
        if not self.path.is_dir():
            raise ImageError(
                f"The mask '{self.path.name}' is not there any more: its folder was moved, or its disk is not "
                "connected. Bring it back and try again; nothing was changed."
            )

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing is written to it, by this process, while this block reads it; waits until it is."""
        with self._lock:
            yield

    @property
    def free(self) -> bool:
        """Whether `write` would not have to wait for another thread."""
        free = self._lock.acquire(blocking=False)
        if free:
            self._lock.release()
        return free

    def write(self, region: Region, labels: Labels) -> None:
        """Put labels in a region at full size; the smaller levels follow. Costs what the region costs.

        Args:
            region: a slice for each axis, in pixels; the last axes may be left out.
            labels: of the shape of the region; whole numbers that fit the store's type.

        Raises:
            ImageError: labels of another shape, or too large for the store's type.
            WriteError: no permission, no space, the disk is gone, ...
        """
        whole = _bounds(region, self.shape)
        sides = tuple(part.stop - part.start for part in whole)
        if labels.shape != sides:
            raise ImageError(f"The labels have shape {labels.shape}, but the region has {sides}. Nothing was written.")
        if 0 in sides:
            return
        if labels.dtype.itemsize > self.dtype.itemsize and int(labels.max()) > np.iinfo(self.dtype).max:
            raise ImageError(
                f"The mask '{self.path.name}' holds labels up to {np.iinfo(self.dtype).max}; there is one of "
                f"{int(labels.max())}. Nothing was written."
            )
        with self._lock, explained(self.path):
            if not self.path.is_dir():  # or a new one would be made, with nothing but these
                raise FileNotFoundError(errno.ENOENT, "its folder was moved, or its disk is not connected")
            self.levels[0][whole] = labels.astype(self.dtype, copy=False)
            for above, below in zip(self.levels, self.levels[1:], strict=False):
                whole = _write_below(above, below, whole)

    def largest(self, cancel: Cancel | None = None) -> int:
        """The largest label, for which a strip of chunks at a time is read; 0 if there is none.

        Raises:
            ImageError: part of it is damaged.
            CancelledError: asked to stop.
        """
        rows, found = self.levels[0].chunks[-2], 0
        tops = [range(length) for length in self.shape[:-2]] + [range(0, self.shape[-2], rows)]
        for *index, top in each_unless(cancel, product(*tops), "Reading the mask"):
            here = (*(slice(at, at + 1) for at in index), slice(top, top + rows))
            found = max(found, int(self.read(here).max(initial=0)))
        return found

    def as_dask(self) -> list[Any]:
        """The levels as dask arrays, full size first.

        They show what stands in the store when they are computed. Each call gives them new names, so that nothing that
        somebody keeps by name is taken for what was written since.
        """
        import dask.array

        return [
            dask.array.from_array(level, chunks=level.chunks, name=f"labels-{uuid.uuid4().hex}")
            for level in self.levels
        ]


def halved(labels: Labels) -> Labels:
    """(..., Y, X) -> (..., Y/2, X/2), rounded up: the most frequent label of each 2 x 2, of two the larger one."""
    odd = [length % 2 for length in labels.shape[-2:]]
    if any(odd):
        around = [(0, 0)] * (labels.ndim - 2) + [(0, more) for more in odd]
        labels = np.pad(labels, around, mode="edge")
    corners = [labels[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    low, high = np.minimum(*corners[:2]), np.maximum(*corners[:2])
    other_low, other_high = np.minimum(*corners[2:]), np.maximum(*corners[2:])
    first, last = np.minimum(low, other_low), np.maximum(high, other_high)  # of the four in order
    between = np.maximum(low, other_low), np.minimum(high, other_high)
    second, third = np.minimum(*between), np.maximum(*between)
    pair = np.where(second == third, second, np.where(first == second, first, last))
    return np.where(third == last, last, pair)


def _chunks(path: Path, durable: bool) -> Any:
    """What keeps the chunks of a store in its folder."""
    if not durable:
        return path
    from .durable_store import DurableStore

    return DurableStore(path)


def _level_shapes(shape: tuple[int, ...], chunk: int) -> list[tuple[int, ...]]:
    """The full size, then halves of Y and X until a plane is a single chunk."""
    shapes = [shape]
    while max(shapes[-1][-2:]) > chunk:
        *leading, height, width = shapes[-1]
        shapes.append((*leading, -(-height // 2), -(-width // 2)))
    return shapes


def _write_below(above: Any, below: Any, written: Region) -> Region:
    """Bring what was written at one level to the next one; the region that it has there."""
    *leading, rows, columns = written
    halves = [slice(side.start // 2, -(-side.stop // 2)) for side in (rows, columns)]
    ends = above.shape[-2:]
    source = [slice(2 * half.start, min(2 * half.stop, end)) for half, end in zip(halves, ends, strict=True)]
    below[(*leading, *halves)] = halved(np.asarray(above[(*leading, *source)]))
    return (*leading, *halves)


def _bounds(region: Region, shape: tuple[int, ...]) -> Region:
    """A region with a start and a stop along each axis, inside the shape."""
    if len(region) > len(shape) or any(part.step not in (None, 1) for part in region):
        raise ImageError(f"There is no region {region} in labels of shape {shape}.")
    whole = (*region, *(slice(None),) * (len(shape) - len(region)))
    found = [part.indices(length) for part, length in zip(whole, shape, strict=True)]
    return tuple(slice(start, max(start, stop)) for start, stop, _ in found)
