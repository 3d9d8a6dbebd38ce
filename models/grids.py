"""Whether a mask lies on its image: at the same place in the patient, voxel for voxel. Without torch."""

from __future__ import annotations

from itertools import product

import numpy as np

from .errors import ImageError
from .formats.kinds import Kind
from .geometry import Geometry
from .image import MedicalImage

FARTHEST = 0.1
"""Voxels by which a corner of the mask may be off from that of the image: more than headers are rounded by."""

_AS_STORED: tuple[Kind, ...] = ("nifti", "nrrd", "metaimage", "dicom")
"""Formats whose arrays are turned upright by their place, and stay as they are stored where they have none."""


def check_one_grid(image: MedicalImage, mask: MedicalImage, kinds: tuple[Kind, Kind]) -> None:
    """Refuse a mask that does not lie on its image.

    Two that both say where they lie are held against each other by their corners, in voxels of the image; the ways in
    which their files run may differ. Where only one of them says, and was turned upright by that, the other must be
    of a format that knows no place, and is taken as shown: nobody can tell whether to turn it, too.

    Args:
        image: as it was read, upright.
        mask: likewise, with the image's `mask_shape`.
        kinds: formats of both.

    Raises:
        ImageError: another place; the text names neither.
    """
    if image.geometry is not None and mask.geometry is not None:
        _check_places(image.geometry, mask.geometry, image.mask_shape)
        return
    placed, other = (image, kinds[1]) if image.geometry is not None else (mask, kinds[0])
    if placed.geometry is not None and any(placed.geometry.flipped) and other in _AS_STORED:
        which = "mask" if placed is image else "image"
        raise ImageError(
            f"Where the {which} lies in the patient is not in its file, so whether it runs the same way as the other "
            "cannot be told. Export both from one program, with their place."
        )


def _check_places(image: Geometry, mask: Geometry, shape: tuple[int, ...]) -> None:
    lengths = shape[-3:] if len(shape) > 2 else (1, *shape)
    corners = np.array([(*corner, 1) for corner in product((0, 1), repeat=3)]) * (
        *(n - 1 for n in lengths),
        1,
    )  # (8, 4)
    away = corners @ (mask.affine - image.affine)[:3].T  # (8, 3) mm
    voxels = np.abs(away @ np.linalg.inv(image.affine[:3, :3]).T).max()
    if voxels > FARTHEST:
        raise ImageError(
            f"The mask lies up to {np.linalg.norm(away, axis=1).max():.3g} mm ({voxels:.2g} voxels) away from its "
            f"image; {FARTHEST} voxels are allowed. Export or resample the mask on the image's own grid."
        )
