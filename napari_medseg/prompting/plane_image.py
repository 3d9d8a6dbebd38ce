"""One plane of an image, as the predictor reads it: only that plane is loaded and sent, also of a large volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_medseg.models.errors import ImageError
from napari_medseg.models.image import MedicalImage

from ..image_layers import METADATA_KEY

Plane = tuple[int, ...]

EVERYWHERE = (slice(None), slice(None))
"""All rows and columns."""


def plane_image(
    layer: Any, siblings: Sequence[Any], plane: Plane, part: tuple[slice, slice] = EVERYWHERE
) -> MedicalImage:
    """The pixels (Y, X) or (Y, X, C) of one plane; may take long, where they come from a disk or a server.

    Args:
        layer: an Image layer; of a multiscale one the full size is taken.
        siblings: layers of the other channels of the image, if it has any.
        plane: index along each leading axis (time, plane).
        part: rows and columns that are wanted; no others are read.

    Raises:
        ImageError: channels of different shape, or pixels that cannot be had.
    """
    planes = [_pixels(channel, (*plane, *part)) for channel in in_order(layer, siblings)]
    if len({pixels.shape for pixels in planes}) > 1:
        raise ImageError(f"The channels of '{layer.name}' differ in size. Open the file again.")
    if len(planes) > 1:
        return MedicalImage(np.stack(planes, -1), "YXC")
    return MedicalImage(planes[0], "YXC" if layer.rgb else "YX")


def in_order(layer: Any, siblings: Sequence[Any]) -> list[Any]:
    """A layer and those of the other channels of its image, as the channels are numbered."""
    return sorted([layer, *siblings], key=_channel)


def _channel(layer: Any) -> int:
    return int((layer.metadata.get(METADATA_KEY) or {}).get("channel", 0))


def _pixels(layer: Any, where: tuple[Any, ...]) -> Any:
    data = layer.data[0] if layer.multiscale else layer.data
    try:
        return np.ascontiguousarray(np.asarray(data[where]))
    except Exception as error:  # a lazy array fails in any way that its source can
        raise ImageError(
            f"The pixels of layer '{layer.name}' cannot be had ({error}). Is the disk or server they come from still "
            "connected? Open the file again."
        ) from error
