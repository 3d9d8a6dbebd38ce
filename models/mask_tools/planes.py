"""A tool for planes, at work on each plane of a volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .change import Array, Change, Progress, relative, union
from .selection import ALL, Selection
from .wording import count


def plane_by_plane(
    tool: Callable[[Array, Selection], Change],
    mask: Array,
    selection: Selection = ALL,
    *,
    axis: int = 0,
    progress: Progress | None = None,
) -> Change:
    """Use a tool on each plane on its own, and have all that it changes as one change.

    Args:
        tool: takes a plane and what of it may change.
        mask: labels, (Z, Y, X); 0 is background.
        selection: what may change; planes without it are left out.
        axis: across the planes.
        progress: told after each plane.
    """
    boxes = selection.find(mask)
    across = [box[axis] for box in boxes.values()]
    planes = sorted({plane for side in across for plane in range(side.start, side.stop)})
    if selection.within is not None:
        planes = [plane for plane in planes if selection.within[axis].start <= plane < selection.within[axis].stop]
    made = []
    for done, plane in enumerate(planes, 1):
        here = {label: _without(box, axis) for label, box in boxes.items() if box[axis].start <= plane < box[axis].stop}
        within = None if selection.within is None else _without(selection.within, axis)
        # The tool sees the boxes of the whole volume: larger than those of the plane, which tools bear.
        change = tool(np.take(mask, plane, axis), replace(selection, labels=tuple(here), within=within, boxes=here))
        if change:
            made.append(_in_volume(change, plane, axis))
        if progress:
            progress(done / len(planes))
    if not made:
        return Change.nothing(mask, f"No slice of {selection.called} needed it.")
    region = union(change.region for change in made)
    before = mask[region].copy()
    after = before.copy()
    for change in made:
        at = relative(change.region, region)
        before[at], after[at] = change.before, change.after
    size = sum(change.pixels for change in made)
    said = f"Changed {count(size, 'pixel')} on {count(len(made), 'slice')}."
    return Change(region, before, after, said)


def _without(box: tuple[slice, ...], axis: int) -> tuple[slice, ...]:
    return (*box[:axis], *box[axis + 1 :])


def _in_volume(change: Change, plane: int, axis: int) -> Change:
    region = (*change.region[:axis], slice(plane, plane + 1), *change.region[axis:])
    return Change(region, np.expand_dims(change.before, axis), np.expand_dims(change.after, axis), change.said)
