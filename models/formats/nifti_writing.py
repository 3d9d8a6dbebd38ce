"""A mask as NIfTI, voxel for voxel on the image that it is of: the same grid, in the order of the image's own file."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np

from ..errors import ImageError
from ..geometry import Geometry, turn
from ..image import Array, MedicalImage, as_mask
from ..nifti_source import NiftiSource
from ..units import METRES
from .nifti_header import time_of
from .nifti_place import place

_SCANNER = 1
"""NIfTI's code for a place in the scanner's, and so in the patient's, space."""

_ALIGNED = 2
"""NIfTI's code for a place that is another file's."""

_LONGEST_IN_1 = 32767
"""NIfTI-1 counts voxels along an axis in 16 bits."""

_GZIP_LEVEL = 6

_ROUNDED = 1e-5
"""Share by which lengths may differ that are the same but for rounding."""


def nifti_bytes(mask: Array, image: MedicalImage, ending: str) -> bytes:
    """The file.

    Its array runs as that of the image's file does (`Geometry.flipped`). The mask of a NIfTI file has that file's
    header as far as it tells of space and time, to the bit: axes (without channels), sform and qform with their codes,
    even where they differ or only one is set, voxel sizes, units, also if it names none, the step and the start of
    time, and the version of NIfTI. So every program, whichever of these it reads, lays the mask on the image.

    Of other images, and where somebody has given the image another spacing than its file has, sform and qform are both
    the image's place, in mm: of code 1 (scanner) if it is one in the patient. A mask of an image without a patient that
    does not begin at 0 lies at its `origin`, where it lies as NRRD, too, with code 2 (aligned). An image that has no
    place gets none: both codes are 0, and voxel sizes are in mm, or in no unit if the image's is none. Time starts
    where the header of the image says, else at 0, and the step from frame to frame is the image's, in s or in no unit.
    NIfTI-2 is written where an axis is too long
    for NIfTI-1.

    Args:
        mask: labels of the image's `mask_shape`: (Y, X), (Z, Y, X), (T, Y, X) or (T, Z, Y, X).
        image: whose place and spacing are written.
        ending: ".nii", or ".nii.gz" for a compressed file.

    Raises:
        ImageError: not a mask of this image, or labels over 2147483647.
    """
    return _file(_labels(as_mask(mask, image)), image, ending, intent="label")


def nifti_image_bytes(image: MedicalImage, ending: str) -> bytes:
    """The file of an image itself, which has no channels; its place and time are written as those of a mask.

    Raises:
        ImageError: it has channels, or numbers that NIfTI does not have.
    """
    if "C" in image.axes or image.data.dtype.kind not in "uif" or image.data.dtype.name in ("float16", "int64"):
        raise ImageError(
            f"An image of axes {image.axes!r} and type {image.data.dtype} is not written as NIfTI. Nothing was "
            "written; an OME-TIFF would hold its channels."
        )
    return _file(np.asarray(image.data), image, ending, intent="none")


def _file(values: Array, image: MedicalImage, ending: str, *, intent: str) -> bytes:
    """Values of the image's `mask_shape`, with its place."""
    stored = _stored(values, image)
    header = image.header
    source = header if isinstance(header, NiftiSource) and _is_said(header, image, stored.shape) else None
    stored = stored if source is None else stored.reshape(source.mask_shape)
    second = max(stored.shape) > _LONGEST_IN_1 or (source is not None and source.version == 2)
    file = (nibabel.Nifti2Image if second else nibabel.Nifti1Image)(stored, None)
    file.header.set_intent(intent, name="labels" if intent == "label" else "")
    if source is not None:
        source.write_into(file.header)
    else:
        _write_place(file, image, stored.ndim)
    content: bytes = file.to_bytes()
    return gzip.compress(content, _GZIP_LEVEL, mtime=0) if ending == ".nii.gz" else content


def _is_said(source: NiftiSource, image: MedicalImage, shape: tuple[int, ...]) -> bool:
    """Whether a header means the image as it is now, whose mask is stored with this shape; it may have been changed."""
    if [n for n in source.mask_shape if n > 1] != [n for n in shape if n > 1]:
        return False
    raw = nibabel.Nifti2Header() if source.version == 2 else nibabel.Nifti1Header()
    raw.set_data_shape(source.shape)
    source.write_into(raw)
    meant = place(raw)
    if "T" in image.axes and time_of(raw) != (image.time_step, image.time_unit):
        return False
    if image.geometry is not None and meant.geometry is not None:
        stored = image.geometry.stored(_lengths(image))
        return np.allclose(stored.affine, meant.geometry.affine, rtol=_ROUNDED, atol=_ROUNDED * min(stored.spacing))
    spacing = meant.spacing[-image.spatial_ndim :]
    return (
        image.geometry is meant.geometry
        and not image.origin
        and image.unit == meant.unit
        and np.allclose(image.spacing, spacing, rtol=_ROUNDED)
    )


def _write_place(file: nibabel.Nifti1Pair, image: MedicalImage, ndim: int) -> None:
    """Place, spacing and time of an image that has no header to be repeated."""
    header = file.header
    in_mm = METRES.get(image.unit, 1e-3) / METRES["mm"]
    zyx = (image.spacing[0] if image.spatial_ndim == 3 else image.spacing[-1], *image.spacing[-2:])
    zooms = [length * in_mm for length in zyx[::-1]]
    if image.geometry is not None:
        _place(file, image.geometry.stored(_lengths(image)), _SCANNER)
    elif image.origin:
        begin = [in_mm * at for at in (*image.origin[::-1], 0.0)[:3]]
        _place(file, Geometry.from_lps(begin, zooms, np.eye(3)), _ALIGNED)
    else:
        header.set_zooms([*zooms, 1.0][:ndim])
    if "T" in image.axes:
        header["pixdim"][4] = image.time_step
        header["toffset"] = 0.0 if image.header is None else image.header.begin
    measured = image.geometry is not None or image.unit in METRES
    header.set_xyzt_units("mm" if measured else "unknown", "sec" if image.frame_seconds else "unknown")


def _place(file: nibabel.Nifti1Pair, geometry: Geometry, code: int) -> None:
    file.set_sform(geometry.ras_affine, code)
    file.set_qform(geometry.ras_affine, code)


def _labels(labels: Array) -> Array:
    """Labels of a type that programs read: few know unsigned ones of 32 bits."""
    if labels.dtype != np.uint32:
        return labels
    if labels.max() > np.iinfo(np.int32).max:
        raise ImageError(
            f"NIfTI holds labels up to {np.iinfo(np.int32).max}, and this mask has {labels.max()}. Nothing was "
            "written; a TIFF would hold them."
        )
    return labels.astype(np.int32)


def _stored(values: Array, image: MedicalImage) -> Array:
    """Values in NIfTI's order (X, Y, Z, T), the way round of the image's file."""
    if "Z" not in image.axes and (image.geometry is not None or "T" in image.axes):
        values = values[..., np.newaxis, :, :]
    if image.geometry is not None:
        values = turn(values, image.geometry.flipped)
    return values.T


def _lengths(image: MedicalImage) -> tuple[int, ...]:
    """Of Z, Y, X; one slice is 1 deep."""
    return (1, *image.mask_shape[-2:]) if "Z" not in image.axes else image.mask_shape[-3:]
