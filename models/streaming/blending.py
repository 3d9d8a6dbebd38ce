"""Answers of overlapping tiles blended into rows of pixels, given out as soon as no tile changes them any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..scaling import Resampling
from .tiles import Grid, Tile

AT_ONCE = 32
"""Rows that are given out at once: what is made of them takes several times their memory."""


@dataclass(frozen=True, eq=False)
class Band:
    """Some rows of the answer for a plane, full width.

    Attributes:
        plane: number of the plane.
        start: its first row.
        probability: (classes, rows, X), float32; one class: of the foreground.
    """

    plane: int
    start: int
    probability: torch.Tensor

    @property
    def stop(self) -> int:
        """The row after its last."""
        return self.start + int(self.probability.shape[1])


class Blender:
    """Takes the tiles' answers in their order, and holds no more of them than one row of tiles.

    Args:
        grid: of the planes as the network sees them, mirrored where they were too small.
        rows: the way back from the network's rows to those of the image.
        columns: the same for columns.
        start: (plane, row of tiles) that the first tile is in.
    """

    def __init__(self, grid: Grid, rows: Resampling, columns: Resampling, start: tuple[int, int] = (0, 0)) -> None:
        self._grid, self._rows, self._columns = grid, rows, columns
        self._plane, self._row = start
        self._total: torch.Tensor | None = None  # (classes, h, width): the rows below the first one of this tile row
        self._like: torch.Tensor | None = None
        self._kept: npt.NDArray[np.float32] | None = None  # network rows that rows of the image to come still need
        self._kept_from = 0
        self._given = 0

    def add(self, tile: Tile, answer: torch.Tensor) -> Iterator[Band]:
        """Blend a tile's probabilities (classes, h, w); gives the rows that are finished before it."""
        if (tile.plane, tile.row) != (self._plane, self._row):
            yield from self._finish()
            self._plane, self._row = tile.plane, tile.row
        height, width = self._grid.sides
        if self._total is None or self._like is None:
            shape = (answer.shape[0], height, self._grid.width)
            self._total = torch.zeros(shape, device=answer.device)
            self._like = torch.from_numpy(self._grid.window).to(answer.device)
        left = self._grid.columns[tile.column]
        self._total[:, :, left : left + width].addcmul_(answer, self._like)

    def add_background(self, tile: Tile, classes: int, device: torch.device) -> Iterator[Band]:
        """Blend a tile that holds nothing but background, without having asked the network."""
        answer = torch.zeros((classes, 1, 1), device=device)
        if classes > 1:
            answer[0] = 1.0
        yield from self.add(tile, answer.expand(classes, *self._grid.sides))

    def end(self) -> Iterator[Band]:
        """The rows that are left after the last tile."""
        if self._total is not None:
            yield from self._finish()

    def _finish(self) -> Iterator[Band]:
        """Give out the rows that the next row of tiles does not reach; the others move up."""
        if self._total is None:
            return
        top, bottom = self._grid.rows[self._row], self._grid.finished(self._row)
        down, across = (torch.from_numpy(1 / weight).to(self._total.device) for weight in self._grid.weights)
        rows = bottom - top
        for start in range(0, rows, AT_ONCE):
            done = self._total[:, start : min(start + AT_ONCE, rows)] * across
            done *= down[top + start : top + start + done.shape[1], None]
            yield from self._at_full_size(done, top + start)
        rest = self._total[:, rows:]
        self._total[:, : rest.shape[1]] = rest if rest.shape[1] <= rows else rest.clone()  # where both overlap
        self._total[:, rest.shape[1] :] = 0
        if bottom == self._grid.height:  # the plane is done
            self._total.zero_()
            self._kept, self._given = None, 0

    def _at_full_size(self, done: torch.Tensor, top: int) -> Iterator[Band]:
        """Rows at the image's own size, out of rows at the network's."""
        done = done[:, : max(0, self._rows.length - top), : self._columns.length]  # without what was mirrored
        if self._rows.same and self._columns.same:
            if done.shape[1]:
                yield Band(self._plane, top, done)
            return
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
        yield Band(self._plane, start, torch.from_numpy(self._rows.apply(part, axis=1, start=start, stop=ready)))
        self._given = ready
        if ready < self._rows.new:
            needed = self._rows.sources(ready, ready + 1)[0]
            self._kept, self._kept_from = self._kept[:, needed - self._kept_from :].copy(), needed
