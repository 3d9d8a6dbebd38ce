"""Folders of volumes to train on, as the tests make them."""

from pathlib import Path

import nibabel
import numpy as np

SPACING = (3.0, 1.0, 0.8)
"""Along Z, Y, X, in mm."""

LPS = np.diag([-0.8, -1.0, 3.0, 1.0])
"""Affine to (R, A, S) of an axial volume that is shown as it is stored."""


def organs(seed: int, shape: tuple[int, int, int] = (32, 48, 48)) -> tuple[np.ndarray, np.ndarray]:
    """Three balls on noise, brighter the higher their label, and their mask, (Z, Y, X); a quarter of it is empty."""
    draw = np.random.default_rng(seed)
    at = np.indices(shape).transpose(1, 2, 3, 0)
    mask = np.zeros(shape, np.uint8)
    for label, (row, column) in enumerate([(12, 12), (12, 36), (36, 24)], start=1):
        centre = np.array([shape[0] // 2, row, column]) + draw.integers(-2, 3, 3)
        mask[(((at - centre) / (shape[0] * 0.33, 9, 9)) ** 2).sum(-1) < 1] = label
    return (draw.integers(0, 60, shape) + 60 * mask).astype(np.int16), mask


def save(path: Path, array: np.ndarray, affine: np.ndarray = LPS) -> Path:
    """Write (Z, Y, X) as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array.T, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def pair(folder: Path, name: str, image: np.ndarray, mask: np.ndarray) -> None:
    save(folder / "images" / f"{name}.nii.gz", image)
    save(folder / "masks" / f"{name}.nii.gz", mask)


def other_way_round(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels in a file that runs the other way along all axes: its array (Z, Y, X) and its affine."""
    affine = LPS.copy()
    affine[:3, 3] = LPS[:3, :3] @ (np.array(array.shape[::-1]) - 1)
    affine[:3, :3] *= -1
    return array[::-1, ::-1, ::-1], affine
