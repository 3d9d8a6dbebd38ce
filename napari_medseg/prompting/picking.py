"""Finding objects in a mask; for a thread, since whole planes and volumes are looked through. Without napari."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.segmentation import flood

from napari_medseg.models.engine.region import Region

from .object_in_work import trimmed

Array = npt.NDArray[Any]


def object_at(pixels: Array, row: int, column: int, *, alone: bool) -> Region:
    """The object on a pixel of a mask.

    Args:
        pixels: (Y, X), with a label there.
        row: of the pixel.
        column: of the pixel.
        alone: whether all pixels of that label are the object; else those that hang together with this one, by sides
            or corners.
    """
    label = pixels[row, column]
    mask = pixels == label if alone else flood(pixels, (row, column), connectivity=2)
    return trimmed((slice(0, pixels.shape[0]), slice(0, pixels.shape[1])), mask)


def next_label(mask: Array) -> int:
    """The first number above all labels of a mask of any shape."""
    return int(np.max(mask, initial=0)) + 1
