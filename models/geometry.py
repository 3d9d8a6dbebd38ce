"""Where an image lies in the patient: the affine, and how its array runs compared to the file's.

The world is the patient's, in millimetres, as DICOM has it: L towards the left hand, P towards the back, S towards
the head. NIfTI counts the other way round along the first two (R, A, S); `Geometry.ras_affine` is that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ImageError

Affine = npt.NDArray[np.float64]

_TURNED = np.diag([-1.0, -1.0, 1.0, 1.0])
"""L and P from R and A, and back."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the voxels of a volume, or the pixels of one slice of it, lie.

    Attributes:
        affine: (4, 4), the index (z, y, x, 1) of a voxel to the (L, P, S, 1) of its centre, in mm. For one slice z is
            0, and the first column is the way to where the next slice would be.
        flipped: whether Z, Y and X run against the file's own array; `stored` turns a mask back.

    Raises:
        ImageError: an affine with zeros, NaN or infinities where there must be none, or that is flat.
    """

    affine: Affine
    flipped: tuple[bool, bool, bool] = (False, False, False)

    def __post_init__(self) -> None:
        affine = np.array(self.affine, np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], (0, 0, 0, 1)):
            raise ImageError(f"Where the image lies cannot be told from its affine {affine.tolist()}.")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if not (lengths > 0).all() or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
            raise ImageError(f"Where the image lies cannot be told: its affine {affine.tolist()} is flat.")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance in mm between neighbours along Z, Y, X."""
        z, y, x = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def direction(self) -> Affine:
        """(3, 3): the unit vectors, as columns in (L, P, S), along which Z, Y and X run."""
        return self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def origin(self) -> Affine:
        """(L, P, S) of the centre of the first voxel, in mm."""
        return self.affine[:3, 3]

    @property
    def translate(self) -> tuple[float, float, float]:
        """Where the first voxel lies along the image's own Z, Y and X, in mm: what napari shifts a layer by.

        Volumes with the same directions so lie over each other as they do in the patient.
        """
        z, y, x = self.direction.T @ self.origin
        return float(z), float(y), float(x)

    @property
    def shear(self) -> float:
        """How far the axes are from standing at right angles: the largest cosine between two of them, 0 if none."""
        between = self.direction.T @ self.direction
        return float(np.abs(between - np.eye(3)).max())

    @property
    def ras_affine(self) -> Affine:
        """(4, 4): the index (x, y, z, 1) to (R, A, S, 1), as NIfTI has it."""
        return _TURNED @ self.affine[:, [2, 1, 0, 3]]

    @classmethod
    def from_ras(cls, affine: npt.ArrayLike) -> Geometry:
        """From the affine of a NIfTI file, which takes (x, y, z, 1) to (R, A, S, 1)."""
        turned = _TURNED @ np.asarray(affine, np.float64)
        return cls(turned[:, [2, 1, 0, 3]])

    @classmethod
    def from_lps(cls, origin: Sequence[float], spacing: Sequence[float], direction: npt.ArrayLike) -> Geometry:
        """From what ITK's formats hold: origin (L, P, S), spacing along x, y, z, and (3, 3) directions as columns."""
        affine = np.eye(4)
        affine[:3, :3] = (np.asarray(direction, np.float64).reshape(3, 3) * np.asarray(spacing, np.float64))[:, ::-1]
        affine[:3, 3] = origin
        return cls(affine)

    def flip(self, axes: Sequence[bool], shape: Sequence[int]) -> Geometry:
        """The same voxels in an array that runs the other way along some of Z, Y, X.

        Args:
            axes: for each of Z, Y, X, whether it is turned round.
            shape: lengths of Z, Y, X.
        """
        affine = self.affine.copy()
        for axis, turned in enumerate(axes):
            if turned:
                affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
                affine[:3, axis] *= -1
        was = zip(self.flipped, axes, strict=True)
        z, y, x = (bool(before) != bool(now) for before, now in was)
        return Geometry(affine, (z, y, x))

    def stored(self, shape: Sequence[int]) -> Geometry:
        """The geometry of the file's own array, whose Z, Y, X are `shape` long."""
        return self.flip(self.flipped, shape)

    def spaced(self, spacing: Sequence[float], shape: Sequence[int]) -> Geometry:
        """The same with another spacing: the file's first voxel stays where it is, and the directions do.

        Args:
            spacing: along Z, Y, X, in mm.
            shape: lengths of Z, Y, X.
        """
        stored = self.stored(shape)
        affine = stored.affine.copy()
        affine[:3, :3] = stored.direction * np.asarray(spacing, np.float64)
        return Geometry(affine).flip(self.flipped, shape)

    def as_seen(self) -> tuple[bool, bool, bool]:
        """Which of Z, Y, X to turn round, so that the image stands as radiologists look at it.

        Rows run down the image: towards the back, or towards the feet where they run along the body. Columns run to
        the right: towards the patient's left, or towards the back in a side view. Slices run as rows and columns
        would, but upwards along the body. The planes that were acquired stay the planes that are shown.
        """
        turned = []
        for axis in range(3):
            along = self.affine[:3, axis]
            main = int(np.argmax(np.abs(along)))
            wanted = -1.0 if axis == 1 and main == 2 else 1.0
            turned.append(bool(along[main] * wanted < 0))
        return turned[0], turned[1], turned[2]


def turn(data: Any, axes: Sequence[bool]) -> Any:
    """An array (..., Z, Y, X), or (..., Y, X) with `axes` for these, that runs the other way along some: a view."""
    steps = tuple(slice(None, None, -1) if turned else slice(None) for turned in axes)
    return data[(..., *steps)]
