"""The planes of an image and its mask as a network learns from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.cards import ModelCard
from napari_medseg.models.errors import ModelError
from napari_medseg.models.image import MedicalImage, as_mask
from napari_medseg.models.intensity import intensity_limits, match_channels, normalise
from napari_medseg.models.scaling import resize_labels, resize_plane

IGNORED = 255
"""In a target: a pixel that counts for nothing."""


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane as the network reads it.

    Attributes:
        image: (C, Y, X) float32.
        target: (1, Y, X) uint8, class of each pixel, or `IGNORED`.
    """

    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.uint8]

    @property
    def nbytes(self) -> int:
        """Memory that it takes, in bytes."""
        return self.image.nbytes + self.target.nbytes


def planes_of(image: MedicalImage, mask: npt.NDArray[Any], card: ModelCard, ignore: int | None = None) -> list[Plane]:
    """All planes of an image, at the scale and with the classes of the card.

    Args:
        image: with channels that the card's network reads.
        mask: its labels.
        card: of the network that learns.
        ignore: label of pixels that count for nothing.

    Raises:
        ImageError: mask and image do not fit each other, or the image has too many channels.
        ModelError: the mask has labels that the card does not know.
    """
    own = list(own_planes(image, mask, card, ignore))
    return [as_read(own.__getitem__, at, depth_of(image), card) for at in range(len(own))]


def own_planes(
    image: MedicalImage, mask: npt.NDArray[Any], card: ModelCard, ignore: int | None = None
) -> Iterator[Plane]:
    """As `planes_of`, one after the other, each with the channels of itself alone: one if all would be the same.

    Intensities are those of the whole image, not of a plane, so that planes agree as they do in prediction.
    """
    mask = _targets(as_mask(mask, image), card, ignore)
    data = image.data if "C" in image.axes else image.data[..., np.newaxis]
    if data.shape[-1] > 1:
        data = match_channels(data, card.in_channels // (2 * card.context + 1))
    limits = intensity_limits(data)
    for index in np.ndindex(*mask.shape[:-2]):
        yield Plane(
            resize_plane(normalise(data[index], limits), card.scale),
            resize_labels(mask[index][np.newaxis], card.scale),
        )


def depth_of(image: MedicalImage) -> int:
    """How many planes of an image are one stack, whose planes are each other's neighbours."""
    return int(image.data.shape[image.axes.index("Z")]) if "Z" in image.axes else 1


def as_read(own: Callable[[int], Plane], at: int, depth: int, card: ModelCard) -> Plane:
    """A plane with all channels that the network reads: its neighbours', too, if the card asks for a context.

    Args:
        own: gives a plane of `own_planes` by its number.
        at: number of the plane.
        depth: planes in a stack; beyond the ends of one its last plane is repeated, as in prediction.
        card: of the network that learns.
    """
    first = at // depth * depth
    middle = own(at)
    parts = []
    for step in range(-card.context, card.context + 1):
        number = min(max(at + step, first), first + depth - 1)
        part = middle.image if number == at else own(number).image
        parts.append(np.broadcast_to(part, (card.in_channels // (2 * card.context + 1), *part.shape[1:])))
    return Plane(np.concatenate(parts), middle.target)


def _targets(mask: npt.NDArray[Any], card: ModelCard, ignore: int | None) -> npt.NDArray[np.uint8]:
    """Class of each pixel of a mask, or `IGNORED`."""
    ignored = np.zeros(mask.shape, bool) if ignore is None else mask == ignore
    mask = np.where(ignored, 0, mask)
    if card.classes == 1:
        mask = (mask > 0).astype(np.uint8)  # instances or not: all is foreground
    elif mask.max() >= card.classes:
        raise ModelError(
            f"The mask has label {mask.max()}, but '{card.name}' knows labels 0 to {card.classes - 1} only. "
            "Pick a model with more classes, or correct the label."
        )
    return np.where(ignored, IGNORED, mask).astype(np.uint8)
