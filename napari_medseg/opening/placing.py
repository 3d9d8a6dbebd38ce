"""Masks stay over their image when somebody moves it or corrects its spacing, and the user is told what that costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from napari_medseg.models.errors import ImageError

from ..image_layers import geometry_of, lies_over, mask_layer_settings, mask_shape, noted_of
from ..masks import Mask, Masks
from ..state import PanelState
from .chosen import ChosenImage

_TRANSFORMS = ("scale", "translate", "rotate", "shear", "affine", "units")


class Placing:
    """Follows where the chosen image lies.

    Args:
        state: what the panel shows.
        masks: those of the image go along with it.
        moved: called when it lies elsewhere, or has another spacing.
    """

    def __init__(self, state: PanelState, masks: Masks, moved: Callable[[], None]) -> None:
        self._state, self._masks, self._tell = state, masks, moved
        self._placed = False
        self._mask: Any = None  # the layer of the mask that is shown
        self._putting = False  # whether it is us who move a mask
        state.events.mask.connect(self._mask_chosen)
        self._follow(state.mask)
        self._image = ChosenImage(state, _TRANSFORMS, self._moved, self._chosen)

    def close(self) -> None:
        """Follow nothing any more."""
        self._image.close()
        self._state.events.mask.disconnect(self._mask_chosen)
        self._follow(None)

    def _chosen(self, image: Any) -> None:
        self._placed = image is not None and _is_placed(image)

    def _mask_chosen(self, layer: Any) -> None:
        self._follow(layer)
        self._mask_moved()

    def _follow(self, layer: Any) -> None:
        before, self._mask = self._mask, layer
        for name in _TRANSFORMS:
            if before is not None:
                getattr(before.events, name).disconnect(self._mask_moved)
            if layer is not None:
                getattr(layer.events, name).connect(self._mask_moved)

    def _mask_moved(self) -> None:
        """What is accepted are pixels of the image, so a mask must not be seen anywhere else."""
        mask = self._masks.current()
        if self._putting or mask is None or mask.layer is not self._mask or mask.image is not self._state.image:
            return
        if mask_shape(mask.layer) == mask_shape(mask.image) and not lies_over(mask.layer, mask.image):
            self._put_over(mask)
            self._state.notice = (
                f"'{mask.layer.name}' was moved off '{mask.image.name}' and lies over it again: a mask has its image's "
                "place and spacing. To move both, move the image."
            )

    def _put_over(self, mask: Mask) -> None:
        wanted, self._putting = mask_layer_settings(mask.image), True
        try:
            _put(mask.layer, wanted)
        finally:
            self._putting = False

    def _moved(self) -> None:
        image = self._state.image
        for mask in self._masks.all():
            if mask.image is image and mask.layer.ndim == image.ndim:
                self._put_over(mask)
        self._tell()
        was, self._placed = self._placed, _is_placed(image)
        if was and not self._placed:
            spacing = " x ".join(f"{step:.4g}" for step in noted_of(image)["spacing"])
            self._state.notice = (
                f"'{image.name}' has another spacing than its file now, and so will what is exported, but for a "
                f"DICOM SEG: the file's first voxel stays where it is in the patient. The file says {spacing} mm."
            )


def _is_placed(image: Any) -> bool:
    """Whether an image lies in the patient as its file says, with the file's spacing."""
    try:
        geometry = geometry_of(image)
    except ImageError:
        return False
    return geometry is not None and geometry is noted_of(image)["geometry"]


def _put(layer: Any, wanted: dict[str, Any]) -> None:
    for name in _TRANSFORMS:
        now = layer.affine.affine_matrix if name == "affine" else getattr(layer, name)
        same = tuple(now) == tuple(wanted[name]) if name == "units" else np.array_equal(now, wanted[name])
        if not same:
            setattr(layer, name, wanted[name])
