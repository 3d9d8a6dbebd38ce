"""Whether a file can be the mask of an image that is shown, and the image as it has to be held against it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from napari.layers import Image

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import OpenedImage, open_image
from napari_medseg.models.formats.kinds import content_kind
from napari_medseg.models.image import MedicalImage

from ..image_layers import file_path, noted_of, without_pixels

_log = logging.getLogger(__name__)

ITSELF = "'{}' is the image itself, and holds no mask. Choose the file or the folder of its mask."
SEVERAL = "'{}' holds several masks: {}. Choose the folder of one of them; they are in the folder 'labels'."

Read = TypeVar("Read")


@dataclass(frozen=True)
class OfImage:
    """An image whose mask is opened; for any thread.

    Attributes:
        grid: where its layer lies now.
        path: of its file; None if it came from none.
        part: which of the images in the file it is.
    """

    grid: MedicalImage
    path: Path | None
    part: str

    @classmethod
    def of(cls, layer: Image) -> OfImage:
        """The image that a layer shows."""
        return cls(without_pixels(layer), file_path(layer), str(noted_of(layer).get("part", "")))

    def read(self, path: Path, read: Callable[[Path, OpenedImage], Read]) -> Read:
        """What `read` makes of a mask's path and the image as its file is.

        A mask that does not lie on that, but was exported with a spacing that was set in napari, lies on the grid.

        Raises:
            ImageError: as `check_one_mask` and `read`.
        """
        check_one_mask(path, self.path)
        if self.path is None or not self.path.exists():
            return read(path, OpenedImage(self.grid, ""))
        opened = open_image(self.path, self.part)
        try:
            return read(path, opened)
        except ImageError:
            if np.allclose(self.grid.spacing, opened.image.spacing):
                raise
            return read(path, replace(opened, image=self.grid))


def check_one_mask(path: Path, image: Path | None) -> None:
    """Refuse the image itself, whose intensities would be taken for labels, and OME-Zarr images with several labels.

    Args:
        path: of the mask.
        image: path of the image; None if it came from no file.

    Raises:
        ImageError: it is one of these, or nothing that can be opened.
    """
    labels = _labels_in(path) if content_kind(path) == "ome-zarr" else []
    if len(labels) > 1:
        raise ImageError(SEVERAL.format(path.name, ", ".join(labels)))
    if not labels and image is not None and image.exists() and _is_of_image(path.resolve(), image.resolve()):
        raise ImageError(ITSELF.format(path.name))


def _labels_in(folder: Path) -> list[str]:
    from napari_medseg.models.formats.ome_zarr_metadata import images

    try:
        return [what.removeprefix("labels ") for _, what in images(folder) if what.startswith("labels ")]
    except ImageError:
        raise
    except Exception:  # whatever damage does; who opens it says what is wrong
        _log.info("which labels '%s' has cannot be told", folder.name, exc_info=True)
        return []


def _is_of_image(path: Path, image: Path) -> bool:
    """Whether a path is an image's, or that of an array or another image in its OME-Zarr; its labels are not."""
    if path.samefile(image):
        return True
    return image in path.parents and content_kind(path) == "ome-zarr" and "labels" not in path.relative_to(image).parts
