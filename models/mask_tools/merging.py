"""Several labels made one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .change import Array, Change, common, union
from .errors import MaskToolError
from .selection import ALL, Selection, changed
from .wording import count


def merge(mask: Array, into: int, others: Iterable[int], selection: Selection = ALL) -> Change:
    """Give other labels the label `into`. Works on a mask of any number of axes.

    Args:
        mask: labels; 0 is background.
        into: the label that stays.
        others: the labels that become it; those without a pixel are passed over.
        selection: only its `within` and `boxes` count.

    Raises:
        MaskToolError: one of the labels is background, or nothing is left to merge.
    """
    others = [int(label) for label in others if int(label) != into]
    merged = Selection(tuple(others), selection.within, selection.boxes)
    if into <= 0:
        raise MaskToolError("Background cannot be merged; click on an object.")
    if not others:
        raise MaskToolError(f"That is label {into} already; click on another object to merge with it.")
    boxes = merged.find(mask)
    if not boxes:
        return Change.nothing(mask, f"There is nothing in {merged.called} to merge.")
    region = union(boxes.values()) if selection.within is None else common(union(boxes.values()), selection.within)
    before = mask[region].copy()
    after = before.copy()
    after[np.isin(before, np.array(list(boxes), dtype=before.dtype))] = into
    size = int(np.count_nonzero(before != after))
    names = f"label {others[0]}" if len(others) == 1 else f"{len(others)} labels"
    return changed(
        mask,
        (region, before, after),
        f"Merged {names} into label {into}, {count(size, 'pixel')}.",
        f"There is nothing in {merged.called} to merge.",
    )
