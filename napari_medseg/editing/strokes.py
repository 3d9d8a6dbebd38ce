"""What napari tells of a stroke, a fill or a polygon, as changes of boxes. Without Qt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .boxes import Array, sides
from .change import Change, gathered

_SPARSE = 2**24
"""Pixels of a box from which on single pixels of it are noted plane by plane."""


def stroke_changes(atoms: Iterable[Any], shape: Sequence[int]) -> list[Change]:
    """Changes of one entry of napari's history, as the event `paint` of a Labels layer brings it.

    Only what the event itself holds is looked at: the mask may have changed again meanwhile, and may be large.

    Args:
        atoms: since napari 0.8 `(slice_key, mask, old_values, new_value)`, where no mask means the whole box;
            from `data_setitem`, and before 0.8, `(indices, old_values, new_values)` with an index array for each axis,
            where -1 is the last pixel.
        shape: of the mask.
    """
    changes: list[Change] = []
    for atom in atoms:
        if hasattr(atom, "slice_key"):
            changes.append(_of_box(atom))
        else:
            indices, old_values, new_values = atom
            changes += _of_pixels(indices, old_values, new_values, shape)
    return gathered(changes)


def _of_box(atom: Any) -> Change:
    box = tuple(slice(int(axis.start), int(axis.stop)) for axis in atom.slice_key)
    old = np.asarray(atom.old_values)
    mask = np.ones(sides(box), bool) if atom.mask is None else np.asarray(atom.mask).reshape(sides(box))
    before = np.zeros(sides(box), old.dtype)
    before[mask] = old.reshape(-1)
    return Change(box, before, np.full(sides(box), atom.new_value, old.dtype), mask)


def _of_pixels(indices: Any, old_values: Any, new_values: Any, shape: Sequence[int]) -> list[Change]:
    index = np.stack([np.asarray(axis).reshape(-1) for axis in indices]).astype(np.intp)
    index = np.where(index < 0, index + np.array(shape)[:, np.newaxis], index)
    old = np.asarray(old_values).reshape(-1)
    new = np.broadcast_to(np.asarray(new_values, old.dtype).reshape(-1), old.shape)
    if not old.size:
        return []
    if np.prod(np.ptp(index, axis=1) + 1, dtype=float) <= _SPARSE:
        return [_scattered(index, old, new)]
    planes = (np.flatnonzero(index[0] == plane) for plane in np.unique(index[0]))
    return [_scattered(index[:, here], old[here], new[here]) for here in planes]


def _scattered(index: Array, old: Array, new: Array) -> Change:
    first, last = index.min(axis=1), index.max(axis=1) + 1
    box = tuple(slice(int(start), int(stop)) for start, stop in zip(first, last, strict=True))
    here = tuple(index - first[:, np.newaxis])
    before, after = np.zeros(sides(box), old.dtype), np.zeros(sides(box), old.dtype)
    changed = np.zeros(sides(box), bool)
    before[here], after[here], changed[here] = old, new, True
    return Change(box, before, after, changed)
