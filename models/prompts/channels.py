"""Prompts drawn as the channels that the network reads. Without torch."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from skimage.draw import disk, line, polygon

from .prompts import Box, Lasso, Prompts, Scribble
from .window import SIDE, Window

RADIUS = 3
"""Cells of the disc that a click is drawn as."""

POSITIVE, NEGATIVE, BOX, LASSO = range(4)
"""Number of each channel that prompts are drawn in."""

MASK, MASKED = 4, 5
"""Number of the channel of the mask so far, and of that which is 1 everywhere if there is one."""

Channels = npt.NDArray[np.float32]


def draw(prompts: Prompts, window: Window, side: int = SIDE) -> Channels:
    """(4, side, side), 0 or 1: positive, negative, inside a box, inside a lasso, as far as they lie in the window.

    Several boxes, or lassos, add up to one region. A scribble is at least as wide as a click is drawn.
    """
    channels = np.zeros((4, side, side), np.float32)
    for prompt in prompts:
        cells = window.cells(prompt.path, side)
        if isinstance(prompt, Box | Lasso):
            rows, columns = polygon(cells[:, 0], cells[:, 1], (side, side))
            channels[BOX if isinstance(prompt, Box) else LASSO, rows, columns] = 1
            continue
        radius = RADIUS
        if isinstance(prompt, Scribble):
            radius = max(radius, round(prompt.width / 2 * side / window.side))
        draw_stroke(channels[POSITIVE if prompt.positive else NEGATIVE], cells, radius)
    return channels


def wanted_signs(prompts: Prompts, window: Window, side: int = SIDE) -> Channels:
    """(side, side): 1 under positive clicks and scribbles, -1 under negative ones, 0 elsewhere; the newest is right."""
    signs = np.zeros((side, side), np.float32)
    for prompt in prompts:
        if not isinstance(prompt, Box | Lasso):
            drawn = np.zeros_like(signs)
            draw_stroke(drawn, window.cells(prompt.path, side), 0)
            signs[drawn > 0] = 1 if prompt.positive else -1
    return signs


def draw_stroke(channel: Channels, cells: npt.NDArray[np.float64], radius: int = RADIUS) -> None:
    """Draw a line through cells into a channel, as wide as a disc of that radius; one cell makes a disc."""
    corners = np.clip(np.rint(cells), -4 * len(channel), 5 * len(channel)).astype(int)
    if len(corners) == 1:
        stamp(channel, *corners[0], radius=radius)
    for first, second in itertools.pairwise(corners):
        rows, columns = line(*first, *second)
        for row, column in list(zip(rows, columns, strict=True))[:: max(1, radius // 2)]:
            stamp(channel, row, column, radius=radius)
        stamp(channel, *second, radius=radius)


def stamp(channel: Channels, row: int, column: int, *, radius: int = RADIUS) -> None:
    """Draw a disc; what of it lies outside is left out."""
    rows, columns = _disc(radius)
    rows, columns = rows + row, columns + column
    seen = (rows >= 0) & (rows < channel.shape[0]) & (columns >= 0) & (columns < channel.shape[1])
    channel[rows[seen], columns[seen]] = 1


@lru_cache(maxsize=64)
def _disc(radius: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rows, columns = disk((0, 0), radius + 0.5)
    return rows, columns
