"""How unsure whoever made a mask was, pixel by pixel, and its overlay over the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from psygnal import Signal

from napari_medseg.models.prompts.proposal import Proposal

from ..background import Background
from ..image_layers import METADATA_KEY, mask_layer_settings, mask_shape
from ..masks import Mask
from ..on_top import draw_over
from ..state import PanelState

SURE = 255
"""Confidence of who has no doubt."""

Array = npt.NDArray[Any]


@dataclass(eq=False)
class Doubt:
    """What is known of one image.

    Attributes:
        pixels: uint8 in the shape of a mask: 0 where the network is sure, 127 where it knows nothing.
        predicted: the mask that a network made of the whole image, to be left as it is; None if none did.
        answered: regions whose doubt was told later, with the labels that it was told for.
    """

    pixels: npt.NDArray[np.uint8]
    predicted: Array | None = None
    answered: list[tuple[tuple[slice, ...], Array]] = field(default_factory=list)

    def told_for(self) -> Array | None:
        """The mask that the doubt is about; None if it is about no whole mask. A copy if need be: takes time."""
        if self.predicted is None or not self.answered:
            return self.predicted
        mask = self.predicted.astype(np.result_type(self.predicted, *(labels for _, labels in self.answered)))
        for region, labels in tuple(self.answered):
            mask[region] = labels
        return mask


class Doubts:
    """The doubt of each image, as long as its layer is there; the overlay of the chosen one while it is wanted.

    Args:
        viewer: whose layers the images are.
        state: what the panel shows.
        background: for what has to be done a little later.
    """

    changed = Signal(object, bool)
    """The doubt about this image is another one; and whether all of it is, or that of a few pixels."""

    def __init__(self, viewer: Any, state: PanelState, background: Background) -> None:
        self.viewer, self._state = viewer, state
        self._known: dict[Image, Doubt] = {}
        self._overlays: dict[Image, Image] = {}
        # Later, not at once: the image may have changed because a layer is just being removed.
        state.events.show_doubt.connect(lambda: background.post(self._show))
        state.events.image.connect(lambda: background.post(self._show))

    def of(self, image: Image | None) -> Doubt | None:
        """What is known of an image; None if nothing is of one of its present size."""
        known = self._known.get(image) if image is not None else None
        return known if known is not None and known.pixels.shape == mask_shape(image) else None

    def put(self, image: Image, doubt: npt.NDArray[np.uint8], predicted: Array) -> None:
        """A network answered for the whole image.

        Args:
            image: the layer.
            doubt: 255 minus the confidence, in the shape of the mask; it is kept, and changed by later answers.
            predicted: the mask.
        """
        self._take_away(image)
        self._known[image] = Doubt(doubt, predicted)
        self._show()
        self.changed.emit(image, True)

    def answered(
        self, image: Image, region: tuple[slice, ...], confidence: npt.NDArray[np.uint8], labels: Array
    ) -> None:
        """A network answered for a part of the image only: to a prompt, say.

        Args:
            image: the layer.
            region: of the mask: a slice for each axis.
            confidence: 255 times the probability of the winning side, in the shape of the region.
            labels: what the mask is there now, in the same shape.
        """
        if not confidence.size:
            return
        if self.of(image) is None:
            self._take_away(image)
            self._known[image] = Doubt(np.zeros(mask_shape(image), np.uint8))
        known = self._known[image]
        known.pixels[region] = SURE - confidence
        known.answered.append((region, np.array(labels)))
        if image in self._overlays:
            self._overlays[image].refresh(extent=False)
        else:
            self._show()
        self.changed.emit(image, False)

    def proposed(self, mask: Mask, plane: tuple[int, ...], proposal: Proposal) -> None:
        """An object was proposed on one plane of the image, and is drawn into the mask already."""
        region = (*(slice(at, at + 1) for at in plane), *proposal.box)
        confidence = proposal.confidence.reshape((1,) * len(plane) + proposal.confidence.shape)
        self.answered(mask.image, region, confidence, mask.layer.data[region])

    def _show(self) -> None:
        """The overlay of the chosen image is in the layer list only while it is wanted."""
        if self.viewer is None:
            return
        image, layers = self._state.image, self.viewer.layers
        wanted = self._state.show_doubt and self.of(image) is not None and image in layers
        for other in list(self._overlays):
            if other is not image or not wanted:
                self._take_away(other)
        if wanted and image not in self._overlays:
            overlay = self._overlays[image] = _overlay(image, self._known[image].pixels)
            draw_over(self.viewer, overlay, image)
        for other in [known for known in self._known if known not in layers]:
            del self._known[other]

    def _take_away(self, image: Image) -> None:
        overlay = self._overlays.pop(image, None)
        if overlay is not None and overlay in self.viewer.layers:
            self.viewer.layers.remove(overlay)


def _overlay(image: Image, doubt: npt.NDArray[np.uint8]) -> Image:
    return Image(
        doubt,
        name=f"{image.name} doubt",
        colormap="inferno",
        contrast_limits=(0, 127),
        blending="additive",
        metadata={METADATA_KEY: {"overlay": True}},
        **mask_layer_settings(image),
    )
