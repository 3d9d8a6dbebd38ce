"""Layers of large images: the mask as a pyramid, and a part of the image with a mask that can be painted on."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels
from napari.layers._multiscale_data import MultiScaleData
from napari.utils.transforms import Affine

from napari_medseg.models.geometry import Geometry
from napari_medseg.models.itk_source import ItkSource
from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.nifti_source import NiftiSource

from ..image_layers import (
    METADATA_KEY,
    axes_of,
    channel_siblings,
    geometry_of,
    header_of,
    in_order,
    mask_layer_settings,
    noted_of,
    time_of,
)
from .level import Level

Array = npt.NDArray[Any]
Box = tuple[slice, ...]


def pyramid_layer(image: Image, levels: MultiScaleData) -> Labels:
    """The mask of a large image, to be looked at; see `shown_levels`."""
    settings = mask_layer_settings(image) | {"metadata": {METADATA_KEY: {"large": True}}}
    return Labels(levels, multiscale=True, cache=False, name=f"{image.name} mask", **settings)


def shown_levels(store: LabelStore, without: Box | None = None) -> MultiScaleData:
    """The levels of a store, as they are on the disk when they are shown.

    Args:
        store: of the mask.
        without: a part at full size that is left empty, as it is shown by another layer.
    """
    full = store.shape
    levels = [Level(level, without and _scaled(without, full, level.shape)) for level in store.levels]
    return MultiScaleData(levels)  # or napari would take a single level for an array that can be painted on


def _scaled(box: Box, full: Sequence[int], shape: Sequence[int]) -> Box:
    """A box at another level."""
    scaled = []
    for side, long, short in zip(box, full, shape, strict=True):
        factor = long / short
        scaled.append(slice(round(side.start / factor), round(side.stop / factor)))
    return tuple(scaled)


def part_images(layers: Sequence[Image], pixels: Sequence[Array], box: Box) -> list[Image]:
    """A layer for each channel of a part, at its place and invisible, since the large image is shown below it.

    Args:
        layers: of the large image, one for each channel.
        pixels: of the part, for each of them.
        box: the part.
    """
    source, made = uuid.uuid4().hex, []
    for layer, data in zip(layers, pixels, strict=True):
        noted = noted_of(layer) | {
            "shape": data.shape[: len(box)],
            "geometry": _part_geometry(layer, box),
            "origin": None,  # as it is shown
            "header": _part_header(layer, box),
            "part_of": tuple((side.start, side.stop) for side in box),
            "source": source,
        }
        settings = part_settings(layer, box) | {"metadata": {METADATA_KEY: noted}}
        if not layer.rgb:
            settings |= {"contrast_limits": layer.contrast_limits, "colormap": layer.colormap}
        made.append(Image(data, name=f"{layer.name} part", rgb=layer.rgb, visible=False, **settings))
    return made


def part_settings(layer: Image, box: Box) -> dict[str, Any]:
    """Settings of a layer that shows a part of another one, at its place."""
    settings = mask_layer_settings(layer)
    own = Affine(scale=layer.scale, rotate=layer.rotate, shear=layer.shear).linear_matrix
    settings["translate"] = np.array(layer.translate) + own @ np.array([side.start for side in box], float)
    return settings


def channels_of(image: Image, layers: Any) -> list[Image]:
    """All layers of a large image, in the order of its channels."""
    return in_order(image, channel_siblings(image, layers))


def _part_header(layer: Image, box: Box) -> NiftiSource | ItkSource | None:
    """Of some of the frames, time begins with the first of them."""
    axes, header = axes_of(layer), header_of(layer)
    if header is None or "T" not in axes:
        return header
    frames = box[axes.index("T")]
    return header.from_frame(frames.start, frames.stop - frames.start, time_of(layer, axes)[0])


def _part_geometry(layer: Image, box: Box) -> Geometry | None:
    geometry = geometry_of(layer)
    if geometry is None:
        return None
    axes = str(noted_of(layer).get("axes", "")).replace("C", "")
    starts = {axis: side.start for axis, side in zip(axes, box, strict=True)}
    affine = np.array(geometry.affine)
    affine[:3, 3] += affine[:3, :3] @ np.array([starts.get(axis, 0) for axis in "ZYX"], float)
    return replace(geometry, affine=affine)
