"""A mask as NRRD or MetaImage, voxel for voxel on the image that it is of, in the order of the image's own file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

from ..geometry import Geometry, turn
from ..image import Array, MedicalImage, as_mask
from ..units import METRES


def itk_bytes(mask: Array, image: MedicalImage, ending: str) -> bytes:
    """The file, compressed.

    Args:
        mask: labels of the image's `mask_shape`.
        image: whose place and spacing are written, in mm, and its step of time. An image without a patient has the
            place of its `origin`, or the format's default; lengths of no unit are written as they are.
        ending: ".nrrd" or ".mha".

    Raises:
        ImageError: not a mask of this image.
    """
    labels = as_mask(mask, image)
    geometry = image.geometry
    if geometry is not None:
        labels = labels if "Z" in image.axes else labels[..., np.newaxis, :, :]
        geometry = geometry.stored(labels.shape[-3:])
        assert image.geometry is not None
        labels = turn(labels, image.geometry.flipped)
        if _is_plane(geometry) and "Z" not in image.axes and "T" not in image.axes:
            labels = labels[0]
    elif "T" in image.axes and "Z" not in image.axes:
        labels = labels[..., np.newaxis, :, :]
    file = sitk.GetImageFromArray(np.ascontiguousarray(labels), isVector=False)
    if geometry is not None:
        _place(file, geometry, image.time_step)
    else:
        in_mm = METRES[image.unit] / METRES["mm"] if image.unit in METRES else 1.0
        spacing, origin = ([in_mm * at for at in along[::-1]] for along in (image.spacing, image.origin or (0.0,)))
        dimension = file.GetDimension()
        spacing = [*spacing, 1.0][:3] if "T" in image.axes else spacing
        file.SetSpacing([*spacing, image.time_step][:dimension])
        file.SetOrigin([*origin, *[0.0] * dimension][:dimension])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mask{ending}"
        sitk.WriteImage(file, str(path), useCompression=True)
        if sitk.Hash(sitk.ReadImage(str(path))) != sitk.Hash(file):  # of a full disk its writer of NRRD says nothing
            raise RuntimeError("the temporary file is incomplete")
        content = path.read_bytes()
    return _with_time_unit(content, image) if ending == ".nrrd" and file.GetDimension() == 4 else content


def _with_time_unit(nrrd: bytes, image: MedicalImage) -> bytes:
    """An NRRD of four axes that says in what unit its time is, which SimpleITK cannot write."""
    if image.frame_seconds is None:
        return nrrd
    space = "mm" if image.geometry is not None or image.unit in METRES else ""
    head, end, pixels = nrrd.partition(b"\n\n")
    units = " ".join(f'"{unit}"' for unit in (space, space, space, "s"))
    return head + f"\nspace units: {units}".encode() + end + pixels


def _is_plane(geometry: Geometry) -> bool:
    """Whether a slice is where `itk.open_part` puts a file of two axes, so that one tells all of it."""
    column = geometry.direction[:, 0]
    return bool(np.allclose(column, (0, 0, 1)) and np.isclose(geometry.origin[2], 0.0))


def _place(file: sitk.Image, geometry: Geometry, time_step: float) -> None:
    """Origin, spacing and directions in (L, P, S), and the step of time, if there is a fourth axis."""
    dimension = file.GetDimension()
    direction = np.eye(max(dimension, 3))
    direction[:3, :3] = geometry.direction[:, ::-1]
    file.SetSpacing([*geometry.spacing[::-1], time_step][:dimension])
    file.SetOrigin([*(float(length) for length in geometry.origin), 0.0][:dimension])
    file.SetDirection(direction[:dimension, :dimension].flatten().tolist())
