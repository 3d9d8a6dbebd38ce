"""The images of a folder that is worked through: how far each is, and its pixels with its mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from napari.layers import Image, Layer

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image
from napari_medseg.models.formats.kinds import stem

from ..image_layers import is_large, mask_shape
from ..masks import Mask
from .layers import made_layers


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
        refused: why there is a file that is not shown as its mask; "" without.
    """

    queued: QueuedImage
    layers: list[Layer]
    filed: tuple[Mask, int] | None = None
    refused: str = ""


def masks_of(folder: Path) -> Path:
    """Where the masks of a folder of images go: beside it, since the folder may be somebody else's."""
    return folder.with_name(f"{folder.name} masks")


def listed(folder: Path) -> tuple[QueuedImage, ...]:
    """The images of a folder, with their masks that are there; those that cannot be segmented with the reason.

    Raises:
        ImageError: there are none, or two would have one mask.
    """
    import typer

    from ..cli.segment_inputs import images_in, targets_for  # with all commands, of which a window needs no more

    images, failed = images_in([folder])
    if failed and not images:
        raise ImageError(failed[0]["reason"])
    reasons = {Path(entry["image"]): entry["reason"] for entry in failed}
    try:
        targets = targets_for([*images, *reasons], masks_of(folder))
    except typer.BadParameter as error:
        raise ImageError(error.message) from error
    found = ((image, target, mask_there(target)) for image, target in sorted(targets.items()))
    return tuple(
        QueuedImage(image, there or target, there is not None, problem=reasons.get(image, ""))
        for image, target, there in found
    )


def read(queued: QueuedImage) -> tuple[list[Layer], npt.NDArray[Any] | None, str]:
    """Layers of an image, its mask if it can be shown, and why not if there is one that cannot."""
    from napari_medseg.models.reading import mask_on

    from ..cli.segment_inputs import images_of

    if queued.path.is_dir():
        images_of(queued.path)  # raises where it is several
    opened = open_image(queued.path)
    layers = made_layers(opened)
    if not queued.mask.exists() or (isinstance(layers[0], Image) and is_large(layers[0])):
        return layers, None, ""
    try:
        labels = mask_on(queued.mask, opened)
    except ImageError as error:
        return layers, None, str(error)
    if isinstance(layers[0], Image) and labels.shape != mask_shape(layers[0]):
        return layers, None, f"'{queued.mask.name}' has another size than its image."
    return layers, labels, ""


def mask_there(target: Path) -> Path | None:
    """The mask of an image, if there is one, which is a folder where the image was too large for another format."""
    streamed = target.with_name(f"{stem(target)}.ome.zarr")
    return next((path for path in (target, streamed) if path.exists()), None)
