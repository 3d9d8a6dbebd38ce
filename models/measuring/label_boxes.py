"""Where each label of a mask is, in one pass over it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..image import Array

_LARGEST = 2**16
"""Labels from which on they are numbered anew, since finding them takes a place for each number."""


class LabelBox(NamedTuple):
    """One label.

    Attributes:
        label: its number in the mask.
        number: what it is in the numbered mask.
        box: from where to where along each axis.
    """

    label: int
    number: int
    box: tuple[slice, ...]


def label_boxes(mask: Array) -> tuple[Array, list[LabelBox]]:
    """The labels of a mask of any number of axes, and where they are.

    Returns:
        The mask with numbers up to 65535, or not larger than there are labels: the mask itself if its labels are such
        numbers; and the labels in order, without 0.
    """
    numbers = mask
    if mask.size and int(mask.max()) >= _LARGEST:
        labels, inverse = np.unique(mask, return_inverse=True)
        if labels[0] != 0:
            labels, inverse = np.append(0, labels), inverse + 1
        numbers = inverse.reshape(mask.shape).astype(np.uint32)
    boxes = enumerate(ndimage.find_objects(numbers), start=1)
    label_of = (lambda number: number) if numbers is mask else (lambda number: int(labels[number]))
    return numbers, [LabelBox(label_of(number), number, box) for number, box in boxes if box is not None]
