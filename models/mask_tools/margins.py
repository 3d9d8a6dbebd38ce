"""Objects made larger or smaller by a margin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.segmentation import expand_labels

from .boxes import find_boxes
from .change import Array, Change, Progress, around, common, relative, union
from .distances import ROUNDING, checked_distance, checked_spacing, near, reach_of, tiles
from .selection import ALL, Selection, changed, check_axes, edit_each
from .wording import count, gone


def grow(
    mask: Array,
    distance: float,
    selection: Selection = ALL,
    *,
    spacing: Sequence[float] = (),
    progress: Progress | None = None,
) -> Change:
    """Give labels the background within a distance of them.

    No label runs over another one or reaches across it. Where two grow towards each other, each gets what is nearer
    to it. The border of the mask stops them. An empty mask stays empty.

    Args:
        mask: labels, (Y, X) or (Z, Y, X); 0 is background.
        distance: from the middle of the outermost pixels, in the unit of `spacing`.
        selection: the labels that grow; the others stand in their way.
        spacing: between neighbours along each axis; 1 (pixels) if none is given.
        progress: told now and then.

    Raises:
        MaskToolError: a distance or a spacing that is not positive, or a mask of one axis or more than three.
    """
    check_axes(mask)
    steps, distance = checked_spacing(spacing, mask.ndim), checked_distance(distance)
    boxes = selection.find(mask)
    if not boxes:
        return Change.nothing(mask, f"There is nothing in {selection.called} to grow.")
    reach = reach_of(distance, steps)
    region = union(around(box, reach, mask.shape) for box in boxes.values())
    before = mask[region].copy()
    after = before.copy()
    wanted = np.fromiter(boxes, dtype=mask.dtype)
    parts = list(tiles(region))
    for done, tile in enumerate(parts, 1):
        halo = around(tile, reach, mask.shape)
        labels = mask[halo]
        growing = labels if selection.labels is None else np.where(np.isin(labels, wanted), labels, 0)
        free = mask[tile] == 0
        if growing.any() and free.any():
            expanded = expand_labels(growing, distance * ROUNDING, spacing=steps)[relative(tile, halo)]
            after[relative(tile, region)][free] = expanded[free]
        if progress:
            progress(done / len(parts))
    _drop_what_lies_beyond(before, after)
    if selection.within is not None:
        kept = relative(common(region, selection.within), region)
        region, before, after = common(region, selection.within), before[kept], after[kept]
    size = int(np.count_nonzero(before != after))
    return changed(
        mask,
        (region, before, after),
        f"Grew {selection.called} by {count(size, 'pixel')}.",
        f"There is no background within that distance of {selection.called}; other labels are never run over.",
    )


def _drop_what_lies_beyond(before: Array, after: Array) -> None:
    """Take back in place what a label gained across another one, where nothing joins it to what it had."""
    gained = before != after
    joined = np.zeros_like(gained)
    for axis in range(before.ndim):
        low = tuple(slice(None, -1) if at == axis else slice(None) for at in range(before.ndim))
        high = tuple(slice(1, None) if at == axis else slice(None) for at in range(before.ndim))
        joined[low] |= before[high] == after[low]
        joined[high] |= before[low] == after[high]
    for label, box in find_boxes(np.where(gained, after, 0)).items():
        mine = gained[box] & (after[box] == label)
        parts, number = ndimage.label(mine)
        reached = np.zeros(number + 1, bool)
        reached[parts[mine & joined[box]]] = True
        after[box][mine & ~reached[parts]] = 0


def shrink(
    mask: Array,
    distance: float,
    selection: Selection = ALL,
    *,
    spacing: Sequence[float] = (),
    progress: Progress | None = None,
) -> Change:
    """Take from labels what lies within a distance of anything else: background or other labels.

    The border of the mask takes nothing away: an object that it cuts goes on beyond it. What is thinner than twice the
    distance is gone, and the sentence says so.

    Args:
        mask: labels, (Y, X) or (Z, Y, X); 0 is background.
        distance: to the middle of the nearest pixel outside, in the unit of `spacing`.
        selection: the labels that shrink.
        spacing: between neighbours along each axis; 1 (pixels) if none is given.
        progress: told after each label.

    Raises:
        MaskToolError: a distance or a spacing that is not positive, or a mask of one axis or more than three.
    """
    check_axes(mask)
    steps, distance = checked_spacing(spacing, mask.ndim), checked_distance(distance)
    lost = []

    def keep_the_core(object_: npt.NDArray[np.bool_], _labels: Array, label: int) -> npt.NDArray[np.bool_]:
        core = object_ & ~near(~object_, distance, steps)
        if object_.any() and not core.any():
            lost.append(label)
        return core

    before_each = edit_each(mask, selection, (1,) * mask.ndim, keep_the_core, progress)
    size = int(np.count_nonzero(before_each[1] != before_each[2]))
    return changed(
        mask,
        before_each,
        f"Shrank {selection.called} by {count(size, 'pixel')}{gone(lost)}.",
        f"There is nothing in {selection.called} to take away.",
    )
