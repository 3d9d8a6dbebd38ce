"""The images of a folder that is worked through: how far each is, and its pixels with its mask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from napari.layers import Image, Layer

from napari_medseg.models.errors import ImageError
from napari_medseg.models.folder_images import TargetError, images_in, images_of, target_by_name, targets_for
from napari_medseg.models.formats import open_image
from napari_medseg.models.writing import ON_DISK, on_disk

from ..image_layers import is_large, mask_shape
from ..large.finding import Given
from ..large.folder import MaskFolder
from ..masks import Mask
from .layers import made_layers
from .made_by import Made

KEPT_WHOLE = (
    "The image is so large that it stays in its file, and is corrected in a mask on the disk (.ome.zarr); '{}' is "
    "another kind of file and stays as it is. Segment the image here, and export its mask."
)


@dataclass(frozen=True)
class QueuedImage:
    """An image of the folder.

    Attributes:
        path: of its file or folder.
        mask: where its mask is, or will be.
        done: whether there is one.
        corrected: whether it was corrected in this window.
        problem: why it could not be segmented; "" if it was not tried or it could.
    """

    path: Path
    mask: Path
    done: bool = False
    corrected: bool = False
    problem: str = ""


@dataclass(eq=False)
class OpenImage:
    """The image that is open.

    Attributes:
        queued: as it was listed then.
        layers: it has in the window.
        filed: the mask that is in its file, with as many changes; None without.
        filed_large: likewise, of an image that stays in its file.
        refused: why there is a file that is not shown as its mask; "" without.
    """

    queued: QueuedImage
    layers: list[Layer]
    filed: tuple[Mask, int] | None = None
    filed_large: tuple[MaskFolder, int] | None = None
    refused: str = ""


@dataclass(frozen=True, eq=False)
class Found:
    """An image as it was read.

    Attributes:
        layers: of the image.
        labels: its mask; None without, and for one that stays on the disk.
        made: what made the mask; None for a user, or nobody known.
        given: a mask that stays on the disk; None without.
        refused: why there is a mask that cannot be shown; "" without.
    """

    layers: list[Layer]
    labels: npt.NDArray[Any] | None = None
    made: Made | None = None
    given: Given | None = None
    refused: str = ""


def masks_of(folder: Path) -> Path:
    """Where the masks of a folder of images go: beside it, since the folder may be somebody else's."""
    return folder.with_name(f"{folder.name} masks")


def listed(folder: Path) -> tuple[QueuedImage, ...]:
    """The images of a folder, with their masks that are there; those that cannot be segmented with the reason.

    Raises:
        ImageError: there are none, or two would have one mask.
    """
    images, failed = images_in([folder])
    if failed and not images:
        raise ImageError(failed[0]["reason"])
    reasons = {Path(entry["image"]): entry["reason"] for entry in failed}
    targets, alike = targets_for([*images, *reasons], masks_of(folder))
    for entry in alike:
        image = Path(entry["image"])
        reasons.setdefault(image, entry["reason"])
        targets[image] = target_by_name(image, masks_of(folder))  # of what is drawn; the command leaves it out
    if len(set(targets.values())) < len(targets):
        raise TargetError(alike[0]["reason"])
    names = names_in(masks_of(folder))
    found = ((image, target, mask_there(target, names)) for image, target in sorted(targets.items()))
    return tuple(
        QueuedImage(image, there or target, there is not None, problem=reasons.get(image, ""))
        for image, target, there in found
    )


def read(queued: QueuedImage, who: Callable[[Path, Path], Made | None]) -> Found:
    """Layers of an image, with its mask if it can be shown; `who` tells what made a mask of an image.

    Raises:
        ImageError: the image cannot be read.
    """
    from napari_medseg.models.reading import mask_on

    if queued.path.is_dir():
        images_of(queued.path)  # raises where it is several
    opened = open_image(queued.path)
    layers = made_layers(opened)
    mask = mask_there(queued.mask, names_in(queued.mask.parent))
    if mask is None:
        return Found(layers)
    if isinstance(layers[0], Image) and is_large(layers[0]):
        if not mask.name.endswith(ON_DISK):
            return Found(layers, refused=KEPT_WHOLE.format(mask.name))
        made = who(queued.path, mask)
        given = Given(mask, made.model, made.answer) if made else Given(mask, untouched=False)
        return Found(layers, given=given)
    try:
        labels = mask_on(mask, opened)
    except ImageError as error:
        return Found(layers, refused=str(error))
    if isinstance(layers[0], Image) and labels.shape != mask_shape(layers[0]):
        return Found(layers, refused=f"'{mask.name}' has another size than its image.")
    return Found(layers, labels, who(queued.path, mask))


def names_in(folder: Path) -> frozenset[str]:
    """Names in a folder, with one look at it: a network drive takes as long for each single file."""
    try:
        return frozenset(path.name for path in folder.iterdir())
    except OSError:
        return frozenset()


def mask_there(target: Path, names: Collection[str]) -> Path | None:
    """The mask of an image, if it is among the names in its folder."""
    return next((path for path in (target, on_disk(target)) if path.name in names), None)


def masks_there(queue: Iterable[QueuedImage]) -> dict[Path, Path]:
    """The masks that these images of one folder have by now, by the images' paths."""
    queue = tuple(queue)
    names = names_in(queue[0].mask.parent) if queue else frozenset()
    there = ((queued.path, mask_there(queued.mask, names)) for queued in queue)
    return {path: mask for path, mask in there if mask is not None}
