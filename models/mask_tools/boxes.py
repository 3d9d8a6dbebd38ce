"""Where each label of a mask lies, so that a tool need not look at the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from scipy import ndimage

from .change import Array, Region, box_of, inside, is_empty, union


def find_boxes(mask: Array, labels: Iterable[int] | None = None) -> dict[int, Region]:
    """The bounding box of each label; looks at the whole mask once.

    Args:
        mask: labels, any number of axes; 0 is background.
        labels: those to look for; None for all that there are.

    Returns:
        A box for each label that has a pixel, by label.
    """
    wanted = None if labels is None else {int(label) for label in labels} - {0}
    if mask.size == 0 or wanted == set():
        return {}
    if wanted is not None and len(wanted) == 1:
        label = wanted.pop()
        box = _box_of_label(mask, label)
        return {} if is_empty(box) else {label: box}
    if mask.dtype.itemsize > 2:  # find_objects makes a list as long as the largest label
        values, numbers = np.unique(mask, return_inverse=True)
        numbers = numbers.reshape(mask.shape) + (0 if values[0] == 0 else 1)
        names = values if values[0] == 0 else np.concatenate([[0], values])
        found = {int(names[at + 1]): box for at, box in enumerate(ndimage.find_objects(numbers)) if box is not None}
    else:
        found = {at + 1: box for at, box in enumerate(ndimage.find_objects(mask)) if box is not None}
    return {label: box for label, box in found.items() if label != 0 and (wanted is None or label in wanted)}


def _box_of_label(mask: Array, label: int) -> Region:
    """The box of one label, plane by plane, so that no second array of the mask's size is made."""
    if mask.ndim < 3:
        return box_of(mask == label)
    boxes = []
    for plane, pixels in enumerate(mask):
        box = box_of(pixels == label)
        if not is_empty(box):
            boxes.append((slice(plane, plane + 1), *box))
    return union(boxes) if boxes else (slice(0, 0),) * mask.ndim


class LabelBoxes(Mapping[int, Region]):
    """The boxes of all labels of a mask that is being worked on, kept from change to change.

    A box is never too small; where a label has lost pixels it may be too large, until it is `tighten`ed. Only the
    first look costs the whole mask. May be used by several threads.

    Args:
        mask: the array itself, not a copy.
    """

    def __init__(self, mask: Array) -> None:
        self.mask = mask
        self._boxes: dict[int, Region] | None = None
        self._changed: list[Region] = []
        self._lock = threading.RLock()

    def changed(self, region: Region) -> None:
        """Pixels of `region` are different now; they are looked at when a box is next asked for."""
        self._changed.append(region)

    def tighten(self, label: int) -> Region | None:
        """The smallest box around a label, None if it has no pixel any more; costs the box that was known."""
        with self._lock:
            known = self._known().get(label)
            if known is None:
                return None
            box = inside(known, box_of(self.mask[known] == label))
            if is_empty(box):
                del self._known()[label]
                return None
            self._known()[label] = box
            return box

    def __getitem__(self, label: int) -> Region:
        return self._known()[label]

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._known()))

    def __len__(self) -> int:
        return len(self._known())

    def _known(self) -> dict[int, Region]:
        with self._lock:
            if self._boxes is None:
                self._changed.clear()
                self._boxes = find_boxes(self.mask)
            while self._changed:
                region = self._changed.pop()
                for label, box in find_boxes(self.mask[region]).items():
                    here = inside(region, box)
                    self._boxes[label] = union([self._boxes[label], here]) if label in self._boxes else here
            return self._boxes
