"""Touching objects told apart: a watershed on the distance to the background."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from .image import as_mask


def split_touching(mask: npt.NDArray[Any], *, smallest: int = 15, separation: int = 5) -> npt.NDArray[Any]:
    """One label for each object of a mask.

    Each maximum of the smoothed distance map, the highest first and none nearer than `separation` to a higher one,
    is the seed of an object; a watershed on the distance gives each its pixels.

    Args:
        mask: (Y, X), or (..., Y, X) treated plane by plane; not 0 is foreground.
        smallest: objects of fewer pixels are dropped.
        separation: smallest distance between two seeds, in pixels.

    Returns:
        Labels 1 to n in the shape of `mask`, counted through all planes; uint8, uint16 or uint32.
    """
    labels = np.zeros(mask.shape, np.uint32)
    count = 0
    for index in np.ndindex(*mask.shape[:-2]):
        objects = _split_plane(mask[index] > 0, smallest, separation)
        labels[index] = np.where(objects > 0, objects + count, 0)
        count = max(count, int(labels[index].max()))
    return as_mask(labels)


def _split_plane(foreground: npt.NDArray[np.bool_], smallest: int, separation: int) -> npt.NDArray[np.uint32]:
    regions, _ = ndimage.label(foreground)
    # One pixel of border, so that an object cut by the image's edge has its maximum there and not beyond it.
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(np.pad(foreground, 1))[1:-1, 1:-1], 1.0)
    peaks = peak_local_max(distance, min_distance=separation, labels=regions, exclude_border=False)
    seeds = np.zeros(foreground.shape, np.uint32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    objects = watershed(-distance, seeds, mask=foreground)
    sizes = np.bincount(objects.ravel())
    kept = np.flatnonzero(sizes >= smallest)
    renumbered = np.zeros(len(sizes), np.uint32)
    renumbered[kept[kept > 0]] = np.arange(1, np.count_nonzero(kept) + 1)
    return renumbered[objects]
