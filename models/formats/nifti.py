"""NIfTI-1 and NIfTI-2: volumes, slices and series of them, in their place in the patient.

A plain .nii is read as it is needed; a .nii.gz cannot be, and comes whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import recfunctions

from ..image import AXES, Array, MedicalImage, is_lazy
from ..nifti_source import NiftiSource
from .kinds import stem
from .nifti_header import read_header
from .nifti_place import place
from .nifti_voxels import lazy_voxels, read_voxels
from .opened import OpenedImage, Part
from .upright import plane_of, upright


def parts(path: Path) -> tuple[Part, ...]:
    """The one image of the file."""
    return (Part("", stem(path)),)


def open_part(path: Path, key: str) -> OpenedImage:
    """The image of a NIfTI file.

    Its third axis is Z, whatever it runs along in the patient; one slice has none. The fourth is T, the fifth and
    colours are C. The array is turned round along axes of the file that run against what radiologists see;
    `geometry.stored` tells the file's own. Values are those that are meant: slope and intercept are applied.

    Raises:
        ImageError: a pair of files, damaged, incomplete, too large, sheared, or numbers that are not read.
    """
    header = read_header(path)
    where = place(header.raw)
    voxels = read_voxels(path, header) if header.compressed else lazy_voxels(path, header)
    data, axes, coloured = _named(voxels)  # (T, C, Z, Y, X) but for axes of length 1
    geometry, notices = where.geometry, where.notices
    if geometry is not None:
        data, geometry, told = upright(data, geometry, path.name)
        notices += told
    data, axes = plane_of(data, axes)
    data, axes = _channels_last(data, axes)
    if coloured and data.shape[-1] == 4:
        data = data[..., :3]
        notices += ("Transparency was left out.",)
    spacing = where.spacing[-sum(axis in "ZYX" for axis in axes) :]
    image = MedicalImage(
        data, axes, spacing, where.unit, stem(path), geometry, (), *header.time, NiftiSource.of(header.raw)
    )
    return OpenedImage(
        image,
        str(path),
        key,
        coloured=coloured,
        window=header.window,
        notices=notices,
    )


def _named(voxels: Any) -> tuple[Any, str, bool]:
    """(C, T, Z, Y, X), with fields for colours, to axes "CTZYX" of which C and T are there only if longer than 1."""
    coloured = voxels.dtype.names is not None
    if coloured and voxels.shape[0] == 1:
        voxels = _samples(voxels[0])
    axes = "CTZYX"
    for axis in "TC":
        at = axes.index(axis)
        if voxels.shape[at] == 1:
            voxels = voxels[(slice(None),) * at + (0,)]
            axes = axes.replace(axis, "")
    return voxels, axes, coloured


def _samples(colours: Any) -> Any:
    """(T, Z, Y, X) with fields R, G, B to (C, T, Z, Y, X)."""
    names = colours.dtype.names
    if is_lazy(colours):
        import dask.array as da

        return da.stack([colours[name] for name in names])
    return np.moveaxis(recfunctions.structured_to_unstructured(colours), -1, 0)


def _channels_last(data: Array, axes: str) -> tuple[Array, str]:
    ordered = "".join(axis for axis in AXES if axis in axes)
    moved = data.transpose([axes.index(axis) for axis in ordered])
    return (moved if is_lazy(moved) else np.ascontiguousarray(moved)), ordered
