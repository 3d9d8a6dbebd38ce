"""The slices of volumes, set out on disk for a training that draws them one by one.

A volume is read once; kept in memory all volumes of a data set would not fit, and read anew for each slice most of the
time would go into that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, overload

import numpy as np
import numpy.typing as npt

from napari_medseg.models.cards import ModelCard
from napari_medseg.models.durable import explained, make_folder
from napari_medseg.models.image import MedicalImage

from .planes import IGNORED, Plane, as_read, depth_of, own_planes


@dataclass(frozen=True, eq=False)
class StoredPlanes(Sequence[Plane]):
    """The planes of one volume, each read from disk when it is asked for.

    Attributes:
        images: file of (N, C, Y, X) float32, the planes' own channels.
        targets: file of (N, 1, Y, X) uint8.
        total: N.
        depth: planes in a stack.
        card: of the network that learns.
        labelled: numbers of the planes in which there is an object.
        empty: numbers of those in which there is none; planes that are ignored altogether are in neither.
    """

    images: Path
    targets: Path
    total: int
    depth: int
    card: ModelCard
    labelled: npt.NDArray[np.intp]
    empty: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, at: int) -> Plane: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Plane]: ...
    def __getitem__(self, at: int | slice) -> Plane | Sequence[Plane]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(self.total))]
        images, targets = np.load(self.images, mmap_mode="r"), np.load(self.targets, mmap_mode="r")
        return as_read(lambda number: Plane(images[number], np.array(targets[number])), at, self.depth, self.card)

    def drawn(self, draw: np.random.Generator, empty: float | None) -> int:
        """The number of a plane: with probability `empty` of one without an object; with None of any."""
        if empty is None:
            return int(draw.integers(self.total))
        first, second = (self.empty, self.labelled) if draw.random() < empty else (self.labelled, self.empty)
        chosen = first if len(first) else second
        return int(draw.choice(chosen)) if len(chosen) else int(draw.integers(self.total))


def store_planes(
    folder: Path, image: MedicalImage, mask: npt.NDArray[Any], card: ModelCard, ignore: int | None = None
) -> StoredPlanes:
    """Set out the planes of a volume.

    Args:
        folder: for the two files; made if need be.
        image: a volume or a series.
        mask: its labels.
        card: of the network that learns.
        ignore: label of pixels that count for nothing.

    Raises:
        ImageError, ModelError: as `planes_of`.
        WriteError: the disk is full, ...
    """
    make_folder(folder)
    images, targets = folder / "images.npy", folder / "targets.npy"
    count = int(np.prod(image.mask_shape[:-2], dtype=int))
    labelled, empty = [], []
    with explained(images), images.open("wb") as image_file, targets.open("wb") as target_file:
        for number, plane in enumerate(own_planes(image, mask, card, ignore)):
            if number == 0:
                _write_header(image_file, plane.image, count)
                _write_header(target_file, plane.target, count)
            image_file.write(np.ascontiguousarray(plane.image).data)
            target_file.write(np.ascontiguousarray(plane.target).data)
            if ((plane.target > 0) & (plane.target != IGNORED)).any():
                labelled.append(number)
            elif (plane.target == 0).any():
                empty.append(number)
    return StoredPlanes(
        images, targets, count, depth_of(image), card, np.array(labelled, np.intp), np.array(empty, np.intp)
    )


def _write_header(file: IO[bytes], plane: npt.NDArray[Any], count: int) -> None:
    """Of NumPy's format, for so many arrays like this one."""
    described = {"descr": plane.dtype.str, "fortran_order": False, "shape": (count, *plane.shape)}
    np.lib.format.write_array_header_1_0(file, described)  # type: ignore[arg-type]
