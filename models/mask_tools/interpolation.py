"""Slices between annotated ones, filled in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .change import Array, Change, Progress, around, box_of, union
from .distances import checked_spacing
from .errors import MaskToolError
from .selection import ALL, Selection, edit_each
from .wording import count

Distance = npt.NDArray[np.float32]
Object = npt.NDArray[np.bool_]


def interpolate(
    mask: Array,
    selection: Selection = ALL,
    *,
    axis: int = 0,
    spacing: Sequence[float] = (),
    progress: Progress | None = None,
    called: str = "slice",
) -> Change:
    """Fill the slices between two that have a label, for each label on its own.

    The signed distances to the border on both slices are mixed in proportion (shape-based interpolation, Raya and
    Udupa, IEEE Trans. Med. Imaging 9:32, 1990). Objects that do not overlap are moved over one another first, so
    that a slanted vessel is not interrupted. Only slices without the label are filled, and of these only background;
    slices above the first and below the last stay as they are. A label on a single slice gives nothing to fill.

    Args:
        mask: labels, (Z, Y, X) or (T, Y, X); 0 is background.
        selection: the labels whose gaps are filled.
        axis: across the slices.
        spacing: between neighbours along each axis; 1 (pixels) if none is given.
        progress: told after each label.
        called: what people call a slice: "slice" or "frame".

    Raises:
        MaskToolError: the mask is no stack of slices, or the spacing does not fit it.
    """
    if mask.ndim != 3:
        raise MaskToolError(f"This mask is a single plane; there are no {called}s to fill between.")
    steps = checked_spacing(spacing, 3)
    plane_steps = (*steps[:axis], *steps[axis + 1 :])
    slices_seen = 0

    def fill(object_: Object, _labels: Array, _label: int) -> Object:
        nonlocal slices_seen
        stack = np.moveaxis(object_, axis, 0).copy()
        drawn = np.flatnonzero(stack.any(axis=(1, 2)))
        slices_seen = max(slices_seen, len(drawn))
        for first, last in pairwise(drawn.tolist()):
            if last - first > 1:
                _fill_gap(stack, first, last, plane_steps)
        return np.moveaxis(stack, 0, axis)

    region, before, after = edit_each(mask, selection, (0, 0, 0), fill, progress)
    change = Change.between(region, before, after, "")
    if not change:
        alone, whole = f"is on no more than one {called}; annotate another one", f"has no gap between {called}s"
        why = alone if slices_seen < 2 else whole
        return Change.nothing(mask, f"{selection.called.capitalize()} {why}.")
    others = tuple(other for other in range(3) if other != axis)
    number = int((change.before != change.after).any(axis=others).sum())
    said = f"Filled {count(number, called)} of {selection.called}, {count(change.pixels, 'pixel')}."
    return Change(change.region, change.before, change.after, said)


def _fill_gap(stack: Object, first: int, last: int, spacing: Sequence[float]) -> None:
    """Draw the slices between two drawn ones, in place."""
    box = around(union([box_of(stack[first]), box_of(stack[last])]), (1, 1), stack.shape[1:])
    one, other = stack[first][box], stack[last][box]
    move = np.zeros(2)
    if not (one & other).any():
        move = np.subtract(ndimage.center_of_mass(other), ndimage.center_of_mass(one))
    here, there = signed_distance(one, spacing), signed_distance(other, spacing)
    for number in range(first + 1, last):
        share = (number - first) / (last - first)
        near_end, far_end = _moved(here, share * move), _moved(there, (share - 1) * move)
        stack[number][box] = (1 - share) * near_end + share * far_end > 0


def signed_distance(object_: Object, spacing: Sequence[float]) -> Distance:
    """Distance to the border, above 0 inside and below 0 outside; the border runs half-way between pixels.

    Beyond the array all is outside.
    """
    walled = np.pad(object_, 1)
    inner = ndimage.distance_transform_edt(walled, sampling=spacing)
    outer = ndimage.distance_transform_edt(~walled, sampling=spacing)
    half = min(spacing) / 2
    distance = np.where(walled, inner - half, half - outer)
    return distance[(slice(1, -1),) * object_.ndim].astype(np.float32)


def _moved(distance: Distance, by: npt.NDArray[np.float64]) -> Distance:
    if not by.any():
        return distance
    return np.asarray(ndimage.shift(distance, by, order=1, mode="nearest"), np.float32)
