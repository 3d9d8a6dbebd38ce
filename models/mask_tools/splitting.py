"""One object made two, where two clicks say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.segmentation import watershed

from .boxes import find_boxes
from .change import Array, Change, around, box_of, inside
from .distances import checked_spacing
from .errors import MaskToolError
from .selection import ALL, Selection, check_axes
from .waist import beyond_the_waist
from .wording import count

Object = npt.NDArray[np.bool_]


def split(
    mask: Array,
    first: Sequence[int],
    second: Sequence[int],
    selection: Selection = ALL,
    *,
    new_label: int | None = None,
    spacing: Sequence[float] = (),
) -> Change:
    """Split the object under two clicks: the first one's part keeps the label, the second one's gets a new one.

    The cut runs through the waist between the clicks (see `waist`); where there is no waist it runs half-way between
    them. Parts of the object that neither click touches keep the label.

    Args:
        mask: labels, (Y, X) or (Z, Y, X); 0 is background.
        first: index of a pixel of the object, one number an axis.
        second: index of another pixel of it.
        selection: its `boxes` say where labels are; its labels do not count.
        new_label: for the second part; the next free one if none is given.
        spacing: between neighbours along each axis; 1 (pixels) if none is given.

    Returns:
        The change; if the new label does not fit the mask's type, `after` has the next larger type (uint8: uint16).

    Raises:
        MaskToolError: a click outside the mask or on the background, both on one pixel, on different labels.
    """
    check_axes(mask)
    steps = checked_spacing(spacing, mask.ndim)
    first, second = tuple(int(at) for at in first), tuple(int(at) for at in second)
    label = _clicked(mask, first, second)
    box = Selection((label,), boxes=selection.boxes).find(mask)[label]
    region = around(box, (1,) * mask.ndim, mask.shape)  # with the background, from which the depth is measured
    before = mask[region].copy()
    object_ = before == label
    corner = [side.start for side in region]
    clicks = [tuple(int(at - start) for at, start in zip(click, corner, strict=True)) for click in (first, second)]
    new_part = _second_part(object_, clicks, steps)
    if new_label is None:
        new_label = free_label(mask, selection)
    after = before.astype(np.promote_types(before.dtype, np.min_scalar_type(new_label)))
    after[new_part] = new_label
    size = int(np.count_nonzero(new_part))
    rest = int(np.count_nonzero(object_)) - size
    said = f"Split label {label}: {count(rest, 'pixel')} stayed, {size:,} are label {new_label} now."
    box = box_of(new_part)
    return Change(inside(region, box), before[box], after[box], said)


def free_label(mask: Array, selection: Selection = ALL) -> int:
    """A label that no pixel has: the next above the highest, or the lowest free one if the mask's type ends there.

    A uint8 mask with all of 1 to 255 in use gives 256, which needs a larger type.
    """
    highest = int(mask.max(initial=0)) if selection.boxes is None else max(selection.boxes, default=0)
    limit = int(np.iinfo(mask.dtype).max)
    if highest < limit:
        return highest + 1
    used = set(find_boxes(mask))
    return next(label for label in range(1, limit + 2) if label not in used)


def _clicked(mask: Array, first: tuple[int, ...], second: tuple[int, ...]) -> int:
    for click in (first, second):
        if len(click) != mask.ndim or not all(0 <= at < side for at, side in zip(click, mask.shape, strict=True)):
            raise MaskToolError("That click is outside the mask; click twice on the object to be split.")
    labels = int(mask[first]), int(mask[second])
    if 0 in labels:
        raise MaskToolError("That click is on the background; click twice on the object to be split.")
    if labels[0] != labels[1]:
        raise MaskToolError(f"The clicks are on labels {labels[0]} and {labels[1]}, which are apart already.")
    if first == second:
        raise MaskToolError("Both clicks are on one pixel; click once on each part.")
    return labels[0]


def _second_part(object_: Object, clicks: Sequence[tuple[int, ...]], spacing: Sequence[float]) -> Object:
    everywhere = np.ones((3,) * object_.ndim)
    parts, _ = ndimage.label(object_, structure=everywhere)
    one, other = (int(parts[click]) for click in clicks)
    if one != other:
        return np.asarray(parts == other)
    touched = parts == one
    if not touched.all():
        depth = ndimage.distance_transform_edt(touched, sampling=spacing)
        beyond = beyond_the_waist(depth, clicks, spacing)
        if beyond is not None:
            return beyond
    seeds = np.zeros(object_.shape, np.int32)
    for number, click in enumerate(clicks, 1):
        seeds[click] = number
    cut = watershed(_to_the_nearer(clicks, object_.shape, spacing), seeds, connectivity=object_.ndim, mask=touched)
    return np.asarray(cut == 2)


def _to_the_nearer(
    clicks: Sequence[tuple[int, ...]], shape: tuple[int, ...], spacing: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Distance of each pixel to the nearer of two."""
    grid = np.ogrid[tuple(slice(0, side) for side in shape)]
    nearer = np.full(shape, np.inf)
    for click in clicks:
        squares = np.zeros(shape)
        for axis, at, step in zip(grid, click, spacing, strict=True):
            squares += (step * (axis - at)) ** 2
        np.minimum(nearer, squares, out=nearer)
    return np.sqrt(nearer)
