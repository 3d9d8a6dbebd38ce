"""OME-Zarr: images in chunks, as pyramids, with their axes, spacing and channels; read as they are looked at.

Zarr is used directly. napari-ome-zarr keeps the spacing, but needs napari, which commands and the engine do not have;
and neither it nor ome-zarr holds the levels of a pyramid against each other, or a chunk's claim against its array.
"""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from ..errors import ImageError
from ..image import AXES, Array, MedicalImage
from ..label_metadata import read_geometry
from . import ome_zarr_metadata as ngff
from .kinds import stem
from .ome_zarr_chunks import open_checked
from .opened import OpenedImage, Part
from .pyramid import checked_levels
from .pyramid_tiles import lazily

_log = logging.getLogger(__name__)

_MEASURED = 50
"""Images whose size is told to whoever chooses; a plate has thousands."""


def parts(path: Path) -> tuple[Part, ...]:
    """The images in the folder: the image and its labels, the fields of a plate, or numbered series.

    Raises:
        ImageError: no OME-Zarr, or a part outside the folder.
    """
    found = list(ngff.images(path))
    if not found:
        _axes_of_a_bare_array(path)
        return (Part("", stem(path)),)
    return tuple(
        Part(key, f"{stem(path)}: {what}{_size(path, key) if at < _MEASURED else ''}")
        for at, (key, what) in enumerate(found)
    )


def _size(path: Path, key: str) -> str:
    """Of an image, for its title; nothing where it is damaged, which is said when it is opened."""
    group = ngff.inside(path, key, path.name) if key else path
    try:
        image = ngff.multiscale(ngff.attributes(group), group.name)
        shape = open_checked(ngff.inside(group, image.paths[0], group.name), group.name).shape
    except Exception:  # whatever damage does
        _log.info("the size of '%s' cannot be told", group.name, exc_info=True)
        return ""
    return f", {' x '.join(map(str, shape))} ({image.axes})"


def open_part(path: Path, key: str) -> OpenedImage:
    """An image, lazy, with its pyramid.

    Axes that are one long in an image of five axes (as bioformats2raw writes every image) are left out, and so is a
    single channel.

    Args:
        path: of the folder.
        key: path of a group below it, as `parts` has them; "" for the image, or for the first of several.

    Raises:
        ImageError: no OME-Zarr, axes that are none of ours, or a compression or a type that is not read. When it is
            computed: damaged chunks.
    """
    notices: list[str] = []
    if not key and "multiscales" not in ngff.attributes(path):
        several = list(ngff.images(path))
        if not several:
            return _bare_array(path)
        key = several[0][0]
        if len(several) > 1:
            notices.append(f"The folder holds {len(several)} images; this is the first, {several[0][1]}.")
    group = ngff.inside(path, key, path.name) if key else path
    found = ngff.attributes(group)
    image = ngff.multiscale(found, path.name)
    full, *smaller = (ngff.inside(group, level, path.name) for level in image.paths)
    data, axes = _pixels(full, image.axes, path.name)
    levels = [
        _pixels(folder, image.axes, path.name, axes)[0]
        for level, folder in enumerate(smaller, start=1)
        if _is_same_place(image, level)
    ]
    notices += _missing(full, path.name, is_label="image-label" in found)
    along = dict(zip([axis for axis in "ZYX" if axis in image.axes], image.spacing, strict=True))
    spacing = tuple(along[axis] for axis in axes if axis in "ZYX")
    name = f"{stem(path)} {key}" if key else stem(path)
    geometry = read_geometry(found)
    medical = MedicalImage(data, axes, spacing, image.unit, name, geometry, image.origin(axes), *image.time)
    names = ngff.channel_names(found)
    return OpenedImage(
        medical,
        str(path),
        key,
        levels=checked_levels(data, levels, axes, path.name),
        coloured=ngff.are_colours(found) and medical.channels == 3 and data.dtype == np.uint8,
        planar="C" in axes,
        channel_names=names if len(names) == medical.channels else (),
        window=ngff.channel_window(found),
        notices=tuple(notices),
    )


