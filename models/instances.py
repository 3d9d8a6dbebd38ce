"""Touching objects told apart: a watershed on the distance to the background."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from .image import as_mask

STANDS_OUT = 0.25
"""Pixels by which a maximum of the distance must rise above the saddle to a higher one, to be an object of its own."""


SMALLEST = 15
"""Pixels that an object has at least; those that are smaller are dropped."""


def split_touching(mask: npt.NDArray[Any], *, smallest: int = SMALLEST) -> npt.NDArray[Any]:
    """One label for each object of a mask.

    Each maximum of the smoothed distance map that stands out, plateaus being one, is the seed of an object; a
    watershed on the distance gives each its pixels. Every connected region has one seed at least.

    Args:
        mask: (Y, X), or (..., Y, X) treated plane by plane; not 0 is foreground.
        smallest: objects of fewer pixels are dropped.

    Returns:
        Labels 1 to n in the shape of `mask`, counted through all planes; uint8, uint16 or uint32.
    """
    labels = np.zeros(mask.shape, np.uint32)
    count = 0
    for index in np.ndindex(*mask.shape[:-2]):
        objects = split_plane(mask[index] > 0, smallest)
        labels[index] = np.where(objects > 0, objects + count, 0)
        count = max(count, int(labels[index].max()))
    return as_mask(labels)


def split_plane(
    foreground: npt.NDArray[np.bool_], smallest: int = SMALLEST, origin: tuple[int, int] = (0, 0)
) -> npt.NDArray[np.uint32]:
    """Labels 1 to n of the objects of one plane, or of a part of it.

    Args:
        foreground: (Y, X).
        smallest: objects of fewer pixels are dropped.
        origin: row and column in the plane that the part begins with: where two objects have the same right to a
            pixel, its place in the plane decides, so that the answer does not depend on what else is seen.
    """
    # One pixel of border, so that an object cut by the image's edge has its maximum there and not beyond it.
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(np.pad(foreground, 1))[1:-1, 1:-1], 1.0)
    distance[~foreground] = -1  # lower than the top of the thinnest object
    walled = np.pad(distance, 1, constant_values=-1)
    tops = local_maxima(reconstruction(walled - STANDS_OUT, walled))[1:-1, 1:-1]
    seeds, _ = ndimage.label(tops & foreground, structure=np.ones((3, 3)))
    rows, columns = (
        np.arange(first, first + side) % 4096 for first, side in zip(origin, foreground.shape, strict=True)
    )
    distance -= 1e-9 * (rows[:, None] + columns / 4096)
    objects = watershed(-distance, seeds, connectivity=2, mask=foreground)  # corners connect, as for the seeds
    sizes = np.bincount(objects.ravel())
    kept = np.flatnonzero(sizes >= smallest)
    renumbered = np.zeros(len(sizes), np.uint32)
    renumbered[kept[kept > 0]] = np.arange(1, np.count_nonzero(kept) + 1)
    return renumbered[objects]
