"""A mask that was made before, by whatever program, brought onto its image to be corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels

from ..background import Background
from ..image_layers import mask_layer_settings
from ..large.large_masks import LargeMasks
from ..masks import Mask, Masks
from ..state import PanelState
from .large_mask_file import LargeMaskFile
from .one_mask import OfImage

NO_IMAGE = "Open the image first; then open its mask."
GONE = "The image was closed while its mask was read; the mask is not shown."


class MaskFile:
    """Opens one file, or OME-Zarr folder, at a time, for the image that is chosen.

    Args:
        viewer: whose layers hold the image.
        state: what the panel shows; `opening` says what is read.
        masks: where the mask goes.
        large: where that of a large image goes.
        background: where it is read.
    """

    def __init__(self, viewer: Any, state: PanelState, masks: Masks, large: LargeMasks, background: Background) -> None:
        self.viewer, self._state, self._masks, self._background = viewer, state, masks, background
        self._large = LargeMaskFile(viewer, state, large, background)

    def close(self) -> None:
        """Show nothing any more; half of a copy is removed."""
        self._large.close()
        self.viewer = None

    def cancel(self) -> None:
        """Stop opening the mask of a large image; what is shown stays."""
        self._large.cancel()

    def open(self, path: Path) -> None:
        """Show the mask in a file or a folder on the chosen image, if it lies on it; one that was drawn is hidden."""
        image, state = self._state.image, self._state
        state.problem = state.notice = ""
        if image is None:
            state.problem = NO_IMAGE
            return
        if state.large:
            self._large.open(path)
            return
        state.opening = f"Opening '{path.name}' ..."
        of = OfImage.of(image)

        def read() -> npt.NDArray[Any]:
            from napari_medseg.models.reading import mask_on

            return of.read(path, mask_on)

        def ended(problem: str) -> None:
            state.opening, state.problem = "", problem

        self._background.run(read, lambda labels: ended(self._show(image, labels, path.name)), ended)

    def _show(self, image: Image, labels: npt.NDArray[Any], name: str) -> str:
        """Show the mask; what is wrong, or ""."""
        if self._state.own_labels and labels.dtype == np.uint8:
            labels = labels.astype(np.uint16)  # a brush may add object 256
        layer = Labels(labels, name=f"{image.name} mask", **mask_layer_settings(image))
        self._state.notice = ""
        if self.viewer is None or image not in self.viewer.layers or not self._masks.show(Mask(image, layer)):
            return GONE
        said = f"'{name}' is the mask of '{image.name}' now, and can be corrected. {self._state.notice}"
        self._state.notice = said.strip()
        return ""
