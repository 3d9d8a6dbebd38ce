"""Which labels, and which part of a mask, a tool works on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .boxes import LabelBoxes, find_boxes
from .change import Array, Change, Progress, Region, around, common, is_empty, relative, union
from .errors import MaskToolError

Edit: TypeAlias = Callable[[npt.NDArray[np.bool_], Array, int], npt.NDArray[np.bool_]]
"""From an object (boolean), the labels of the same box and the object's label to the object as it shall be."""


@dataclass(frozen=True)
class Selection:
    """What a tool may change.

    Attributes:
        labels: the labels; None for all that there are. Background (0) is never one of them.
        within: a region outside of which no pixel changes; tools see beyond it, though. None for the whole mask.
        boxes: where labels lie, if that is known, so that the mask is not searched; boxes may be too large.
    """

    labels: tuple[int, ...] | None = None
    within: Region | None = None
    boxes: Mapping[int, Region] | None = None

    def __post_init__(self) -> None:
        if self.labels is not None:
            object.__setattr__(self, "labels", tuple(dict.fromkeys(int(label) for label in self.labels)))
            if any(label <= 0 for label in self.labels or ()):
                raise MaskToolError("Background (label 0) cannot be worked on; pick an object's label, 1 or more.")

    def find(self, mask: Array) -> dict[int, Region]:
        """The box of each selected label that has a pixel in the mask and a box that meets `within`."""
        found = find_boxes(mask, self.labels) if self.boxes is None else self._known(self.boxes)
        if self.within is None:
            return found
        return {label: box for label, box in found.items() if not is_empty(common(box, self.within))}

    def _known(self, boxes: Mapping[int, Region]) -> dict[int, Region]:
        labels: Iterable[int] = list(boxes) if self.labels is None else self.labels
        if isinstance(boxes, LabelBoxes):
            tight = {label: boxes.tighten(label) for label in labels}
            return {label: box for label, box in tight.items() if box is not None}
        return {label: boxes[label] for label in labels if label in boxes}

    @property
    def called(self) -> str:
        """What is selected, in words."""
        if self.labels is None:
            return "the mask"
        return f"label {self.labels[0]}" if len(self.labels) == 1 else f"{len(self.labels)} labels"


ALL = Selection()
"""All labels, everywhere."""


def edit_each(
    mask: Array, selection: Selection, reach: Sequence[int], edit: Edit, progress: Progress | None = None
) -> tuple[Region, Array, Array]:
    """Give each selected label another shape; other labels keep every pixel.

    What an object loses becomes background; it gains background only. Labels are done one by one, so what one
    loses the next may gain.

    Args:
        mask: labels, (Y, X) or (Z, Y, X).
        selection: what may change.
        reach: pixels, along each axis, that `edit` sees around an object's box, as far as the mask goes.
        edit: gives an object its new shape.
        progress: told after each label.

    Returns:
        A region, and its pixels before and after.
    """
    boxes = selection.find(mask)
    if not boxes:
        nowhere = (slice(0, 0),) * mask.ndim
        return nowhere, mask[nowhere], mask[nowhere]
    crops = {label: around(box, reach, mask.shape) for label, box in boxes.items()}
    region = union(crops.values())
    before = mask[region].copy()
    after = before.copy()
    for done, (label, crop) in enumerate(crops.items(), 1):
        part = after[relative(crop, region)]
        object_ = part == label
        new = edit(object_, part, label)
        part[object_ & ~new] = 0
        part[new & (part == 0)] = label
        if progress:
            progress(done / len(crops))
    if selection.within is not None:
        kept = relative(common(region, selection.within), region)
        region, before, after = common(region, selection.within), before[kept], after[kept]
    return region, before, after


def check_axes(mask: Array) -> None:
    """Raise unless a mask is a plane or a volume."""
    if mask.ndim not in (2, 3):
        raise MaskToolError(
            f"Mask tools work on a plane (Y, X) or a volume (Z, Y, X); this mask has {mask.ndim} axes. Take one frame."
        )


def changed(mask: Array, found: tuple[Region, Array, Array], said: str, otherwise: str) -> Change:
    """The change that `edit_each` found, told as `said`; or none at all, told as `otherwise`."""
    change = Change.between(*found, said)
    return change if change else Change.nothing(mask, otherwise)
