"""One plane of an image, as the predictor reads it: only that plane is loaded and sent, also of a large volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_medseg.models.errors import ImageError
from napari_medseg.models.image import MedicalImage

from ..image_layers import in_order
from ..layer_pixels import pixels_at

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
    planes = [pixels_at(channel, (*plane, *part)) for channel in in_order(layer, siblings)]
    if len({pixels.shape for pixels in planes}) > 1:
        raise ImageError(f"The channels of '{layer.name}' differ in size. Open the file again.")
    if len(planes) > 1:
        return MedicalImage(np.stack(planes, -1), "YXC")
    return MedicalImage(planes[0], "YXC" if layer.rgb else "YX")