def _pixels(folder: Path, named: str, called: str, wanted: str = "") -> tuple[Array, str]:
    """The array in a folder with its axes in the order of `AXES`.

    Args:
        folder: of the array.
        named: a letter for each of its axes.
        called: name of the image, for errors.
        wanted: axes to be had; by default those that say something.
    """
    array = open_checked(folder, called)
    if array.ndim != len(named) or 0 in array.shape:
        raise ImageError(f"'{called}' has an array of shape {array.shape}, but describes its axes as {named!r}.")
    data: Any = lazily(_Stored(array, folder, called), array.shards or array.chunks, named, called)
    sides = dict(zip(named, array.shape, strict=True))
    if not wanted:
        bare = "".join(axis for axis in named if sides[axis] > 1 or (axis in AXES and axis != "C"))
        wanted = "".join(axis for axis in bare if len(named) < 5 or sides[axis] > 1 or axis in "YX")
    if len(set(named)) != len(named) or not set("YX") <= set(wanted) <= set(AXES):
        raise ImageError(
            f"'{called}' has the axes {named!r}; up to five are allowed, each once: time, plane, row, column, channel "
            "(TZYXC). Save one position of it as an image of its own."
        )
    data = data[tuple(slice(None) if axis in wanted else 0 for axis in named)]
    left = [axis for axis in named if axis in wanted]
    axes = "".join(axis for axis in AXES if axis in wanted)
    return data.transpose([left.index(axis) for axis in axes]), axes


class _Stored:
    """An array that is not taken for empty when it is gone: Zarr reads chunks that are not there as its fill value.

    Args:
        array: the pixels.
        folder: where it is.
        called: name of the image, for errors.
    """

    def __init__(self, array: zarr.Array[Any], folder: Path, called: str) -> None:
        self._array, self._folder, self._called = array, folder, called
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, region: Any) -> Any:
        pixels = self._array[region]
        if not self._folder.is_dir():
            raise ImageError(
                f"'{self._called}' is not there any more: it was moved, or its disk is not connected. Bring it back, "
                "or open it anew."
            )
        return pixels


def _is_same_place(image: ngff.Multiscale, level: int) -> bool:
    """Whether a level begins where the full size begins, give or take a pixel of it."""
    return all(
        abs(there - here) <= abs(size) or axis not in "ZYX"
        for axis, here, there, size in zip(
            image.axes, image.translations[0], image.translations[level], image.scales[level], strict=True
        )
    )


def _missing(folder: Path, called: str, *, is_label: bool) -> list[str]:
    """A notice of chunks that are not stored: Zarr leaves out those without content, but a bad copy does, too."""
    array = open_checked(folder, called)
    wanted = math.prod(-(-n // step) for n, step in zip(array.shape, array.shards or array.chunks, strict=True))
    names = ("zarr.json", ".zarray", ".zattrs")
    stored = sum(name not in names for _, _, files in os.walk(folder) for name in files)
    if is_label or stored >= wanted:
        return []
    if not stored:
        raise ImageError(
            f"'{called}' holds no pixels: none of its {wanted} chunks is there. Copy the whole folder again."
        )
    return [
        f"{wanted - stored} of the {wanted} chunks are not stored and shown as {array.fill_value or 0}: they are "
        "empty, or the folder was not copied to its end."
    ]


def _bare_array(path: Path) -> OpenedImage:
    axes = _axes_of_a_bare_array(path)
    data, axes = _pixels(path, axes, path.name)
    notices = (
        f"The array does not say its spacing; its axes are taken as {axes}.",
        *_missing(path, path.name, is_label=False),
    )
    return OpenedImage(MedicalImage(data, axes, name=stem(path)), str(path), planar="C" in axes, notices=notices)


def _axes_of_a_bare_array(path: Path) -> str:
    """Of an array without a group around it: as its dimensions are called, else the last of (T, Z, Y, X)."""
    if not isinstance(zarr.open(str(path), mode="r"), zarr.Array):
        raise ImageError(
            f"'{path.name}' is a Zarr folder, but does not say which image it holds. Choose the image in it, or export "
            "it as OME-Zarr."
        )
    array = open_checked(path, path.name)
    if not 2 <= array.ndim <= 5:
        raise ImageError(f"'{path.name}' is an array of {array.ndim} axes; an image has two to five.")
    names = getattr(array.metadata, "dimension_names", None) or ()
    named = "".join(str(name or "?")[0].upper() for name in names)
    fits = len(named) == array.ndim and len(set(named)) == len(named) and set("YX") <= set(named) <= set(AXES)
    return named if fits else "TCZYX"[-array.ndim :] if array.ndim == 5 else "TZYX"[-array.ndim :]
