"""Masks into PNG and TIFF files that read back as they were: same labels, axes and spacing."""

from __future__ import annotations

import logging
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import tifffile

from . import durable
from .errors import ImageError
from .image import Array, MedicalImage, as_mask
from .units import METRES

_log = logging.getLogger(__name__)

_TIFF_ENDINGS = (".tif", ".tiff")


def mask_ending(path: str | os.PathLike[str]) -> str:
    """Ending of the mask of an image file: ".tif" for TIFF and OME-TIFF, which have spacing and planes; ".png" else."""
    return ".tif" if Path(path).suffix.lower() in _TIFF_ENDINGS else ".png"


def write_mask(path: str | os.PathLike[str], mask: Array, image: MedicalImage) -> None:
    """Write the mask of `image`, whole or not at all.

    Args:
        path: ends in .png (one plane, up to 65535 labels; PNG holds no spacing), .tif or .tiff (tifffile's
            description of axes and spacing), or .ome.tif or .ome.tiff (OME; a stack of one plane reads back as a
            plane). An older file of that name is replaced.
        mask: labels of the image's `mask_shape`.
        image: whose axes, spacing and unit are written.

    Raises:
        ImageError: not a mask of this image, or a format that cannot hold it.
        WriteError: no permission, no space, ...; an older file is untouched.
    """
    path = Path(path)
    mask = as_mask(mask, image)
    name = path.name.lower()
    if name.endswith((".ome.tif", ".ome.tiff")):
        content = _ome_tiff(mask, image)
    elif name.endswith(_TIFF_ENDINGS):
        content = _plain_tiff(mask, image)
    elif name.endswith(".png"):
        content = _png(mask, image, path)
    else:
        raise ImageError(
            f"A mask cannot be written as '{path.name}': its ending is {path.suffix!r}; allowed are .png, .tif and "
            f".ome.tif. Nothing was written; '{path.stem}{'.png' if mask.ndim == 2 else '.tif'}' would work."
        )
    durable.write(path, content)


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
    tags: dict[str, Any] = {}
    if image.unit in METRES:  # for programs that do not read the description; rounded to a fraction there
        pixels_per_cm = [0.01 / (spacing[axis] * METRES[image.unit]) for axis in "XY"]
        if all(1e-3 < n < 1e9 for n in pixels_per_cm):
            tags = {"resolution": tuple(pixels_per_cm), "resolutionunit": "CENTIMETER"}
    return _tiff(mask, described, ome=False, **tags)


def _ome_tiff(mask: Array, image: MedicalImage) -> bytes:
    described: dict[str, Any] = {"axes": image.axes.replace("C", "")}
    for axis, length in _by_axis(image).items():
        described[f"PhysicalSize{axis}"] = length
        described[f"PhysicalSize{axis}Unit"] = {"um": "µm"}.get(image.unit, image.unit)
    if image.unit not in METRES:
        described |= {name: "pixel" for name in described if name.endswith("Unit")}
    return _tiff(mask, described, ome=True)


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
