"""Pictures of where a model is right and wrong: truth in green, prediction in blue, as in the papers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation
from skimage.segmentation import find_boundaries

from napari_medseg.models.durable import WriteError, make_folder, write
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.intensity import intensity_limits, normalise

TRUTH, PREDICTED, BOTH, CONFUSED = (0, 230, 60), (40, 110, 255), (0, 235, 255), (255, 0, 150)
"""Colours (RGB): the true outline and what was missed, the predicted outline and what was too much, where both
outlines coincide, and where one class was taken for another.
"""

TINT = 0.4
"""Opacity of the colour over what was missed, too much or confused; what is right stays as it is in the image."""

LARGE_ENOUGH = 768
"""Pixels that a picture's longer side has at least: smaller images are magnified, so that outlines hide little."""

Picture = npt.NDArray[np.uint8]


def open_picture_folder(folder: Path, originals: Iterable[Path] = ()) -> Path:
    """The folder for the pictures, made if need be: asked for before the work starts, not after it.

    Args:
        folder: where the pictures go.
        originals: images and masks, none of which a picture may replace.

    Raises:
        WriteError: it cannot be made or written, or it is where the images are.
    """
    folder = folder.expanduser().absolute()
    if any(folder.resolve() == path.parent.resolve() for path in originals):
        raise WriteError(
            f"Pictures in '{folder}' could replace the images or masks there. Nothing was written; "
            "choose another folder for the pictures."
        )
    make_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WriteError(f"You may not write in '{folder}'. Nothing was written; choose another folder.")
    return folder


def write_picture(path: Path, image: MedicalImage, predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> None:
    """Write the picture of an image as a PNG, whole or not at all; of several planes the one that differs most.

    Args:
        path: ends in .png; an older file of that name is replaced.
        image: any.
        predicted: labels in the image's `mask_shape`.
        truth: likewise.

    Raises:
        WriteError: no permission, no space, ...
    """
    plane = most_different_plane(predicted, truth)
    drawn = draw(shown(image, plane), predicted[plane], truth[plane])
    write(path, bytes(iio.imwrite("<bytes>", drawn, extension=".png", plugin="pillow")))


def most_different_plane(predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> tuple[int, ...]:
    """Index along the leading axes (T, Z) of the plane with most wrong pixels; of right ones that with most objects."""
    wrong = np.count_nonzero(predicted != truth, axis=(-2, -1))
    there = np.count_nonzero(truth, axis=(-2, -1))
    worst = np.argmax(wrong if wrong.any() else there)
    return tuple(int(index) for index in np.unravel_index(worst, truth.shape[:-2]))


def shown(image: MedicalImage, plane: tuple[int, ...]) -> Picture:
    """A plane of an image as one sees it, (Y, X, 3): colours of 8 bits as they are, anything else in grey."""
    data = image.data if "C" in image.axes else image.data[..., np.newaxis]
    if data.shape[-1] == 3 and data.dtype == np.uint8:
        return np.ascontiguousarray(data[plane])
    grey = normalise(data[plane], intensity_limits(data)).mean(0).clip(0, 1)
    return np.repeat((255 * grey).round().astype(np.uint8)[..., np.newaxis], 3, -1)


def draw(picture: Picture, predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> Picture:
    """The outlines of two masks over a picture, and a tint where they differ.

    Args:
        picture: (Y, X, 3).
        predicted: labels, (Y, X).
        truth: likewise.

    Returns:
        (k Y, k X, 3), magnified k times.
    """
    times = -(-LARGE_ENOUGH // max(truth.shape))
    picture, predicted, truth = (part.repeat(times, 0).repeat(times, 1) for part in (picture, predicted, truth))
    drawn = picture.astype(np.float32)
    tints = [
        ((truth > 0) & (predicted == 0), TRUTH),
        ((predicted > 0) & (truth == 0), PREDICTED),
        ((predicted > 0) & (truth > 0) & (predicted != truth), CONFUSED),
    ]
    for area, colour in tints:
        drawn[area] = (1 - TINT) * drawn[area] + TINT * np.array(colour, np.float32)
    width = max(min(times, 2), max(truth.shape) // 1024)
    of_truth, of_answer = (_outlines(mask, width) for mask in (truth, predicted))
    for outline, colour in [(of_truth, TRUTH), (of_answer, PREDICTED), (of_truth & of_answer, BOTH)]:
        drawn[outline] = colour
    return drawn.round().astype(np.uint8)


def _outlines(mask: npt.NDArray[Any], width: int) -> npt.NDArray[np.bool_]:
    """The pixels of each label that are less than `width` from its edge."""
    edges = np.asarray(find_boundaries(mask, mode="inner"))
    return np.asarray(binary_dilation(edges, iterations=width - 1)) & (mask > 0) if width > 1 else edges
