"""A mask as NRRD or MetaImage, voxel for voxel on the image that it is of, in the order of the image's own file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

from ..geometry import Geometry, turn
from ..image import Array, MedicalImage, as_mask
from ..itk_source import ItkSource
from ..units import METRES


def itk_bytes(mask: Array, image: MedicalImage, ending: str) -> bytes:
    """The file, compressed.

    Args:
        mask: labels of the image's `mask_shape`.
        image: whose place and spacing are written, and its step of time. An image without a patient has the place of
            its `origin`, or the format's default. Lengths are in mm, or in the unit of the NRRD or MetaImage file that
            the image is of, since many programs compare the numbers and not the units; those of no unit are written as
            they are. Likewise time begins where that file, or a NIfTI, says, else at 0.
        ending: ".nrrd" or ".mha".

    Raises:
        ImageError: not a mask of this image.
    """
    return _file(as_mask(mask, image), image, ending)


def itk_image_bytes(image: MedicalImage, ending: str) -> bytes:
    """The file of an image itself, which has no channels; its place and time are written as those of a mask."""
    return _file(np.asarray(image.data), image, ending)


def _file(values: Array, image: MedicalImage, ending: str) -> bytes:
    """Values of the image's `mask_shape`, with its place."""
    geometry = image.geometry
    if geometry is not None:
        values = values if "Z" in image.axes else values[..., np.newaxis, :, :]
        geometry = geometry.stored(values.shape[-3:])
        assert image.geometry is not None
        values = turn(values, image.geometry.flipped)
        if _is_plane(geometry) and "Z" not in image.axes and "T" not in image.axes:
            values = values[0]
    elif "T" in image.axes and "Z" not in image.axes:
        values = values[..., np.newaxis, :, :]
    file = sitk.GetImageFromArray(np.ascontiguousarray(values), isVector=False)
    begin = 0.0 if image.header is None else image.header.begin
    said = image.header if isinstance(image.header, ItkSource) else ItkSource(begin=begin)
    if geometry is not None:
        _place(file, geometry, image.time_step, METRES["mm"] / METRES[said.written], said.begin)
    else:
        in_unit = METRES[image.unit] / METRES[said.written] if image.unit in METRES else 1.0
        spacing, origin = ([in_unit * at for at in along[::-1]] for along in (image.spacing, image.origin))
        dimension = file.GetDimension()
        spacing = [*spacing, 1.0][:3] if "T" in image.axes else spacing
        file.SetSpacing([*spacing, image.time_step][:dimension])
        file.SetOrigin([*[*origin, 0.0, 0.0, 0.0][:3], said.begin][:dimension])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mask{ending}"
        sitk.WriteImage(file, str(path), useCompression=True)
        if sitk.Hash(sitk.ReadImage(str(path))) != sitk.Hash(file):  # of a full disk its writer of NRRD says nothing
            raise RuntimeError("the temporary file is incomplete")
        content = path.read_bytes()
    measured = image.geometry is not None or image.unit in METRES
    unit, dimension = said.written if measured else "", file.GetDimension()
    return _with_units(content, unit, dimension, image) if ending == ".nrrd" else _with_unit(content, unit)


def _with_units(nrrd: bytes, unit: str, dimension: int, image: MedicalImage) -> bytes:
    """An NRRD that says in what unit its lengths are, if not in mm, and its time, which SimpleITK cannot write."""
    time = "s" if dimension == 4 and image.frame_seconds is not None else ""
    if not time and unit in ("mm", ""):
        return nrrd
    head, end, pixels = nrrd.partition(b"\n\n")
    units = " ".join(f'"{one}"' for one in (unit, unit, unit, time)[:dimension])
    return head + f"\nspace units: {units}".encode() + end + pixels


def _with_unit(meta: bytes, unit: str) -> bytes:
    """A MetaImage that says in what unit its lengths are, if not in mm."""
    if unit in ("mm", ""):
        return meta
    head, line, rest = meta.partition(b"\nElementType")
    return head + f"\nDistanceUnits = {unit}".encode() + line + rest


def _is_plane(geometry: Geometry) -> bool:
    """Whether a slice is where `itk.open_part` puts a file of two axes, so that one tells all of it."""
    column = geometry.direction[:, 0]
    return bool(np.allclose(column, (0, 0, 1)) and np.isclose(geometry.origin[2], 0.0))


def _place(file: sitk.Image, geometry: Geometry, time_step: float, in_unit: float, begin: float) -> None:
    """Origin, spacing and directions in (L, P, S), and step and begin of time, if there is a fourth axis.

    Args:
        file: where they go.
        geometry: of its array.
        time_step: of the fourth axis.
        in_unit: what a mm is in the unit of the file.
        begin: of the fourth axis.
    """
    dimension = file.GetDimension()
    direction = np.eye(max(dimension, 3))
    direction[:3, :3] = geometry.direction[:, ::-1]
    file.SetSpacing([*(in_unit * length for length in geometry.spacing[::-1]), time_step][:dimension])
    file.SetOrigin([*(in_unit * float(length) for length in geometry.origin), begin][:dimension])
    file.SetDirection(direction[:dimension, :dimension].flatten().tolist())
