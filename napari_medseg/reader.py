"""Opens TIFF and OME-TIFF files in napari with their spacing, units and channels.

napari's own reader shows the bare array. It keeps PNG and JPEG, which have nothing to lose.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg.models.errors import ImageError
from napari_medseg.models.image import Array, MedicalImage
from napari_medseg.models.reading import content_kind
from napari_medseg.models.tiff import read_tiff

from .image_layers import METADATA_KEY, layer_settings

LayerData = tuple[Any, dict[str, Any], str]

PLUGIN = "napari-medseg"
"""Name for `viewer.open(path, plugin=...)`."""

PATTERNS = ("*.tif", "*.tiff", "*.TIF", "*.TIFF")
"""Files that napari's settings may give to this reader for good."""


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """`read` for a TIFF, None for anything else; looks at the name and the first bytes only and never raises."""
    try:
        return read if isinstance(path, str) and content_kind(path) == "tiff" else None
    except ImageError:
        return None


def read(path: str) -> list[LayerData]:
    """Read a TIFF as napari layers.

    Returns:
        One layer for grey or colours, one for each channel else. `metadata["medseg"]` has what `METADATA_KEY` says.

    Raises:
        ImageError: the file cannot be read; the text says why.
    """
    if content_kind(path) != "tiff":
        raise ImageError(f"'{Path(path).name}' is not a TIFF, whatever its ending says; rename it after what it is.")
    content = read_tiff(path)
    if content.coloured:
        return [colour_layer(content.image, path)]
    return channel_layers(content.image, path, content.channel_names)


def colour_layer(image: MedicalImage, path: str | None = None) -> LayerData:
    """One layer of an image whose three channels are red, green and blue.

    napari shows colours of 8 bits, or real numbers from 0 to 1, so others are brought to the latter.
    """
    settings = _settings(image, path, channel=0, channels=1) | {"name": image.name, "rgb": True}
    return _displayable(image.data), settings, "image"


def channel_layers(image: MedicalImage, path: str | None = None, names: Sequence[str] = ()) -> list[LayerData]:
    """One layer for each channel of an image, as napari's `channel_axis` makes them: coloured and added up."""
    if "C" not in image.axes:
        settings = _settings(image, path, channel=0, channels=1) | {"name": image.name, "rgb": False}
        return [(image.data, settings, "image")]
    from napari.layers.utils.stack_utils import split_channels

    called = [
        f"{image.name} {names[at] if at < len(names) and names[at] else f'channel {at + 1}'}"
        for at in range(image.channels)
    ]
    split = split_channels(image.data, image.data.ndim - 1, name=called, rgb=False)
    shared = _settings(image, path, channel=0, channels=image.channels)
    return [
        (
            np.ascontiguousarray(data),
            {**chosen, **shared, "metadata": {METADATA_KEY: shared["metadata"][METADATA_KEY] | {"channel": channel}}},
            kind,
        )
        for channel, (data, chosen, kind) in enumerate(split)
    ]


def always_open_tiff_here() -> bool:
    """Make this the reader of TIFF files in napari's settings, so that it does not ask each time.

    Returns:
        Whether it is now; False where the user has chosen another for any of them, which is left as it is.
    """
    from napari.settings import get_settings

    plugins = get_settings().plugins
    chosen = dict(plugins.extension2reader)
    if any(chosen.get(pattern, PLUGIN) != PLUGIN for pattern in PATTERNS):
        return False
    plugins.extension2reader = chosen | dict.fromkeys(PATTERNS, PLUGIN)
    return True


def _settings(image: MedicalImage, path: str | None, *, channel: int, channels: int) -> dict[str, Any]:
    noted = {
        "axes": image.axes,
        "spacing": image.spacing,
        "unit": image.unit,
        "path": path,
        "source": uuid.uuid4().hex,
        "channel": channel,
        "channels": channels,
    }
    return layer_settings(image) | {"metadata": {METADATA_KEY: noted}}


def _displayable(colours: Array) -> Array:
    """Colours in 8 bits or from 0 to 1; the white of others is the largest number of as many bits as they use."""
    if colours.dtype == np.uint8:
        return colours
    largest = float(colours.max())
    if colours.dtype.kind == "f" and largest <= 1:
        return colours
    white = 2.0 ** max(8, np.ceil(np.log2(largest + 1))) - 1
    return (colours / white).astype(np.float32)
