"""The loop: tiles are read ahead, go through the network in batches, and their answers are blended and given away."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..allocation import give_back
from ..scaling import Resampling
from .blending import Blender
from .emptiness import is_empty
from .network import OutOfMemoryError, TileNetwork, memory_watched, release
from .planes import Planes
from .sinks import Sink
from .steps import Steps
from .tiles import Grid, Tile

Pixels = npt.NDArray[np.float32]

AHEAD = 2
"""Batches that are read before they are needed."""

TRIMMED = 16
"""Tiles after which memory that is free goes back to the system."""


@dataclass
class Batch:
    """How many tiles go at once; fewer from the moment on that the memory is not enough for them.

    Attributes:
        size: tiles at once.
    """

    size: int

    def run(self, network: TileNetwork, tiles: list[Pixels]) -> list[torch.Tensor]:
        """Probabilities (classes, h, w) of each tile.

        Raises:
            OutOfMemoryError: there is not enough memory for a single one.
        """
        while True:
            try:
                parts = [network.run(tiles[at : at + self.size]) for at in range(0, len(tiles), self.size)]
                return [answer for part in parts for answer in part]
            except OutOfMemoryError:
                if min(self.size, len(tiles)) == 1:
                    raise
            release(network.device)
            self.size = min(self.size, len(tiles)) // 2


def run(
    network: TileNetwork,
    planes: Planes,
    grid: Grid,
    sink: Sink,
    *,
    batch: Batch,
    start: tuple[int, int],
    background: npt.NDArray[np.float32] | None,
    steps: Steps,
) -> None:
    """Segment all planes of an image.

    Args:
        network: that answers.
        planes: of the image.
        grid: of tiles on each plane.
        sink: gets the answer, block by block.
        batch: how many tiles at once.
        start: (plane, row of tiles) to begin with.
        background: (C,) tiles of which are skipped; None if there are none to skip.
        steps: told of each tile.

    Raises:
        OutOfMemoryError: there is not enough memory for a single tile.
        CancelledError: it was told to stop.
        ImageError: the image cannot be read to its end.
    """
    rows, columns = (Resampling(side.new, side.length) for side in (planes.rows, planes.columns))
    blender = Blender(grid, rows, columns)
    count = 0
    classes = 0  # known from the first answer on, for which the network is asked about the first tile in any case
    with ThreadPoolExecutor(1, thread_name_prefix="tiles") as reader:
        for taken in _batches(_read_ahead(reader, planes, grid, start, batch.size), batch, background):
            steps.check()
            asked = [pixels for _, pixels, _ in taken if pixels is not None]
            answers = iter(batch.run(network, asked))
            with torch.inference_mode(), memory_watched():
                for tile, pixels, empty in taken:
                    answer = None if pixels is None else next(answers)
                    classes = classes if answer is None else answer.shape[0]
                    if answer is None or empty:
                        blocks = blender.add_background(tile, classes, network.device)
                    else:
                        blocks = blender.add(tile, answer)
                    for block in blocks:
                        sink.put(block)
            steps.advance(len(taken))
            read = len(taken)
            del taken, asked, answers, answer, pixels, blocks  # before the next ones are read
            if (count + read) // TRIMMED > count // TRIMMED:
                give_back()
            count += read


def _read_ahead(
    reader: ThreadPoolExecutor, planes: Planes, grid: Grid, start: tuple[int, int], batch: int
) -> Iterator[tuple[Tile, Pixels]]:
    """Each tile with its pixels, in order; another thread is ahead by some."""
    waiting: deque[tuple[Tile, Future[Pixels]]] = deque()
    tiles = grid.tiles(len(planes), start)
    try:
        while True:
            while len(waiting) < AHEAD * batch and (tile := next(tiles, None)) is not None:
                place = grid.rows[tile.row], grid.columns[tile.column]
                waiting.append((tile, reader.submit(planes.read, tile.plane, *place, grid.sides)))
            if not waiting:
                return
            tile, pixels = waiting.popleft()
            yield tile, pixels.result()
            del pixels
    finally:
        for _, pixels in waiting:
            pixels.cancel()


def _batches(
    read: Iterator[tuple[Tile, Pixels]], batch: Batch, background: npt.NDArray[np.float32] | None
) -> Iterator[list[tuple[Tile, Pixels | None, bool]]]:
    """Tiles for one step: as many as go at once, and those between them that are empty, most without their pixels."""
    taken: list[tuple[Tile, Pixels | None, bool]] = []
    asked, first = 0, True
    for tile, pixels in read:
        empty = background is not None and is_empty(pixels, background)
        taken.append((tile, None if empty and not first else pixels, empty))
        asked, first = asked + (not empty or first), False
        if asked >= batch.size or len(taken) >= 8 * batch.size:
            del pixels
            yield taken
            taken, asked = [], 0
    if taken:
        yield taken
