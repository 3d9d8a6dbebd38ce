"""Images and masks out of files of any format, whole, in memory.

`formats` opens them lazily and tells more of them; this is what commands and training need.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ImageError
from .formats import OpenedImage, open_image, parts
from .formats.kinds import content_kind
from .grids import as_the_image_runs, check_one_grid, in_the_images_unit, on_the_grid
from .image import Array, MedicalImage, as_mask, check_mask_shape, is_lazy

_NEARLY_WHOLE = 0.05
"""How far all numbers of a mask may be from labels; a map of probabilities has some that are further."""


def read_image(path: str | os.PathLike[str], part: str = "") -> MedicalImage:
    """Read an image.

    Args:
        path: a file of any format that `formats` opens, or a folder with a DICOM series or an OME-Zarr image.
        part: which of several images in it; the largest by default.

    Returns:
        All pixels with the type they are stored in, with the axes, spacing, unit and place that the file gives.

    Raises:
        ImageError: no such file, not an image, damaged, not to be read by this user, or too large.
    """
    return open_image(path, part).image.loaded()


def read_mask(path: str | os.PathLike[str], part: str = "") -> Array:
    """Read a label mask.

    Args:
        path: an image file whose values are the labels (those of a palette PNG are its indices; those of a NIfTI may be
            off by the rounding of its slope); a JPEG of one
            object, whose values are rounded to 0 and 255; or an OME-Zarr image with labels, of which the first are
            taken.
        part: which of several images, or labels, in it.

    Returns:
        Labels, (Y, X), (Z, Y, X), (T, Y, X) or (T, Z, Y, X), in the smallest unsigned type that holds them.

    Raises:
        ImageError: as `read_image`, and for colours or values that are no labels.
    """
    return read_placed_mask(path, part).data


def read_placed_mask(path: str | os.PathLike[str], part: str = "") -> MedicalImage:
    """A label mask as `read_mask` reads it, with its axes, spacing and place, to be held against its image's."""
    mask = _open_mask(Path(path), part).loaded()
    return mask.with_data(as_mask(mask.data))


def mask_on(path: str | os.PathLike[str], opened: OpenedImage) -> Array:
    """The mask in a file, which lies voxel for voxel on an image that was opened.

    It may be stored in another order of the axes, or the other way along some. A DICOM SEG of some of a volume's planes
    comes with the others empty, and one slice with or without an axis for it.

    Returns:
        Labels of the image's `mask_shape`.

    Raises:
        ImageError: the mask cannot be read, or has another shape or place; the text names both.
    """
    path = Path(path)
    return _laid_on(path, opened, read_placed_mask(path))


def lazy_mask_on(path: str | os.PathLike[str], opened: OpenedImage) -> Array:
    """The same, of which no pixel is read yet where its format allows it, as tiled TIFF and OME-Zarr do.

    Returns:
        Values of the image's `mask_shape`, for `as_mask`: whether they are labels is known when they are read.

    Raises:
        ImageError: as `mask_on`, but for values that are no labels. When it is computed: it is damaged there, or has
            colours.
    """
    path = Path(path)
    return _laid_on(path, opened, _open_mask(path))


def _open_mask(path: Path, part: str = "") -> MedicalImage:
    """A mask with one number a pixel, lazy where its format allows it."""
    kind = content_kind(path)
    if kind in ("png", "jpeg"):
        from .formats.pictures import read_picture

        data = _one_number_a_pixel(read_picture(path, palette="P"), path)
        return MedicalImage(as_mask(_two_valued(data, path) if kind == "jpeg" else data), "YX", name=path.stem)
    if kind == "video":
        raise ImageError(
            f"'{path.name}' is a video, whose compression blurs labels into each other. Save the mask as TIFF or "
            "OME-Zarr."
        )
    if kind == "ome-zarr" and not part:
        part = next((one.key for one in parts(path) if one.key.startswith("labels/")), "")
    opened = open_image(path, part)
    image = opened.image
    if "C" not in image.axes:
        return image.with_data(_each_block(_rounded, image.data)) if kind == "nifti" else image
    if image.axes == "YXC" and (opened.planar or not opened.coloured):
        # a mask has no channels: planes, which their writer called so
        planes = np.moveaxis(image.data, -1, 0)
        return MedicalImage(planes, "ZYX", (1.0, *image.spacing), image.unit, name=image.name)
    if image.lazy:
        pixels: Any = image.data
        data = pixels.rechunk({-1: -1}).map_blocks(
            _one_number_a_pixel, path, drop_axis=pixels.ndim - 1, dtype=pixels.dtype
        )
    else:
        data = _one_number_a_pixel(image.data, path)
    return replace(image, data=data, axes=image.axes[:-1])


def _laid_on(path: Path, opened: OpenedImage, mask: MedicalImage) -> Array:
    """The pixels of a mask, turned as those of its image are."""
    image = opened.image
    kind = content_kind(opened.path) if opened.path else None  # an image that came from no file
    try:
        mask = as_the_image_runs(image, in_the_images_unit(image, mask))
        if content_kind(path) == "dicom":
            mask = on_the_grid(image, mask)
        labels, shape = mask.data, image.mask_shape
        if labels.ndim != len(shape) and [n for n in labels.shape if n > 1] == [n for n in shape if n > 1]:
            labels = labels.reshape(shape)
        check_mask_shape(labels.shape, image)
        check_one_grid(image, mask, (kind, content_kind(path)))
    except ImageError as error:
        called = Path(opened.path).name or image.name
        raise ImageError(f"'{path.name}' does not fit '{called}'. {error}") from error
    return labels


def _each_block(change: Callable[[Array], Array], pixels: Any) -> Array:
    """Pixels after a change that keeps their shape and type, not read yet if they are lazy."""
    changed: Array = pixels.map_blocks(change, dtype=pixels.dtype) if is_lazy(pixels) else change(pixels)
    return changed


def _rounded(data: Array) -> Array:
    """Labels of which a NIfTI has real numbers as shorter ones with a slope, which makes 2 into 1.9996."""
    if data.dtype.kind != "f" or not np.isfinite(data).all():
        return data
    whole = np.rint(data)
    return whole if np.abs(data - whole).max() <= _NEARLY_WHOLE else data


def _one_number_a_pixel(data: Array, path: Path) -> Array:
    """(..., Y, X) out of grey that was saved as colours (..., Y, X, C)."""
    if data.ndim == 2:
        return data
    if not (data == data[..., :1]).all():
        raise ImageError(
            f"'{path.name}' is a colour picture, not a mask. Needed is one number a pixel: 0 for background, "
            "1, 2, ... for the objects; export it as labels (grey or indexed PNG, or TIFF)."
        )
    return data[..., 0]


def _two_valued(data: Array, path: Path) -> Array:
    """0 and 255 out of a JPEG, whose compression blurs them; refused if more than edges are in between."""
    between = np.count_nonzero((data >= 64) & (data < 192))
    if between > 0.05 * data.size:
        raise ImageError(
            f"'{path.name}' is a JPEG, which blurs labels into each other, so that they cannot be told apart. "
            "Save the mask as PNG or TIFF."
        )
    return np.where(data >= 128, 255, 0).astype(np.uint8)
