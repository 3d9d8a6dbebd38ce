"""Small parts away, or all but the largest."""

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
from .wording import count, gone


def remove_small(
    mask: Array,
    smallest: float,
    selection: Selection = ALL,
    *,
    spacing: Sequence[float] = (),
    progress: Progress | None = None,
) -> Change:
    """Remove every part of a label that is smaller than `smallest`; parts that touch at a corner are one.

    A part that the border of the mask cuts counts by what is in the mask. An empty mask stays empty.

    Args:
        mask: labels, (Y, X) or (Z, Y, X); 0 is background.
        smallest: the least that stays: pixels, or area or volume in the unit of `spacing`, squared or cubed.
        selection: the labels that may change.
        spacing: between neighbours along each axis; pixels are counted if none is given.
        progress: told after each label.

    Raises:
        MaskToolError: `smallest` is not above 0, or a mask of one axis or more than three.
    """
    check_axes(mask)
    pixel = math.prod(checked_spacing(spacing, mask.ndim))
    if not (math.isfinite(smallest) and smallest > 0):
        raise MaskToolError(f"The smallest size to keep is {smallest:g}; it must be above 0.")
    parts, lost = 0, []

    def keep_large(object_: npt.NDArray[np.bool_], _labels: Array, label: int) -> npt.NDArray[np.bool_]:
        nonlocal parts
        numbers, sizes = _parts(object_)
        small = sizes * pixel < smallest * (1 - 1e-9)
        small[0] = False
        parts += int(small.sum())
        if small[1:].all() and len(small) > 1:
            lost.append(label)
        return object_ & ~small[numbers]

    found = edit_each(mask, selection, (0,) * mask.ndim, keep_large, progress)
    size = int(np.count_nonzero(found[1] != found[2]))
    said = f"Removed {count(parts, 'small part')}, {count(size, 'pixel')}{gone(lost)}."
    return changed(mask, found, said, f"Nothing in {selection.called} is that small.")


def keep_largest(mask: Array, selection: Selection = ALL, *, progress: Progress | None = None) -> Change:
    """Keep the largest part of each label; of equally large ones the first. Parts that touch at a corner are one.

    An empty mask stays empty, and so does a label in one piece.

    Args:
        mask: labels, (Y, X) or (Z, Y, X); 0 is background.
        selection: the labels that may change.
        progress: told after each label.

    Raises:
        MaskToolError: a mask of one axis or more than three.
    """
    check_axes(mask)
    parts = 0

    def keep_one(object_: npt.NDArray[np.bool_], _labels: Array, _label: int) -> npt.NDArray[np.bool_]:
        nonlocal parts
        numbers, sizes = _parts(object_)
        sizes[0] = 0
        parts += max(len(sizes) - 2, 0)
        return object_ & (numbers == sizes.argmax())

    found = edit_each(mask, selection, (0,) * mask.ndim, keep_one, progress)
    size = int(np.count_nonzero(found[1] != found[2]))
    said = f"Kept the largest part of {selection.called}; removed {count(parts, 'other')}, {count(size, 'pixel')}."
    if selection.labels is None:
        said = f"Kept the largest part of each label; removed {count(parts, 'other')}, {count(size, 'pixel')}."
    return changed(mask, found, said, f"There is no second part in {selection.called}.")


def _parts(object_: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The number of each pixel's part, 0 for none, and the parts' sizes in pixels, by number."""
    numbers, _ = ndimage.label(object_, structure=np.ones((3,) * object_.ndim))
    return numbers, np.bincount(numbers.ravel())
