"""Which windows to look through: about as wide as the object, which at the first click nobody knows. Without torch."""

from __future__ import annotations

import math

import numpy as np

from .prompts import Extent, Prompts
from .window import Window

MARGIN = 1.5
"""Side of a window over the longer side of what it is around."""

SMALLEST = 32.0
"""Pixels; in less there is nothing to see between neighbours."""


def extent_of(prompts: Prompts) -> Extent | None:
    """The bounding box of all their positions."""
    path = np.array([position for prompt in prompts for position in prompt.path])
    if not len(path):
        return None
    (top, left), (bottom, right) = path.min(0), path.max(0)
    return (float(top), float(left)), (float(bottom), float(right))


def united(*extents: Extent | None) -> Extent | None:
    """The box around boxes."""
    known = [extent for extent in extents if extent]
    if not known:
        return None
    (top, left), (bottom, right) = np.min([low for low, _ in known], 0), np.max([high for _, high in known], 0)
    return (float(top), float(left)), (float(bottom), float(right))


def around(extent: Extent) -> Window:
    """The window around a box, in steps, so that a box which changes a little has the same window."""
    low, high = extent
    least = max(MARGIN * (longer(extent) + 1), SMALLEST)
    side = round(2 ** (math.ceil(4 * math.log2(least)) / 4))
    step = max(side // 16, 1)
    top, left = (
        round(((first + last + 1) / 2 - side / 2) / step) * step for first, last in zip(low, high, strict=True)
    )
    return Window(top, left, side)


def scales(prompts: Prompts, shape: tuple[int, int]) -> list[Window]:
    """Windows around the first click, each twice as wide as the one before, up to the whole plane.

    Those that do not hold all that was clicked to be the object are left out. Their middle stays where it is from click
    to click, so that what is known of them can be kept.

    Args:
        prompts: points and scribbles, at least one.
        shape: of the plane.
    """
    positive = Prompts(tuple(prompt for prompt in prompts if prompt.positive)) or prompts
    extent, first = extent_of(positive), extent_of(Prompts(positive.items[:1]))
    assert extent is not None
    assert first is not None
    widest = 1.1 * max(shape)
    doublings = max(0, round(math.log2(widest / SMALLEST)))
    windows = [Window.around(*first, SMALLEST * 2.0**power) for power in range(doublings)]
    whole = Window.around((0, 0), (shape[0] - 1, shape[1] - 1), widest)
    return [*(window for window in windows if window.holds(*extent)), whole]


def near(windows: list[Window], extent: Extent) -> list[Window]:
    """Those about as wide as the window around a box: half to twice as wide."""
    side = around(extent).side
    return [window for window in windows if side <= 2 * window.side <= 4 * side]


def longer(extent: Extent) -> float:
    """The longer side of a box, from middle to middle of its outermost pixels."""
    low, high = extent
    return max(high[0] - low[0], high[1] - low[1])
