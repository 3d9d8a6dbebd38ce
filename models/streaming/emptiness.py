"""Which tiles hold nothing but background, so that a network need not be asked about them.

Of a slide, most is glass; of a scan, much is air. The background is the intensity that most pixels of the sample have,
in each channel: a bin of 1/32 of the range from 0 to 1 that the intensities are scaled to. It counts as background
only if it is the brightest or the darkest quarter of that range in each channel (a section that fills the image has
none, and then no tile is skipped). A tile is empty if all of its pixels, but for one in 10,000, are within a tenth of
the range from the background.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

NEAR = 0.1
"""How far from the background a pixel of it may be, as a share of the range of intensities."""

FEW = 1e-4
"""Share of the pixels of an empty tile that may be further away: specks of dust."""

OUTER = 0.25
"""Share of the range, at its dark and at its bright end, that a background is in."""


def background(sample: npt.NDArray[Any], limits: npt.NDArray[np.float64]) -> npt.NDArray[np.float32] | None:
    """(C,) the background as a network reads it; None if there is none.

    Args:
        sample: (n, C) pixels of the image.
        limits: (C, 2) intensities that become 0 and 1.
    """
    found = []
    for channel, (low, high) in zip(sample.T, limits, strict=True):
        values = channel[np.isfinite(channel)].astype(np.float64)
        if not high > low or values.size == 0:
            return None
        counts, edges = np.histogram((values - low) / (high - low), bins=32, range=(0.0, 1.0))
        top = int(counts.argmax())
        found.append((edges[top] + edges[top + 1]) / 2)
    most = np.array(found, np.float32)
    return most if (most < OUTER).all() or (most > 1 - OUTER).all() else None


def is_empty(tile: npt.NDArray[np.float32], background: npt.NDArray[np.float32]) -> bool:
    """Whether a tile (C, h, w), as a network reads it, holds nothing but background."""
    away = np.abs(tile - background[:, None, None]).max(axis=0) > NEAR
    return bool(np.count_nonzero(away) <= FEW * away.size)
