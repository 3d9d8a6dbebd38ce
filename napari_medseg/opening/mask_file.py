"""A mask that was made before, by whatever program, brought onto its image to be corrected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import OpenedImage, open_image
from napari_medseg.models.formats.kinds import content_kind

from ..background import Background
from ..image_layers import file_path, mask_layer_settings, noted_of, without_pixels
from ..masks import Mask, Masks
from ..state import PanelState

NO_IMAGE = "Open the image first; then open its mask."
LARGE = (
    "The mask of a large image is opened with its folder: choose the folder of the image under Folder, and have the "
    "mask, as .ome.zarr, in the folder of masks that is named there."
)
ITSELF = "'{}' is the image itself, and holds no mask. Choose the file or the folder of its mask."
SEVERAL = "'{}' holds several masks: {}. Choose the folder of one of them; they are in the folder 'labels'."
GONE = "The image was closed while its mask was read; the mask is not shown."


class MaskFile:
    """Opens one file, or OME-Zarr folder, at a time, for the image that is chosen.

    Args:
        viewer: whose layers hold the image.
        state: what the panel shows; `opening` says what is read.
        masks: where the mask goes.
        background: where it is read.
    """

    def __init__(self, viewer: Any, state: PanelState, masks: Masks, background: Background) -> None:
        self.viewer, self._state, self._masks, self._background = viewer, state, masks, background

    def open(self, path: Path) -> None:
        """Show the mask in a file or a folder on the chosen image, if it lies on it; one that was drawn is hidden."""
        image, state = self._state.image, self._state
        state.problem = state.notice = ""
        if image is None or state.large:
            state.problem = LARGE if state.large else NO_IMAGE
            return
        grid, source, part = without_pixels(image), file_path(image), str(noted_of(image).get("part", ""))
        state.opening = f"Opening '{path.name}' ..."

        def read() -> npt.NDArray[Any]:
            from napari_medseg.models.reading import mask_on

            _check_one_mask(path, source)
            if source is None or not source.exists():
                return mask_on(path, OpenedImage(grid, ""))
            opened = open_image(source, part)
            try:
                return mask_on(path, opened)
            except ImageError:
                if np.allclose(grid.spacing, opened.image.spacing):
                    raise
                return mask_on(path, replace(opened, image=grid))  # exported with the spacing that was set in napari

        def ended(problem: str) -> None:
            state.opening, state.problem = "", problem

        self._background.run(read, lambda labels: ended(self._show(image, labels, path.name)), ended)

    def _show(self, image: Image, labels: npt.NDArray[Any], name: str) -> str:
        """Show the mask; what is wrong, or ""."""
        if self._state.own_labels and labels.dtype == np.uint8:
            labels = labels.astype(np.uint16)  # a brush may add object 256
        layer = Labels(labels, name=f"{image.name} mask", **mask_layer_settings(image))
        if self.viewer is None or image not in self.viewer.layers or not self._masks.show(Mask(image, layer)):
            return GONE
        self._state.notice = f"'{name}' is the mask of '{image.name}' now, and can be corrected."
        return ""


def _check_one_mask(path: Path, image: Path | None) -> None:
    """Refuse the image itself, whose intensities would be taken for labels, and OME-Zarr images with several labels.

    Raises:
        ImageError: it is one of these, or nothing that can be opened.
    """
    from napari_medseg.models.formats.ome_zarr_metadata import images

    labels: list[str] = []
    if content_kind(path) == "ome-zarr":
        labels = [what.removeprefix("labels ") for _, what in images(path) if what.startswith("labels ")]
    if len(labels) > 1:
        raise ImageError(SEVERAL.format(path.name, ", ".join(labels)))
    if not labels and image is not None and image.exists() and path.samefile(image):
        raise ImageError(ITSELF.format(path.name))
