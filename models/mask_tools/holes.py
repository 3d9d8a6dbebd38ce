"""Holes filled."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .change import Array, Change, Progress
from .distances import checked_spacing
from .errors import MaskToolError
from .selection import ALL, Selection, changed, check_axes, edit_each
from .wording import count


def fill_holes(
    mask: Array,
    selection: Selection = ALL,
    *,
    largest: float = math.inf,
    spacing: Sequence[float] = (),
    progress: Progress | None = None,
) -> Change:
    """Give a label the background that it encloses.

    In a volume a hole is enclosed on all sides; see `plane_by_plane` for holes of single slices. What is open to the
    border of the mask is no hole. Other labels in a hole stay; the background around them is filled.

    Args:
        mask: labels, (Y, X) or (Z, Y, X); 0 is background.
        selection: the labels whose holes are filled.
        largest: the largest hole to fill: pixels, or area or volume in the unit of `spacing`, squared or cubed.
        spacing: between neighbours along each axis; pixels are counted if none is given.
        progress: told after each label.

    Raises:
        MaskToolError: `largest` is not above 0, or a mask of one axis or more than three.
    """
    check_axes(mask)
    pixel = math.prod(checked_spacing(spacing, mask.ndim))
    if not largest > 0:
        raise MaskToolError(f"The largest hole to fill is {largest:g}; it must be above 0.")
    holes = 0

    def fill(object_: npt.NDArray[np.bool_], labels: Array, _label: int) -> npt.NDArray[np.bool_]:
        nonlocal holes
        outside = np.pad(~object_, 1, constant_values=True)  # so that all that is open is one with the corner
        numbers, _ = ndimage.label(outside)
        enclosed = np.bincount(numbers.ravel()) * pixel <= largest * (1 + 1e-9)
        enclosed[[0, numbers.flat[0]]] = False
        numbers = numbers[(slice(1, -1),) * object_.ndim]
        filled = enclosed[numbers] & (labels == 0)
        holes += len(np.unique(numbers[filled]))
        return object_ | filled

    found = edit_each(mask, selection, (0,) * mask.ndim, fill, progress)
    size = int(np.count_nonzero(found[1] != found[2]))
    return changed(
        mask, found, f"Filled {count(holes, 'hole')}, {count(size, 'pixel')}.", f"No holes in {selection.called}."
    )
