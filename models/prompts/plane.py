"""One plane of an image, ready to be looked at through windows of any size."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ..intensity import normalise
from .window import SIDE, Window


class Plane:
    """A plane and its halves, quarters and so on, so that a wide window costs no more than a narrow one.

    Args:
        pixels: (Y, X, C) of any integer or real type, C from 1 to 4.
        limits: (C, 2), the intensities that become 0 and 1.
    """

    def __init__(self, pixels: npt.NDArray[Any], limits: npt.NDArray[np.float64]) -> None:
        self.shape = pixels.shape[0], pixels.shape[1]
        self._limits = limits
        self._levels = [pixels]
        while min(self._levels[-1].shape[:2]) >= 2 and max(self._levels[-1].shape[:2]) > SIDE:
            self._levels.append(_halved(self._levels[-1]))

    def look(self, window: Window, side: int = SIDE) -> tuple[Tensor, Tensor]:
        """What the network sees in a window.

        Returns:
            (3, side, side), between -1 and 2, 0 beyond the image's border; and (1, side, side), 1 where the image is.
        """
        level = int(np.clip(np.log2(max(window.side / side, 1)), 0, len(self._levels) - 1))
        pixels, step = self._levels[level], 2**level
        first = [int(np.floor(edge / step)) - 2 for edge in (window.top, window.left)]
        last = [int(np.ceil((edge + window.side) / step)) + 2 for edge in (window.top, window.left)]
        spans = [np.clip((a, b), 0, n) for a, b, n in zip(first, last, pixels.shape, strict=False)]
        (top, bottom), (left, right) = spans
        if top >= bottom or left >= right:
            return torch.zeros(3, side, side), torch.zeros(1, side, side)
        crop = torch.from_numpy(as_colours(normalise(pixels[top:bottom, left:right], self._limits)))  # (3, h, w)
        rows = self._positions(window.top, window.side, side, step, int(top), crop.shape[1])
        columns = self._positions(window.left, window.side, side, step, int(left), crop.shape[2])
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], -1)[None]  # (1, side, side, 2), x first
        seen = F.grid_sample(crop[None], grid, padding_mode="border", align_corners=False)[0]
        inside = _inside(window.top, window.side, side, self.shape[0])[:, None] & _inside(
            window.left, window.side, side, self.shape[1]
        )
        return seen * inside, inside[None].float()

    @staticmethod
    def _positions(start: int, length: int, side: int, step: int, offset: int, cells: int) -> Tensor:
        """Where the middles of a window's cells lie in a crop of a level, as `grid_sample` counts: -1 to 1."""
        edges = start + (torch.arange(side, dtype=torch.float64) + 0.5) * length / side  # in pixels of the plane
        return (2 * (edges / step - offset) / cells - 1).float()


def as_colours(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(3, H, W) of an image of any number of channels, (C, H, W).

    One stands three times; two get their mean as the third; of more than three the brightest of the rest is the third.
    """
    if len(pixels) == 1:
        return np.repeat(pixels, 3, 0)
    if len(pixels) == 2:
        return np.concatenate((pixels, pixels.mean(0, keepdims=True)))
    return np.concatenate((pixels[:2], pixels[2:].max(0, keepdims=True)))


def _inside(start: int, length: int, side: int, pixels: int) -> Tensor:
    middles = start + (torch.arange(side, dtype=torch.float64) + 0.5) * length / side
    return (middles >= 0) & (middles < pixels)


def _halved(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The means of 2 x 2 pixels, in the same type; an odd last row or column is left out.

    What is no number takes no part; where all four are none, the mean is none.
    """
    height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    parts = [pixels[row:height:2, column:width:2] for row, column in itertools.product(range(2), range(2))]
    if pixels.dtype.kind != "f" and pixels.dtype.itemsize <= 2:
        total = np.zeros(parts[0].shape, np.int32)  # holds four of any of them, negative ones, too
        for part in parts:
            total += part
        return ((total + 2) // 4).astype(pixels.dtype)
    sums, count = np.zeros(parts[0].shape, np.float64), np.zeros(parts[0].shape, np.uint8)
    for part in parts:
        known = np.isfinite(part)
        sums += np.where(known, part, 0)
        count += known
    with np.errstate(invalid="ignore", divide="ignore"):
        return (sums / count).astype(pixels.dtype)
