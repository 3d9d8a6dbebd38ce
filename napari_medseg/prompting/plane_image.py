"""One plane of an image, as the predictor reads it: only that plane is loaded and sent, also of a large volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_medseg.models.errors import ImageError
from napari_medseg.models.image import MedicalImage

from ..image_layers import METADATA_KEY

Plane = tuple[int, ...]


def plane_image(layer: Any, siblings: Sequence[Any], plane: Plane) -> MedicalImage:
    """The pixels (Y, X) or (Y, X, C) of one plane; may take long, where they come from a disk or a server.

    Args:
        layer: an Image layer; of a multiscale one the full size is taken.
        siblings: layers of the other channels of the image, if it has any.
        plane: index along each leading axis (time, plane).

    Raises:
        ImageError: channels of different shape, or pixels that cannot be had.
    """
    channels = sorted([layer, *siblings], key=_channel) if siblings else [layer]
    planes = [_pixels(channel, plane) for channel in channels]
    if len({pixels.shape for pixels in planes}) > 1:
        raise ImageError(f"The channels of '{layer.name}' differ in size. Open the file again.")
    if len(planes) > 1:
        return MedicalImage(np.stack(planes, -1), "YXC")
    return MedicalImage(planes[0], "YXC" if layer.rgb else "YX")


def _channel(layer: Any) -> int:
    return int((layer.metadata.get(METADATA_KEY) or {}).get("channel", 0))


def _pixels(layer: Any, plane: Plane) -> Any:
    data = layer.data[0] if layer.multiscale else layer.data
    try:
        return np.ascontiguousarray(np.asarray(data[plane]))
    except Exception as error:  # a lazy array fails in any way that its source can
        raise ImageError(
            f"The pixels of layer '{layer.name}' cannot be had ({error}). Is the disk or server they come from still "
            "connected? Open the file again."
        ) from error
