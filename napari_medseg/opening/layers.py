"""An opened file as napari's layers: in its spacing, at its place, with its colours or channels, as lazy as it is."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medseg.models.formats import OpenedImage
from napari_medseg.models.image import Array, MedicalImage, is_lazy

from ..image_layers import LARGE, METADATA_KEY, layer_settings

if TYPE_CHECKING:
    from napari.layers import Layer

LayerData = tuple[Any, dict[str, Any], str]

_SAMPLE = 2**21
"""Pixels that are read, at most, to see how bright an image is that is not in memory."""


def layers_of(opened: OpenedImage) -> list[LayerData]:
    """One layer for grey or colours, one for each channel else; pyramids as multiscale layers.

    `metadata["medseg"]` has what `METADATA_KEY` says. Of lazy pixels no more than a sample is read, for the contrast.
    """
    image, shared, sample = opened.image, _settings(opened), _sample(opened)
    if opened.coloured:
        return [(_levels(opened, _displayable(sample)), shared | {"name": image.name, "rgb": True}, "image")]
    if "C" not in image.axes:
        contrast = _contrast(opened, sample)
        return [(_levels(opened, _as_it_is), shared | {"name": image.name, "rgb": False} | contrast, "image")]
    return _channel_layers(opened, shared, sample)


def layers_of_image(image: MedicalImage) -> list[LayerData]:
    """The same for an image that came from no file; three channels are red, green and blue."""
    return layers_of(OpenedImage(image, "", coloured=image.channels == 3))


def made_layers(opened: OpenedImage) -> list[Layer]:
    """The layers themselves; takes its time, so not for the window's thread.

    What is not large is read now, so that the window never waits for a disk. The sliders of what the file wants to be
    shown in a window of intensities reach to the darkest and the brightest pixels.

    Raises:
        ImageError: pixels cannot be read.
    """
    from napari.layers import Layer

    if opened.image.lazy and not opened.levels and opened.image.data.nbytes < LARGE:
        opened = opened.loaded()
    made = [Layer.create(data, dict(settings), kind) for data, settings, kind in layers_of(opened)]
    if len(made) == 1 and not made[0].rgb and opened.window is not None:
        low, high = brightness(_sample(opened, known=False))
        black, white = made[0].contrast_limits
        made[0].contrast_limits_range = (min(low, black), max(high, white))
    return made


def _channel_layers(opened: OpenedImage, shared: dict[str, Any], sample: Array) -> list[LayerData]:
    """Layers that are coloured and added up, as napari's `channel_axis` makes them."""
    from napari.layers.utils.stack_utils import split_channels

    image, names, noted = opened.image, opened.channel_names, shared["metadata"][METADATA_KEY]
    layers = []
    for channel, (_, chosen, kind) in enumerate(split_channels(np.zeros((1, 1, image.channels)), 2, rgb=False)):
        named = names[channel] if channel < len(names) and names[channel] else f"channel {channel + 1}"
        settings = {key: chosen[key] for key in ("colormap", "blending")} | shared
        settings |= {"name": f"{image.name} {named}", "metadata": {METADATA_KEY: noted | {"channel": channel}}}
        pixels = _levels(opened, partial(_one_channel, channel))
        layers.append((pixels, settings | _contrast(opened, sample[..., channel]), kind))
    return layers


def _settings(opened: OpenedImage) -> dict[str, Any]:
    image = opened.image
    noted = {
        "axes": image.axes,
        "spacing": image.spacing,
        "unit": image.unit,
        "shape": image.mask_shape,
        "path": opened.path or None,
        "part": opened.part,
        "geometry": image.geometry,
        "origin": image.origin,
        "header": image.header,
        "notices": opened.notices,
        "found": opened.found,
        "window": opened.window,
        "time": (image.time_step, image.time_unit),
        "patient": opened.patient,
        "source": uuid.uuid4().hex,
        "channel": 0,
        "channels": 1 if opened.coloured else image.channels,
    }
    pyramid = {"multiscale": True} if opened.levels else {}
    return layer_settings(image) | {"metadata": {METADATA_KEY: noted}} | pyramid


def _levels(opened: OpenedImage, change: Callable[[Array], Array]) -> Any:
    """The pixels for a layer: a list of them, the largest first, for one of several resolutions."""
    full = change(opened.image.data)
    return [full, *(change(level) for level in opened.levels)] if opened.levels else full


def _as_it_is(pixels: Array) -> Array:
    return pixels


def _one_channel(channel: int, pixels: Array) -> Array:
    return pixels[..., channel] if is_lazy(pixels) else np.ascontiguousarray(pixels[..., channel])


def _contrast(opened: OpenedImage, sample: Array) -> dict[str, Any]:
    """The intensities to be shown as black and white, where napari would not find them, or not without much reading."""
    if opened.window is not None and opened.image.channels == 1 and opened.window[0] < opened.window[1]:
        return {"contrast_limits": opened.window}
    if not opened.image.lazy:
        return {}
    low, high = (0, 255) if sample.dtype == np.uint8 else brightness(sample)
    return {"contrast_limits": (low, high if high > low else low + 1)}


def brightness(pixels: Array) -> tuple[float, float]:
    """The least and the largest number among pixels; (0, 1) if there is none."""
    finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _sample(opened: OpenedImage, *, known: bool = True) -> Array:
    """Pixels that stand for the others: all of them if they are in memory, else the middle of some planes.

    Of the smallest copy in a pyramid; with the axes of the image. With `known`, those of 8 bits are not read, as their
    contrast is known.
    """
    image = opened.image
    if not image.lazy or (known and image.data.dtype == np.uint8):
        return image.data
    pixels = opened.levels[-1] if opened.levels else image.data
    leading = pixels.ndim - (3 if "C" in image.axes else 2)
    inside = pixels[tuple(_some(side, 3) for side in pixels.shape[:leading])]
    planes = math.prod(inside.shape[:leading]) * image.channels
    across = max(16, math.isqrt(_SAMPLE // max(1, planes)))
    middle = tuple(_middle(side, across) for side in pixels.shape[leading : leading + 2])
    return np.asarray(inside[(slice(None),) * leading + middle])


def _some(side: int, count: int) -> slice:
    """A few planes at even distances, away from the ends, which are often empty."""
    step = max(1, side // count)
    return slice(min(step // 2, side - 1), None, step)


def _middle(side: int, length: int) -> slice:
    start = max(0, (side - length) // 2)
    return slice(start, start + length)


def _displayable(sample: Array) -> Callable[[Array], Array]:
    """Brings colours into 8 bits or from 0 to 1; white is the largest number of as many bits as the sample uses."""
    if sample.dtype == np.uint8:
        return lambda colours: colours
    largest = brightness(sample)[1]
    if sample.dtype.kind == "f" and largest <= 1:
        return lambda colours: colours
    white = 2.0 ** max(8, np.ceil(np.log2(max(largest, 0) + 1))) - 1
    return lambda colours: (colours / white).astype(np.float32)
