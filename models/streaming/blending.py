"""Answers of overlapping tiles blended, and given out in blocks as soon as no tile changes them any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..scaling import Resampling
from .tiles import Grid, Tile

AT_ONCE = 32
"""Rows that are resampled at once: what is made of them takes several times their memory."""


@dataclass(frozen=True, eq=False)
class Block:
    """A part of the answer for a plane.

    Attributes:
        plane: number of the plane.
        top: its first row.
        left: its first column.
        probability: (classes, rows, columns), float32; one class: of the foreground.
    """

    plane: int
    top: int
    left: int
    probability: Tensor

    @property
    def bottom(self) -> int:
        """The row after its last."""
        return self.top + int(self.probability.shape[1])

    @property
    def right(self) -> int:
        """The column after its last."""
        return self.left + int(self.probability.shape[2])


class Blender:
    """Takes the tiles' answers in their order; holds one tile, and the rows that two rows of tiles share.

    Where the network saw another size than the image's, it also holds the finished rows of a row of tiles.

    What it gives comes from left to right and from top to bottom: blocks of the same rows until they reach the right
    border, then of the rows below.

    Args:
        grid: of the planes as the network sees them, mirrored where they were too small.
        rows: the way back from the network's rows to those of the image.
        columns: the same for columns.
    """

    def __init__(self, grid: Grid, rows: Resampling, columns: Resampling) -> None:
        self._grid, self._rows, self._columns = grid, rows, columns
        self._sums: _Sums | None = None
        self._strip: Tensor | None = None  # (classes, rows, width) to be resampled, when a row of tiles is complete
        self._kept: npt.NDArray[np.float32] | None = None  # network rows that rows of the image to come still need
        self._kept_from = 0
        self._given = 0

    def add(self, tile: Tile, answer: Tensor) -> Iterator[Block]:
        """Blend a tile's probabilities (classes, h, w); gives what no later tile changes."""
        if self._sums is None:
            self._sums = _Sums(self._grid, answer)
        self._sums.add(tile, answer)
        top, left = self._grid.rows[tile.row], self._grid.columns[tile.column]
        rows, columns = self._grid.final(tile)
        if self._rows.same and self._columns.same:
            high, wide = min(rows, self._rows.length - top), min(columns, self._columns.length - left)
            step = AT_ONCE if len(self._grid.columns) == 1 else max(high, 1)
            for start in range(0, high if wide > 0 else 0, step):  # without what was mirrored
                done = self._sums.mean(tile, start, min(start + step, high))[:, :, :wide]
                yield Block(tile.plane, top + start, left, done)
            return
        done = self._sums.mean(tile, 0, rows)
        if self._strip is None:
            self._strip = done.new_empty((*done.shape[:2], self._grid.width))
        self._strip[:, :, left : left + columns] = done
        if left + columns == self._grid.width:
            for start in range(0, rows, AT_ONCE):
                yield from self._at_full_size(self._strip[:, start : start + AT_ONCE], tile.plane, top + start)
            self._strip = None
            if top + rows == self._grid.height:  # the plane is done
                self._kept, self._given = None, 0

    def add_background(self, tile: Tile, classes: int, device: torch.device) -> Iterator[Block]:
        """Blend a tile that holds nothing but background, without having asked the network."""
        answer = torch.zeros((classes, 1, 1), device=device)
        if classes > 1:
            answer[0] = 1.0
        yield from self.add(tile, answer.expand(classes, *self._grid.sides))

    def _at_full_size(self, done: Tensor, plane: int, top: int) -> Iterator[Block]:
        """Rows at the image's own size, out of rows at the network's, full width."""
        done = done[:, : max(0, self._rows.length - top), : self._columns.length]  # without what was mirrored
        wide = self._columns.apply(done.cpu().numpy(), axis=2)
        if self._kept is None:
            self._kept, self._kept_from = wide, top
        else:
            self._kept = np.concatenate([self._kept, wide], axis=1)
        ready = self._rows.ready(self._kept_from + self._kept.shape[1])
        start = max(self._given, self._rows.ready_from(self._kept_from))
        if ready <= start:
            return
        first, last = self._rows.sources(start, ready)
        part = self._kept[:, first - self._kept_from : last - self._kept_from]
        yield Block(plane, start, 0, torch.from_numpy(self._rows.apply(part, axis=1, start=start, stop=ready)))
        self._given = ready
        if ready < self._rows.new:
            needed = self._rows.sources(ready, ready + 1)[0]
            self._kept, self._kept_from = self._kept[:, needed - self._kept_from :].copy(), needed


class _Sums:
    """The weighted sums of the tiles' answers, where later tiles still add to them.

    Args:
        grid: of the tiles.
        like: an answer (classes, h, w), for the number of classes and the device.
    """

    def __init__(self, grid: Grid, like: Tensor) -> None:
        self._grid = grid
        classes, device = like.shape[0], like.device
        height = grid.sides[0]
        shared = max((height - below + above for above, below in pairwise(grid.rows)), default=0)
        self._window = torch.zeros((classes, *grid.sides), device=device)  # where the last tile lies
        self._below = torch.zeros((classes, shared, grid.width), device=device)  # rows that the next tiles reach, too
        self._known = self._shared = 0  # rows of those that say something: of this row of tiles, and of the next one
        self._weight = torch.from_numpy(grid.window).to(device)
        self._down, self._across = (torch.from_numpy(1 / weight).to(device) for weight in grid.weights)

    def add(self, tile: Tile, answer: Tensor) -> None:
        """Add an answer (classes, h, w)."""
        columns, width = self._grid.columns, self._grid.sides[1]
        left = columns[tile.column]
        if tile.column == 0:
            self._known = 0 if tile.row == 0 else self._shared
            self._enter(0, 0)
        else:
            kept = columns[tile.column - 1] + width - left
            self._window[:, :, :kept] = self._window[:, :, width - kept :].clone()
            self._enter(left, kept)
        self._window.addcmul_(answer, self._weight)
        rows, ready = self._grid.final(tile)
        self._shared = self._window.shape[1] - rows
        self._below[:, : self._shared, left : left + ready] = self._window[:, rows:, :ready]

    def mean(self, tile: Tile, start: int, stop: int) -> Tensor:
        """(classes, stop - start, columns): those rows of what is final of the tile that was added last."""
        top, left = self._grid.rows[tile.row] + start, self._grid.columns[tile.column]
        columns = self._grid.final(tile)[1]
        done = self._window[:, start:stop, :columns] * self._across[left : left + columns]
        done *= self._down[top : top + stop - start, None]
        return done

    def _enter(self, left: int, kept: int) -> None:
        """Begin with columns `kept` and on of the window, which lies at `left`: with what the tiles above said."""
        right = left + self._window.shape[2]
        self._window[:, : self._known, kept:] = self._below[:, : self._known, left + kept : right]
        self._window[:, self._known :, kept:] = 0
