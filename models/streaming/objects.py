"""Touching objects told apart in a mask that comes in strips of rows, as if it had come whole.

A connected region of the mask is split by itself: nothing of it depends on pixels further away than `MARGIN`. So a
region is done as soon as the rows that it ends in have come, and its objects are those of `split_touching` on the
whole plane; only their numbers differ, which run in the order in which regions end. Regions that are larger than
`LARGEST` pixels, or that span more rows than are held at once, are done in blocks that overlap by `HALO` pixels, and
each object belongs to the block that its topmost pixel is in: an object smaller than the overlap is the same in all
blocks that see it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..instances import SMALLEST, split_plane

Rows = npt.NDArray[Any]

MARGIN = 12
"""Pixels around a region on which its objects depend: the reach of the smoothing of the distances, and the distances
there, which a gap to the region keeps small."""

BAND = 512
"""Rows that are read at once."""

HELD = 2048
"""Rows that are held at most: a region that does not end within them is done in blocks."""

LARGEST = 2**23
"""Pixels of the box around a region above which it is done in blocks."""

BLOCK, HALO = 1024, 256
"""Side of a block and what it sees around, in pixels."""

_CORNERS = np.ones((3, 3), bool)
"""Pixels that touch at a corner are of one region."""


def split_planes(
    read: Callable[[tuple[int, ...], int, int], Rows], shape: tuple[int, ...], smallest: int = SMALLEST
) -> Iterator[tuple[tuple[int, ...], int, npt.NDArray[np.uint32]]]:
    """Number the objects of a mask, plane by plane, and count through all planes.

    Args:
        read: gives rows `top` to `bottom` - 1 of a plane (index, top, bottom): (bottom - top, X), not 0 is foreground.
        shape: of the mask, (..., Y, X).
        smallest: objects of fewer pixels are dropped.

    Yields:
        The index of a plane, a first row, and labels (rows, X) from there on; all rows in order.
    """
    count = 0
    for index in np.ndindex(*shape[:-2]):
        strip = _Strip(shape[-2], shape[-1], smallest, count)
        for top in range(0, shape[-2], BAND):
            strip.take(read(index, top, min(top + BAND, shape[-2])) > 0)
            start, rows = strip.give()
            if len(rows):
                yield index, start, rows
        count = strip.count


@dataclass
class _Strip:
    """The rows of a plane that are held.

    Attributes:
        height: of the plane.
        width: of the plane.
        smallest: objects of fewer pixels are dropped.
        count: the highest number given so far.
    """

    height: int
    width: int
    smallest: int
    count: int
    _top: int = 0  # row of the plane that is held first
    _given: int = 0  # rows that were given out
    _mask: npt.NDArray[np.bool_] = field(init=False)
    _open: npt.NDArray[np.bool_] = field(init=False)  # the foreground that is not decided yet
    _labels: npt.NDArray[np.uint32] = field(init=False)

    def __post_init__(self) -> None:
        self._mask = np.zeros((0, self.width), bool)
        self._open = np.zeros((0, self.width), bool)
        self._labels = np.zeros((0, self.width), np.uint32)

    def take(self, rows: npt.NDArray[np.bool_]) -> None:
        """The next rows of the mask; decides what they end."""
        self._mask = np.concatenate([self._mask, rows])
        self._open = np.concatenate([self._open, rows])
        self._labels = np.concatenate([self._labels, np.zeros(rows.shape, np.uint32)])
        held = len(self._mask)
        last = self._top + held == self.height
        regions, _ = ndimage.label(self._open, _CORNERS)
        boxes = ndimage.find_objects(regions)
        ended = {n: box for n, box in enumerate(boxes, 1) if last or box[0].stop + MARGIN <= held}
        self._decide(regions, ended)
        if not last and len(ended) < len(boxes) and held - self._first_open() >= HELD:
            self._decide_in_blocks(self._open.copy(), (0, held - HALO), (0, self.width))

    def give(self) -> tuple[int, npt.NDArray[np.uint32]]:
        """The first row that was not given yet, and the labels from it to where something is still open."""
        ready = self._first_open()
        start, rows = self._given, self._labels[self._given - self._top : ready]
        self._given = self._top + ready
        rows = rows.copy()
        # context above: of an open region, and of the blocks that a region which never ends is done in
        kept = max(0, ready - HALO)
        self._mask, self._open = self._mask[kept:].copy(), self._open[kept:].copy()
        self._labels = self._labels[kept:].copy()
        self._top += kept
        return start, rows

    def _first_open(self) -> int:
        rows = np.flatnonzero(self._open.any(axis=1))
        return int(rows[0]) if len(rows) else len(self._open)

    def _decide(self, regions: npt.NDArray[Any], ended: dict[int, tuple[slice, slice]]) -> None:
        """Number the objects of regions that have come whole, neighbours together."""
        groups: dict[int, list[int]] = defaultdict(list)
        for number, (rows, columns) in ended.items():
            if (rows.stop - rows.start) * (columns.stop - columns.start) > LARGEST:
                self._decide_in_blocks(regions == number, (rows.start, rows.stop), (columns.start, columns.stop))
            else:
                groups[columns.start // BLOCK].append(number)
        chosen = np.zeros(int(regions.max(initial=0)) + 1, bool)
        for numbers in groups.values():
            rows = _around([ended[n][0] for n in numbers], MARGIN, len(self._mask))
            columns = _around([ended[n][1] for n in numbers], MARGIN, self.width)
            chosen[:] = False
            chosen[numbers] = True
            mine = chosen[regions[rows, columns]]
            objects = self._split(rows, columns)
            self._number(rows, columns, np.where(mine, objects, 0))
            self._open[rows, columns] &= ~mine

    def _decide_in_blocks(self, region: npt.NDArray[np.bool_], rows: tuple[int, int], columns: tuple[int, int]) -> None:
        """Number what of a region begins in a range of rows and columns, block by block."""
        for top in range(*rows, BLOCK):
            for left in range(*columns, BLOCK):
                self._decide_block(region, (top, min(top + BLOCK, rows[1])), (left, min(left + BLOCK, columns[1])))
        here = slice(*rows), slice(*columns)
        left_over = region[here] & self._open[here]  # objects that two blocks saw differently
        pieces, _ = ndimage.label(left_over, _CORNERS)
        sizes = np.bincount(pieces.ravel(), minlength=1)
        pieces[(sizes < self.smallest)[pieces]] = 0
        self._number(*here, pieces)
        self._open[here] &= ~left_over

    def _decide_block(self, region: npt.NDArray[np.bool_], rows: tuple[int, int], columns: tuple[int, int]) -> None:
        seen = _around([slice(*rows)], HALO, len(self._mask)), _around([slice(*columns)], HALO, self.width)
        if not region[seen].any():
            return
        objects = self._split(*seen)
        begun = (
            (rows[0] - seen[0].start, rows[1] - seen[0].start),
            (columns[0] - seen[1].start, columns[1] - seen[1].start),
        )
        mine = np.zeros(int(objects.max(initial=0)) + 1, bool)
        for number, box in enumerate(ndimage.find_objects(objects), 1):
            if box is None or not begun[0][0] <= box[0].start < begun[0][1]:
                continue
            first = box[1].start + int(np.argmax(objects[box[0].start, box[1]] == number))
            mine[number] = begun[1][0] <= first < begun[1][1]
        taken = mine[objects] & region[seen] & self._open[seen]
        self._number(*seen, np.where(taken, objects, 0))
        self._open[seen] &= ~taken

    def _split(self, rows: slice, columns: slice) -> npt.NDArray[np.uint32]:
        """The objects of all that is seen in a part of what is held."""
        return split_plane(self._mask[rows, columns], self.smallest, (self._top + rows.start, columns.start))

    def _number(self, rows: slice, columns: slice, objects: npt.NDArray[Any]) -> None:
        """Give objects, not 0, the next numbers, in the order of their own."""
        there = np.unique(objects)
        there = there[there > 0]
        numbers = np.zeros(int(objects.max(initial=0)) + 1, np.uint32)
        numbers[there] = np.arange(self.count + 1, self.count + 1 + len(there))
        found = objects > 0
        self._labels[rows, columns][found] = numbers[objects[found]]
        self.count += len(there)


def _around(sides: list[slice], margin: int, length: int) -> slice:
    """The range that holds all of these and some pixels more on both sides."""
    return slice(max(0, min(s.start for s in sides) - margin), min(length, max(s.stop for s in sides) + margin))
