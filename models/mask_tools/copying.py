"""What is drawn on one slice, drawn on another."""

from __future__ import annotations

import numpy as np

from .change import Array, Change, Region
from .errors import MaskToolError
from .selection import ALL, Selection
from .wording import count


def copy_slice(
    mask: Array, source: int, target: int, selection: Selection = ALL, *, axis: int = 0, called: str = "slice"
) -> Change:
    """Copy labels of one slice to another. What is on the target already stays; only its background is drawn on.

    Args:
        mask: labels, (Z, Y, X) or (T, Y, X); 0 is background.
        source: number of the slice that is copied.
        target: number of the slice that it is copied to.
        selection: the labels that are copied.
        axis: across the slices.
        called: what people call one: "slice" or "frame".

    Raises:
        MaskToolError: there is no such slice, or the mask is no stack of slices.
    """
    if mask.ndim != 3:
        raise MaskToolError(f"This mask is a single plane; there is no other {called} to copy to.")
    for number in (source, target):
        if not 0 <= number < mask.shape[axis]:
            raise MaskToolError(f"There is no {called} {number}; the mask has {called}s 0 to {mask.shape[axis] - 1}.")
    drawn = np.take(mask, source, axis)
    boxes = Selection(selection.labels).find(drawn)
    if not boxes:
        return Change.nothing(mask, f"{called.capitalize()} {source} has nothing of {selection.called} to copy.")
    before = np.take(mask, target, axis)
    wanted = np.isin(drawn, np.array(list(boxes), dtype=drawn.dtype))
    after = np.where(wanted & (before == 0), drawn, before)
    kept = int(np.count_nonzero(wanted & (before != 0) & (before != drawn)))
    rows, columns = (slice(0, side) for side in before.shape)
    plane: list[slice] = [rows, columns]
    plane.insert(axis, slice(target, target + 1))
    region: Region = tuple(plane)
    size = int(np.count_nonzero(before != after))
    over = f"; {count(kept, 'pixel')} of other labels stayed" if kept else ""
    said = f"Copied {selection.called} from {called} {source} to {target}, {count(size, 'pixel')}{over}."
    if size == 0:
        return Change.nothing(
            mask, f"{called.capitalize()} {target} has all of {selection.called} that there is room for{over}."
        )
    return Change.between(region, np.expand_dims(before, axis), np.expand_dims(after, axis), said)
