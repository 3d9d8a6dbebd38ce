"""Masks into files that read back as they were: same labels, place, axes and spacing.

PNG and TIFF are written here; the other formats have a module each, which is imported when one of them is asked for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import tifffile

from . import durable
from .cancelling import Cancel, stop_if
from .errors import ImageError
from .formats.kinds import content_kind
from .formats.opened import OpenedImage
from .image import Array, MedicalImage, as_mask
from .units import METRES, NO_TIME

_log = logging.getLogger(__name__)

_TIFF_ENDINGS = (".tif", ".tiff")

_ENDING_OF_KIND = {
    "dicom": ".nii.gz",
    "nifti": ".nii.gz",
    "nrrd": ".nrrd",
    "metaimage": ".mha",
    "ome-zarr": ".ome.zarr",
    "tiff": ".tif",
    "video": ".tif",
    "png": ".png",
    "jpeg": ".png",
}
_ENDING_OF_NAME = {
    (".dcm", ".dicom", ".ima", ".nii", ".nii.gz"): ".nii.gz",
    (".nrrd", ".nhdr"): ".nrrd",
    (".mha", ".mhd"): ".mha",
    (".zarr",): ".ome.zarr",
    (*_TIFF_ENDINGS, ".avi", ".mp4", ".mov", ".m4v", ".mkv", ".webm"): ".tif",
}

ALLOWED = ".nii.gz, .nii, .nrrd, .mha, .dcm, .tif, .ome.tif, .ome.zarr and .png"
"""Endings of masks, for sentences."""

ON_DISK = ".ome.zarr"
"""Ending of a mask that goes to disk as it is made, which most formats cannot."""


def mask_ending(path: str | os.PathLike[str]) -> str:
    """Ending of the mask of an image, so that it keeps the image's place, spacing and planes.

    ".nii.gz" for NIfTI and DICOM, ".nrrd" and ".mha" for their like, ".ome.zarr" for OME-Zarr, ".tif" for TIFF,
    OME-TIFF and video, ".png" else. By what the file or folder is; by its name, where it cannot be looked at.
    """
    try:
        return _ENDING_OF_KIND[content_kind(path)]
    except ImageError:
        name = Path(path).name.lower()
        return next((ending for names, ending in _ENDING_OF_NAME.items() if name.endswith(names)), ".png")


def on_disk(path: Path) -> Path:
    """Where the mask that belongs to `path` stands if it goes to disk as it is made: "a.tif.ome.zarr" for "a.tif".

    The whole name is in it, so that two masks that are not one file are not one folder, either.
    """
    return path if path.name.endswith(ON_DISK) else path.with_name(f"{path.name}{ON_DISK}")


def write_mask(
    path: str | os.PathLike[str],
    mask: Array,
    image: MedicalImage,
    *,
    source: OpenedImage | str | os.PathLike[str] | None = None,
    names: Mapping[int, str] | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Write the mask of `image`, whole or not at all.

    Args:
        path: its ending says how: .nii, .nii.gz, .nrrd or .mha (with the image's place, in the order of its file),
            .dcm (DICOM SEG, which refers to the source's instances and holds what they say of the patient), .tif or
            .tiff (tifffile's description of axes and spacing), .ome.tif or .ome.tiff (OME; a stack of one plane reads
            back as a plane), .zarr or .ome.zarr (OME-Zarr labels; may be lazy), or .png (one plane, up to 65535
            labels, no spacing). An older file of that name is replaced.
        mask: labels of the image's `mask_shape`.
        image: whose place, axes, spacing and unit are written.
        source: what the image was read from, or the path of it; needed for .dcm.
        names: of labels; written to .dcm.
        cancel: asked whether to stop.

    Raises:
        ImageError: not a mask of this image, or a format that cannot hold it.
        WriteError: no permission, no space, ...; an older file is untouched.
        CancelledError: asked to stop; an older file is untouched.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith(".zarr"):
        from .formats.ome_zarr_writing import write_ome_zarr_labels

        write_ome_zarr_labels(path, mask, image, cancel=cancel)
        return
    mask = as_mask(mask, image)
    if name.endswith(".dcm"):
        from .export.dicom_seg import write_dicom_seg

        write_dicom_seg(path, mask, image, source, names, cancel)
        return
    stop_if(cancel)
    content = _content(path, name, mask, image)
    stop_if(cancel)
    durable.write(path, content)


def _content(path: Path, name: str, mask: Array, image: MedicalImage) -> bytes:
    """The file, for formats that are written at once."""
    if name.endswith((".nii", ".nii.gz")):
        from .formats.nifti_writing import nifti_bytes

        return nifti_bytes(mask, image, ".nii.gz" if name.endswith(".gz") else ".nii")
    if name.endswith((".nrrd", ".mha")):
        from .formats.itk_writing import itk_bytes

        try:
            return itk_bytes(mask, image, path.suffix.lower())
        except RuntimeError as error:  # SimpleITK writes to a temporary file first
            raise durable.WriteError(
                f"'{path.name}' could not be written: there is no room for temporary files. Free some space and try "
                "again. Nothing was lost."
            ) from error
    if name.endswith((".ome.tif", ".ome.tiff")):
        return _ome_tiff(mask, image)
    if name.endswith(_TIFF_ENDINGS):
        return _plain_tiff(mask, image)
    if name.endswith(".png"):
        return _png(mask, image, path)
    raise ImageError(
        f"A mask cannot be written as '{path.name}': its ending is {path.suffix!r}; allowed are {ALLOWED}. "
        f"Nothing was written; '{path.stem}{'.png' if mask.ndim == 2 else '.tif'}' would work."
    )


def _png(mask: Array, image: MedicalImage, path: Path) -> bytes:
    if mask.ndim != 2 or mask.dtype.itemsize > 2:
        kept = f"it has shape {mask.shape}" if mask.ndim != 2 else f"it has labels up to {mask.max()}"
        raise ImageError(
            f"A PNG holds one plane with labels up to 65535, but of this mask {kept}. Nothing was written; "
            f"'{path.stem}.tif' would work."
        )
    if image.unit != "pixel":
        _log.warning("%s: a PNG cannot hold the spacing %s %s; TIFF does", path.name, image.spacing, image.unit)
    return bytes(iio.imwrite("<bytes>", mask, extension=".png", plugin="pillow"))


def _plain_tiff(mask: Array, image: MedicalImage) -> bytes:
    axes = image.axes.replace("C", "")
    spacing = _by_axis(image)
    described = {"axes": axes, "unit": image.unit, "PhysicalSizeY": spacing["Y"], "PhysicalSizeX": spacing["X"]}
    if "Z" in spacing:
        described["spacing"] = spacing["Z"]  # tifffile's name for the distance of planes
    if image.origin:
        described |= {f"Position{axis}": at for axis, at in zip(spacing, image.origin, strict=True)}
    if (image.time_step, image.time_unit) != (1.0, NO_TIME):
        described |= {"TimeIncrement": image.time_step, "TimeIncrementUnit": image.time_unit}
    tags: dict[str, Any] = {}
    if image.unit in METRES:  # for programs that do not read the description; rounded to a fraction there
        pixels_per_cm = [0.01 / (spacing[axis] * METRES[image.unit]) for axis in "XY"]
        if all(1e-3 < n < 1e9 for n in pixels_per_cm):
            tags = {"resolution": tuple(pixels_per_cm), "resolutionunit": "CENTIMETER"}
    return _tiff(mask, described, ome=False, **tags)


def _ome_tiff(mask: Array, image: MedicalImage) -> bytes:
    return _tiff(mask, ome_description(image), ome=True)


def ome_description(image: MedicalImage) -> dict[str, Any]:
    """What an OME-TIFF says of a mask of an image, as tifffile takes it."""
    axes, unit = image.axes.replace("C", ""), {"um": "µm"}.get(image.unit, image.unit)
    described: dict[str, Any] = {"axes": axes}
    for axis, length in _by_axis(image).items():
        described[f"PhysicalSize{axis}"] = length
        described[f"PhysicalSize{axis}Unit"] = unit
    if image.origin:
        described["Plane"] = _positions(image, unit)
    if image.frame_seconds is not None:
        described |= {"TimeIncrement": image.frame_seconds, "TimeIncrementUnit": "s"}
    return described


def _positions(image: MedicalImage, unit: str) -> dict[str, list[Any]]:
    """What OME-XML has of where each plane lies; tifffile takes a list for each attribute."""
    planes = list(np.ndindex(*image.mask_shape[:-2]))
    positions: dict[str, list[Any]] = {}
    for (axis, step), begin in zip(_by_axis(image).items(), image.origin, strict=True):
        positions[f"Position{axis}"] = [begin + step * plane[-1] if axis == "Z" else begin for plane in planes]
        positions[f"Position{axis}Unit"] = [unit] * len(planes)
    return positions


def _tiff(mask: Array, described: dict[str, Any], *, ome: bool, **tags: Any) -> bytes:
    content = BytesIO()
    tifffile.imwrite(
        content,
        np.ascontiguousarray(mask),
        ome=ome,
        photometric="minisblack",  # else three or four planes are taken for colours
        compression="zlib",
        metadata=described,
        **tags,
    )
    return content.getvalue()


def _by_axis(image: MedicalImage) -> dict[str, float]:
    spatial = [axis for axis in image.axes if axis in "ZYX"]
    return dict(zip(spatial, image.spacing, strict=True))
