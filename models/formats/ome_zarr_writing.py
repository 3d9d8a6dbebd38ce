"""Masks as OME-Zarr labels: a store of their own, or labels of an image that is there already."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import durable
from ..cancelling import Cancel, each_unless
from ..errors import ImageError
from ..image import Array, MedicalImage, as_mask
from ..label_store import LabelStore
from . import ome_zarr_metadata as ngff

NAME = "medseg"
"""Of the labels that are written into an image's own folder."""

ROWS = 4096
"""Of a plane that are written at once: whole chunks of the first levels."""


def write_ome_zarr_labels(
    path: str | os.PathLike[str], mask: Array, image: MedicalImage, *, cancel: Cancel | None = None
) -> Path:
    """Write the mask of `image` as a pyramid of labels, whole or not at all.

    Args:
        path: a folder to make; or labels that were written before, which are replaced; or the folder of an OME-Zarr
            image, which gets (or gets anew) the labels "medseg" and is not changed else.
        mask: labels of the image's `mask_shape`.
        image: whose axes, spacing, unit, place and step of time are written.
        cancel: asked whether to stop.

    Returns:
        The folder of the labels.

    Raises:
        ImageError: not a mask of this image, or a folder of something else.
        WriteError: no permission, no space, ...; what was there is there still.
        CancelledError: asked to stop; what was there is there still.
    """
    path = Path(path).absolute()
    mask = as_mask(mask, image)
    found = ngff.attributes(path) if path.exists() else {}
    if not path.exists() or "image-label" in found:
        _write(path, mask, image, image.origin, cancel=cancel)
        return path
    if "multiscales" not in found:
        raise ImageError(f"There is a '{path.name}' that is no OME-Zarr. Nothing was written; choose another name.")
    return _write_beside_the_image(path, mask, image, cancel)


def _write_beside_the_image(path: Path, mask: Array, image: MedicalImage, cancel: Cancel | None) -> Path:
    """Labels first, then their name in the list: what is not in the list is not shown."""
    old = (path / ".zgroup").is_file()
    folder = path / "labels" / NAME
    listed = ngff.attributes(path / "labels").get("labels")
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    origin = _origin(path, image.axes)
    durable.make_folder(path / "labels")
    _write(folder, mask, image, origin, version_04=old, cancel=cancel)
    if NAME not in names:
        names = [*names, NAME]
        if old:
            durable.write(path / "labels" / ".zgroup", json.dumps({"zarr_format": 2}).encode())
            durable.write(path / "labels" / ".zattrs", json.dumps({"labels": names}).encode())
        else:
            group = {"zarr_format": 3, "node_type": "group"}
            listed_there = {"attributes": {"ome": {"version": "0.5", "labels": names}}}
            durable.write(path / "labels" / "zarr.json", json.dumps(group | listed_there).encode())
    return folder


def _write(
    path: Path,
    mask: Array,
    image: MedicalImage,
    origin: tuple[float, ...],
    *,
    version_04: bool = False,
    cancel: Cancel | None = None,
) -> None:
    """Make the labels in a folder beside, and give them their name when they are whole and on the disk.

    Args:
        path: of the labels.
        mask: labels.
        image: that they are of.
        origin: where they begin, see `MedicalImage`.
        version_04: write OME-NGFF 0.4.
        cancel: asked whether to stop.
    """
    durable.make_folder(path.parent)
    axes = image.axes.replace("C", "")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with durable.explained(path):
            beside.mkdir()
            new = beside / path.name
            time = (image.time_step, image.time_unit)
            where = (axes, image.spacing, image.unit, image.geometry)
            store = LabelStore.create(new, mask.shape, *where, mask.dtype, origin=origin, time=time)
            for strip in each_unless(cancel, _strips(mask.shape)):
                store.write(strip, mask[strip])
            if version_04:
                _as_version_04(store, beside / "04")
                new = beside / "04"
            durable.sync_tree(new)
            durable.exchange(new, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _strips(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Regions that cover labels of a shape, plane by plane and some rows at a time."""
    for plane in np.ndindex(*shape[:-2]):
        for top in range(0, shape[-2], ROWS):
            yield (*(slice(at, at + 1) for at in plane), slice(top, min(top + ROWS, shape[-2])))


def _origin(path: Path, axes: str) -> tuple[float, ...]:
    """Where an image begins (see `MedicalImage.origin`) along those of Z, Y, X that are in `axes`.

    Raises:
        ImageError: it does not say.
    """
    try:
        return ngff.multiscale(ngff.attributes(path), path.name).origin(axes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ImageError(
            f"What '{path.name}' says of its image is damaged. Nothing was written; choose another name."
        ) from error


def _as_version_04(store: LabelStore, folder: Path) -> None:
    """A copy as OME-NGFF 0.4 in Zarr 2, for images of that kind: their readers look for nothing else."""
    import zarr

    described = dict(zarr.open_group(store.path, mode="r").attrs)
    ome: Any = described.pop("ome")
    multiscales = [one | {"version": "0.4"} for one in ome["multiscales"]]
    attributes = described | {"multiscales": multiscales, "image-label": {"version": "0.4"}}
    group = zarr.open_group(folder, mode="w", zarr_format=2, attributes=attributes)
    for name, level in enumerate(store.levels):
        copy = group.create_array(
            str(name),
            shape=level.shape,
            dtype=level.dtype,
            chunks=level.chunks,
            fill_value=0,
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        for plane in np.ndindex(*level.shape[:-2]):
            copy[plane] = level[plane]
