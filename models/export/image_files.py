"""Images themselves, for whoever takes them elsewhere together with their masks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import tifffile

from ..durable import write
from ..errors import ImageError
from ..image import Array, MedicalImage
from ..writing import ome_description
from .kinds import EXPORTS, Export

_COLOURS = 3
_PLACED = ("nifti", "nrrd", "metaimage")


def image_format(image: MedicalImage, key: str) -> Export:
    """The format that an image is written in beside a mask of the format `key`: the same one if it holds the image.

    OME-TIFF else, which holds whatever axes and channels there are.
    """
    grey = image.axes == "YX" and image.data.dtype in (np.uint8, np.uint16)
    coloured = image.axes == "YXC" and image.channels == _COLOURS and image.data.dtype == np.uint8
    if (key == "png" and (grey or coloured)) or (key in _PLACED and "C" not in image.axes):
        return EXPORTS[key]
    return EXPORTS["ome-tiff"]


def write_image(path: Path, image: MedicalImage) -> None:
    """Write an image, whole or not at all; its values are those that it has.

    Args:
        path: its ending says how: .nii.gz, .nrrd, .mha (without channels), .ome.tif or .png (one plane, grey or red,
            green and blue, no spacing). An older file of that name is replaced.
        image: whose axes, spacing and unit are written. Real numbers of 16 bits become such of 32, and whole ones of
            64 bits become shorter ones.

    Raises:
        ImageError: a format that cannot hold it.
        WriteError: no permission, no space, ...; an older file is untouched.
    """
    image = image.with_data(_common(image.data))
    name = path.name.lower()
    if name.endswith(".nii.gz"):
        from ..formats.nifti_writing import nifti_image_bytes

        content = nifti_image_bytes(image, ".nii.gz")
    elif name.endswith((".nrrd", ".mha")):
        from ..formats.itk_writing import itk_image_bytes

        content = itk_image_bytes(image, path.suffix.lower())
    elif name.endswith(".png"):
        content = bytes(iio.imwrite("<bytes>", image.data, extension=".png", plugin="pillow"))
    elif name.endswith(".ome.tif"):
        content = _ome_tiff(image)
    else:
        raise ImageError(f"An image cannot be written as '{path.name}'; '{path.stem}.ome.tif' would work.")
    write(path, content)


def _common(data: Array) -> Array:
    """Numbers of a type that other programs read.

    Raises:
        ImageError: whole numbers of 64 bits that no shorter ones hold.
    """
    if data.dtype == np.float16:
        return data.astype(np.float32)
    if data.dtype.kind == "f" or data.dtype.itemsize < 8:
        return data
    shorter: Any = np.uint32 if data.min() >= 0 else np.int32
    if data.min() < np.iinfo(shorter).min or data.max() > np.iinfo(shorter).max:
        raise ImageError(
            f"The image has values from {data.min()} to {data.max()}, and image files hold whole numbers of 32 bits. "
            "It was not written; the project keeps it."
        )
    return data.astype(shorter)


def _ome_tiff(image: MedicalImage) -> bytes:
    """Channels are colours if they are three of 8 or 16 bits, else planes of their own before Y and X."""
    described = ome_description(image)
    coloured = "C" in image.axes and image.channels == _COLOURS and image.data.dtype in (np.uint8, np.uint16)
    data = image.data
    if "C" in image.axes:
        described.pop("Plane", None)  # positions are those of planes without channels
        described["axes"] += "S" if coloured else ""
    if "C" in image.axes and not coloured:
        data = np.moveaxis(data, -1, -3)
        described["axes"] = f"{described['axes'][:-2]}CYX"
    content = io.BytesIO()
    tifffile.imwrite(
        content,
        np.ascontiguousarray(data),
        ome=True,
        photometric="rgb" if coloured else "minisblack",
        compression="zlib",
        metadata=described,
    )
    return content.getvalue()
