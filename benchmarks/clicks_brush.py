"""The strokes of the simulated user of `clicks_user.py`: where a brush goes, and how far that is.

Lengths are pixels of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from clicks_protocol import Mask, depth
from scipy.ndimage import binary_erosion, distance_transform_edt
from skimage.measure import label

SEARCH = 0.5
"""s to see what is wrong, before each click and each stroke. RootPainter has about 1.5 between strokes, travel
included, the keystroke-level model 1.35 for a decision alone; ours is low, with travel about 1."""

PRESS = 0.1
"""s to press and release a button; Card, Moran and Newell (1980)."""

WIDEST = 20.0
"""Radius of the widest brush, in pixels of the image; napari's slider ends there."""

NEAR = 10.0
"""Pixels of the image between two errors that one stroke mends, lifted between them; ours."""


@dataclass(frozen=True)
class Stroke:
    """A stroke of a round brush: where its middle goes, how far that is in image pixels, and in how many pieces."""

    centres: Mask
    radius: float
    adds: bool
    length: float
    pieces: int
    start: tuple[int, int]


def best_stroke(mask: Mask, truth: Mask, speed: float, at: tuple[float, float] | None) -> Stroke:
    """Over the largest piece of what is wrong and what is near it, with the brush that corrects most a second.

    The middle of the brush keeps to places where it does no harm, if there are any for its width.
    """
    missing, excess = _largest(truth & ~mask), _largest(mask & ~truth)
    adds = bool(missing.sum() >= excess.sum())
    error, region = (missing, truth) if adds else (excess, ~truth)
    room = np.asarray(distance_transform_edt(np.pad(region, 1, mode="edge"))[1:-1, 1:-1])
    far = distance_transform_edt(~error)
    widest = min(max(float(room[error].max()), 1.0), WIDEST)
    best, gained = None, -1.0
    for radius in sorted({max(1.0, share * widest) for share in (0.1, 0.2, 0.35, 0.5, 0.7, 0.95)}):
        centres = (room >= radius) & (far <= radius)
        if not centres.any():
            centres = error
        painted = (distance_transform_edt(~centres) <= radius) & error
        pieces, length = int(label(painted, connectivity=2).max()), _way(painted, radius)
        seconds = SEARCH + PRESS * pieces + length / speed
        if painted.sum() / seconds > gained:
            gained = painted.sum() / seconds
            best = Stroke(centres, radius, adds, length, pieces, _nearest(centres, at))
    assert best is not None
    return best


def _way(area: Mask, radius: float) -> float:
    """Pixels that the middle of a brush goes to paint an area.

    That is once along its border, to and fro within, and once through what is narrower than the brush.
    """
    deep = depth(area)
    core = deep >= radius
    narrow = area & (distance_transform_edt(~core) > radius) if core.any() else area
    within = (deep > 2 * radius).sum() / (1.7 * radius)
    return float(border(core) + within + border(narrow) / 2)


def border(area: Mask) -> int:
    return int((area & ~binary_erosion(area)).sum())


def _nearest(places: Mask, at: tuple[float, float] | None) -> tuple[int, int]:
    rows, columns = np.nonzero(places)
    nearest = 0 if at is None else int(np.hypot(rows - at[0], columns - at[1]).argmin())
    return int(rows[nearest]), int(columns[nearest])


def _largest(mask: Mask) -> Mask:
    """The largest piece of a mask; pieces nearer to each other than `NEAR` are one."""
    pieces = label(distance_transform_edt(~mask) <= NEAR / 2) * mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray((pieces == sizes.argmax()) & mask)
