"""Masks for the tests of the mask tools, and what every change promises."""

from __future__ import annotations

import numpy as np

from napari_medseg.models.mask_tools import Change


def applied(mask: np.ndarray, change: Change) -> np.ndarray:
    """The mask with the change, after what a change promises was checked."""
    np.testing.assert_array_equal(mask[change.region], change.before)
    after = mask.astype(change.after.dtype) if change else mask.copy()
    after[change.region] = change.after
    assert change.said.endswith(".")
    assert bool(change) == bool((after != mask).any())
    return after


def disc(shape: tuple[int, ...], centre: tuple[float, ...], radius: float) -> np.ndarray:
    grid = np.ogrid[tuple(slice(0, side) for side in shape)]
    return sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True)) <= radius**2
