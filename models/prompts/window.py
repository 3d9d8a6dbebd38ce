"""The square of a plane that the network looks at. Without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .prompts import Position

SIDE = 128
"""Cells along a side of what the network sees, whatever the window's size in pixels."""


@dataclass(frozen=True)
class Window:
    """A square in pixels of the plane; it may hang over the border.

    Attributes:
        top: first row.
        left: first column.
        side: rows, and columns.
    """

    top: int
    left: int
    side: int

    @classmethod
    def around(cls, low: Position, high: Position, side: float) -> Window:
        """The window of that side with the box from `low` to `high` in its middle."""
        side = max(round(side), 1)
        top, left = (math.floor((first + last + 1) / 2 - side / 2) for first, last in zip(low, high, strict=True))
        return cls(top, left, side)

    @property
    def rows(self) -> tuple[int, int]:
        """First row and the one after the last."""
        return self.top, self.top + self.side

    @property
    def columns(self) -> tuple[int, int]:
        """First column and the one after the last."""
        return self.left, self.left + self.side

    def holds(self, low: Position, high: Position) -> bool:
        """Whether a box lies inside."""
        return bool(self.top <= low[0] and self.left <= low[1] and high[0] < self.rows[1] and high[1] < self.columns[1])

    def cells(self, path: tuple[Position, ...], side: int = SIDE) -> npt.NDArray[np.float64]:
        """Positions in the plane as rows and columns of the window's cells; the first cell's middle is (0, 0)."""
        scale = side / self.side
        return (np.array(path, np.float64) - (self.top, self.left) + 0.5) * scale - 0.5
