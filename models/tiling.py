"""Overlapping tiles that cover a plane, and the smooth weights with which their answers are blended."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def tile_origins(side: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along one axis, so that they cover 0 to `side` - 1 and neighbours share at least `overlap`.

    Args:
        side: length of the axis in pixels, >= tile.
        tile: length of a tile in pixels.
        overlap: smallest share of a tile that its neighbour covers too, 0 <= overlap < 1.

    Returns:
        Evenly spread origins, the first 0 and the last `side - tile`.
    """
    step = max(1, int(tile * (1 - overlap)))
    count = 1 + -(-(side - tile) // step)
    return [round(origin) for origin in np.linspace(0, side - tile, count)]


def blend_window(height: int, width: int) -> npt.NDArray[np.float32]:
    """(height, width) weights: a raised cosine that is highest in the middle and never 0.

    Tiles' answers are averaged with these weights, so a seam never shows: a tile counts least where it knows least.
    """
    rows, columns = (np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2 + 1e-4 for side in (height, width))
    return np.outer(rows, columns).astype(np.float32)
