"""Folders of images and masks to train on, as the tests make them."""

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from lightning.fabric import Fabric

from napari_medseg.trainer.folder_config import FolderRequest
from napari_medseg.trainer.folder_training import train_folder


def disc(seed: int, shape: tuple[int, int] = (48, 40), label: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on noise, brighter the higher its label, and its mask."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    inside = (rows - draw.integers(16, 32)) ** 2 + (columns - draw.integers(14, 26)) ** 2 < 10**2
    return (draw.integers(0, 60, shape) + 90 * label * inside).astype(np.uint8), (label * inside).astype(np.uint8)


def pair(folder: Path, name: str, image: np.ndarray, mask: np.ndarray) -> None:
    for part, pixels in (("images", image), ("masks", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        iio.imwrite(folder / part / f"{name}.png", pixels)


def run(request: FolderRequest, **options: Any) -> Any:
    return train_folder(request, fabric=Fabric(accelerator="cpu", devices=1), **options)
