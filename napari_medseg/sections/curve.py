"""The learning curves: held-out Dice and loss over the training.

Redrawn by blitting - axes once, then the two lines alone - since a whole matplotlib figure takes longer to draw than
the window may stand still.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure

from ..state import CurvePoint
from .dress import is_light, soft

ON_DARK, ON_LIGHT = ("#4fc3a1", "#e0a458"), ("#0b6e4f", "#8a5300")
"""Colours of Dice and loss, on grounds of each kind."""


class LearningCurve(FigureCanvasQTAgg):
    """Dice on the left axis, 0 to 1; loss on the right; both over the share of the training.

    Args:
        theme: of napari, by name.
    """

    def __init__(self, theme: str) -> None:
        figure = Figure(figsize=(3, 1.6), layout="constrained", facecolor="none")
        super().__init__(figure)
        self.setStyleSheet("background: transparent")
        self.setFixedHeight(150)
        left = figure.add_subplot(facecolor="none")
        right = left.twinx()
        left.set(xlim=(0, 100), ylim=(0, 1))
        right.set(ylim=(0, 1))
        left.set_xlabel("% of the training", fontsize=8)
        left.set_ylabel("held-out Dice", fontsize=8)
        right.set_ylabel("loss", fontsize=8)
        for axes in (left, right):
            axes.tick_params(labelsize=7, length=2)
            axes.spines[:].set_linewidth(0.5)
        (self._dice,) = left.plot([], [], "o-", markersize=3, linewidth=1.5, animated=True)
        (self._loss,) = right.plot([], [], "-", linewidth=1, animated=True)
        self._left, self._right = left, right
        self._background: Any = None
        self.dress(theme)
        self.mpl_connect("draw_event", self._drawn)

    def dress(self, theme: str) -> None:
        """Draw in colours that can be read on the ground of this theme."""
        ink = soft(theme)
        for axes, line, colour in zip(
            (self._left, self._right), (self._dice, self._loss), ON_LIGHT if is_light(theme) else ON_DARK, strict=True
        ):
            axes.xaxis.label.set_color(ink)
            axes.yaxis.label.set_color(colour)
            axes.tick_params(colors=ink)
            axes.spines[:].set_color(ink)
            line.set_color(colour)
        self.draw_idle()

    def show_points(self, points: Sequence[CurvePoint]) -> None:
        """Draw the curves anew; a few milliseconds."""
        dice = [(100 * point.share, point.dice) for point in points if point.dice is not None]
        loss = _smooth([(100 * point.share, point.loss) for point in points if point.loss is not None])
        self._dice.set_data(*zip(*dice, strict=True) if dice else ([], []))
        self._loss.set_data(*zip(*loss, strict=True) if loss else ([], []))
        top = max(1.0, math.ceil(2 * max((value for _, value in loss), default=0)) / 2)
        if top != self._right.get_ylim()[1]:  # in half steps, so that the axes are seldom drawn anew
            self._right.set_ylim(0, top)
            self.draw_idle()
        elif self._background is not None:
            self.restore_region(self._background)
            self._draw_lines()
            self.blit(self.figure.bbox)

    def _drawn(self, _: Any) -> None:
        self._background = self.copy_from_bbox(self.figure.bbox)
        self._draw_lines()

    def _draw_lines(self) -> None:
        self._right.draw_artist(self._loss)
        self._left.draw_artist(self._dice)


def _smooth(points: list[tuple[float, float]], keep: float = 0.9) -> list[tuple[float, float]]:
    """A running mean: single batches say little."""
    smoothed, mean = [], points[0][1] if points else 0.0
    for share, loss in points:
        mean = keep * mean + (1 - keep) * loss
        smoothed.append((share, mean))
    return smoothed
