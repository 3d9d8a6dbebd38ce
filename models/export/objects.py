"""The objects that a mask marks, plane by plane, as COCO and GeoJSON have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..image import Array
from ..measuring.label_boxes import label_boxes


@dataclass(frozen=True, eq=False)
class PlaneObject:
    """An object in one plane of rows and columns.

    Attributes:
        label: its number in the mask.
        index: of the plane along the mask's leading axes (T, Z); () in an image of one plane.
        inside: its pixels, (Y, X), cut to its box.
        top: row of the first one of them.
        left: column of the first one.
    """

    label: int
    index: tuple[int, ...]
    inside: npt.NDArray[np.bool_]
    top: int
    left: int

    @property
    def corner(self) -> npt.NDArray[np.int64]:
        """(x, y) of the upper left corner of its box."""
        return np.array((self.left, self.top))


def plane_objects(mask: Array, *, instances: bool) -> Iterator[PlaneObject]:
    """Each object in each plane.

    Args:
        mask: labels, (..., Y, X); 0 is background.
        instances: whether each label is one object; else a label is a kind of objects, and each connected piece of
            it is one. Pieces that touch at a corner are one.
    """
    for index in np.ndindex(*mask.shape[:-2]):
        numbers, found = label_boxes(mask[index])
        for one in found:
            inside = numbers[one.box] == one.number
            pieces = inside.astype(np.int32) if instances else ndimage.label(inside, np.ones((3, 3)))[0]
            for number, (rows, columns) in enumerate(ndimage.find_objects(pieces), start=1):
                top, left = one.box[0].start + rows.start, one.box[1].start + columns.start
                yield PlaneObject(one.label, index, pieces[rows, columns] == number, top, left)
