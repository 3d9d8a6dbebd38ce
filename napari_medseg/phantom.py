"""A CT volume that nobody had to lie still for: simple shapes with the densities of a body, always the same.

It has no symmetry: the liver-like organ lies on one side and low, so that a flipped or swapped axis shows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_medseg.models.image import Array, MedicalImage

SHAPE = (24, 128, 128)
"""Planes from the feet up, rows from front to back, columns from the body's right to its left."""

SPACING_MM = (5.0, 1.5, 1.5)

ORGANS = {"lungs": 1, "liver": 2, "vertebra": 3}
"""Labels in `ct_phantom_organs`."""

_HOUNSFIELD = {"air": -1000.0, "body": 40.0, "lungs": -820.0, "liver": 105.0, "vertebra": 450.0}
_NOISE_HU = 12.0
_SEED = 20180813


def ct_phantom() -> MedicalImage:
    """The volume: (Z, Y, X), int16, Hounsfield units, 5.0 x 1.5 x 1.5 mm, with blurred edges and noise."""
    density = np.where(_body(), _HOUNSFIELD["body"], _HOUNSFIELD["air"])
    organs = ct_phantom_organs()
    for organ, label in ORGANS.items():
        density[organs == label] = _HOUNSFIELD[organ]
    density = gaussian_filter(density, (0.3, 0.8, 0.8))
    density += np.random.default_rng(_SEED).normal(0.0, _NOISE_HU, SHAPE)
    return MedicalImage(np.round(density).astype(np.int16), "ZYX", SPACING_MM, "mm", name="CT phantom")


def ct_phantom_organs() -> Array:
    """Labels of the volume, (Z, Y, X), uint8, as in `ORGANS`; 0 is the rest."""
    organs = np.zeros(SHAPE, np.uint8)
    organs[_ellipsoid((92, 92, 50), (62, 42, 23))] = ORGANS["lungs"]
    organs[_ellipsoid((92, 92, 140), (58, 40, 22))] = ORGANS["lungs"]
    organs[_ellipsoid((28, 86, 64), (34, 42, 40))] = ORGANS["liver"]
    organs[_ellipsoid((60, 142, 96), (400, 15, 17))] = ORGANS["vertebra"]
    organs[~_body()] = 0
    return organs


def _body() -> npt.NDArray[np.bool_]:
    return _ellipsoid((60, 96, 96), (2000, 72, 88))


def _ellipsoid(centre_mm: tuple[float, ...], radii_mm: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    """Voxels within an ellipsoid; centre and radii along Z, Y, X in mm from the centre of the first voxel."""
    grid = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    away = (((g * s - c) / r) ** 2 for g, s, c, r in zip(grid, SPACING_MM, centre_mm, radii_mm, strict=True))
    return sum(away, np.zeros(SHAPE)) <= 1
