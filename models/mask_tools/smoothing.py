"""Ragged borders made smooth, without losing what is thin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .change import Array, Change, Progress
from .distances import checked_distance, checked_spacing, near, reach_of, tile_by_tile
from .selection import ALL, Selection, changed, check_axes, edit_each
from .wording import count

THIN = 3.0
"""Times the distance that a part may stick out of what is left of its object; a longer one is no ragged border."""

SEEN = 4.0
"""Standard deviations that a Gaussian reaches."""


def smooth(
    mask: Array,
    distance: float,
    selection: Selection = ALL,
    *,
    spacing: Sequence[float] = (),
    progress: Progress | None = None,
) -> Change:
    """Smooth the border of labels: a pixel belongs to the object if more than half of its surroundings do.

    The surroundings are a Gaussian whose standard deviation is the distance. What this alone would make vanish is
    kept as it was: an object or a part of it that is thinner than the distance and longer than three times
    (a vessel, a membrane, a small spot), and whatever holds an object together. The border of the mask does not
    round what it cuts; other labels keep every pixel; an empty mask stays empty.

    Args:
        mask: labels, (Y, X) or (Z, Y, X); 0 is background.
        distance: in the unit of `spacing`.
        selection: the labels that are smoothed.
        spacing: between neighbours along each axis; 1 (pixels) if none is given.
        progress: told after each label.

    Raises:
        MaskToolError: a distance or a spacing that is not positive, or a mask of one axis or more than three.
    """
    check_axes(mask)
    steps, distance = checked_spacing(spacing, mask.ndim), checked_distance(distance)
    sigma, reach = [distance / step for step in steps], reach_of(SEEN * distance, steps)
    kept = 0

    def mostly(object_: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        share = object_.astype(np.float32)
        ndimage.gaussian_filter(share, sigma, output=share, mode="nearest", truncate=SEEN)
        return share > 0.5

    def smoothed(object_: npt.NDArray[np.bool_], _labels: Array, _label: int) -> npt.NDArray[np.bool_]:
        nonlocal kept
        new = tile_by_tile(object_, reach, mostly)
        thin, number = _thin_parts(object_, new, distance, steps)
        kept += number
        return new | thin

    found = edit_each(mask, selection, reach, smoothed, progress)
    gained = int(np.count_nonzero((found[1] == 0) & (found[2] != 0)))
    lost = int(np.count_nonzero((found[1] != 0) & (found[2] == 0)))
    thin = f" {count(kept, 'thin part')} kept as {'it was' if kept == 1 else 'they were'}." if kept else ""
    return changed(
        mask,
        found,
        f"Smoothed {selection.called}: {count(gained, 'pixel')} gained, {lost:,} lost.{thin}",
        f"{selection.called.capitalize()} is as smooth as that already.{thin}",
    )


def _thin_parts(
    object_: npt.NDArray[np.bool_], new: npt.NDArray[np.bool_], distance: float, spacing: Sequence[float]
) -> tuple[npt.NDArray[np.bool_], int]:
    """What of an object has to stay though smoothing takes it away, and in how many parts.

    A lost part stays if it reaches farther than `THIN` distances from what is left, or joins pieces of it.
    """
    everywhere = np.ones((3,) * object_.ndim)
    parts, number = ndimage.label(object_ & ~new, structure=everywhere)
    if number == 0:
        return parts > 0, 0
    stays = np.zeros(number + 1, bool)
    stays[parts[~near(new, THIN * distance, spacing)]] = True  # all of them, where nothing is left
    pieces, many = ndimage.label(object_ & new, structure=everywhere)
    if many > 1:
        numbers = np.arange(number + 1)
        highest = ndimage.maximum_filter(pieces, footprint=everywhere)
        lowest = ndimage.minimum_filter(np.where(pieces > 0, pieces, many + 1), footprint=everywhere)
        high = np.asarray(ndimage.maximum(highest, parts, numbers))
        low = np.asarray(ndimage.minimum(lowest, parts, numbers))
        stays |= (high > 0) & (low < high)
    stays[0] = False
    return stays[parts], int(stays.sum())
