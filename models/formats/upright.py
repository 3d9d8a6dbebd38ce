"""A volume out of a file that knows where it lies in the patient, turned so that it stands as radiologists see it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ImageError
from ..geometry import Geometry, turn
from ..image import Array, is_lazy

LARGEST_SHEAR = 1e-3
"""Cosine between two axes from which on they do not count as at right angles: half a voxel in 500."""

_OBLIQUE_DEGREES = 1.0
"""Less is not worth a word: what follows from it is far less than a voxel."""


def upright(data: Array, geometry: Geometry, called: str) -> tuple[Array, Geometry, tuple[str, ...]]:
    """Turn a volume upright; its planes stay its planes, and no value is changed.

    Args:
        data: (..., Z, Y, X) as the file has it; NumPy's or dask's.
        geometry: of the file's own array.
        called: what the user calls the file; for errors.

    Returns:
        The array as it is to be shown, its geometry, and notices.

    Raises:
        ImageError: the axes are not at right angles.
    """
    if geometry.shear > LARGEST_SHEAR:
        degrees = math.degrees(math.asin(min(geometry.shear, 1.0)))
        raise ImageError(
            f"'{called}' is sheared: two of its axes are {90 - degrees:.1f} degrees apart instead of 90, as in a CT "
            "with a tilted gantry. A mask of it would be wrong in millimetres. Open the DICOM series it is from, or "
            "resample it to a rectangular grid first (3D Slicer: Resample Scalar Volume)."
        )
    axes = geometry.as_seen()
    turned = turn(data, axes)
    placed = geometry.flip(axes, data.shape[-3:])
    return turned if is_lazy(turned) else np.ascontiguousarray(turned), placed, _notices(placed)


def plane_of(data: Any, axes: str) -> tuple[Any, str]:
    """The one plane of a volume that has but one: (..., Z, Y, X) to (..., Y, X); more than one stay."""
    at = axes.find("Z")
    if at < 0 or data.shape[at] > 1:
        return data, axes
    return data[(slice(None),) * at + (0,)], axes.replace("Z", "")


def _notices(geometry: Geometry) -> tuple[str, ...]:
    along = float(np.abs(geometry.direction).max(axis=0).min())
    degrees = math.degrees(math.acos(min(along, 1.0)))
    if degrees < _OBLIQUE_DEGREES:
        return ()
    return (
        f"The volume lies obliquely in the patient, by {degrees:.1f} degrees. It is shown and saved in its own grid; "
        "nothing was resampled.",
    )
