"""An empty layer that is there before the first answer, so that the answer does not wait for napari to add it."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from ..image_layers import lies_over, mask_layer_settings, mask_shape
from ..masks import Masks
from ..state import PanelState

WAITING = "new mask"
"""What the layer is called as long as nothing is in it."""


class MaskAhead:
    """While a tool is up over an image that has no mask, a layer waits for the first answer.

    To add a layer takes napari 100 to 250 ms, several times what the predictor takes for a click. The layer is no mask
    until an answer or the user draws on it: nothing of it is kept, accepted or exported, and it goes if nobody did.

    Args:
        viewer: napari's, or its model without a window.
        state: what the panel shows.
        masks: in work.
    """

    drawn_on = Signal()
    """The user took a brush to it, and it is the mask of its image now."""

    def __init__(self, viewer: Any, state: PanelState, masks: Masks) -> None:
        self._viewer, self._state, self._masks = viewer, state, masks
        self._image: Any = None
        self._layer: Labels | None = None

    def wait_for(self, image: Any) -> None:
        """Have a layer wait over an image, and none over another; None for none at all."""
        if self._layer is not None and (image is not self._image or self._layer not in self._viewer.layers):
            self._drop()
        if image is not None and self._layer is None:
            layer = empty_mask(image, self._state, WAITING)
            for event in _by_hand(layer):
                event.connect(self._drawn)
            self._image, self._layer = image, layer
            self._masks.insert_ahead(image, layer)

    def take(self, image: Any) -> Labels | None:
        """The layer that waits over an image, as its mask from now on; None if there is none that fits it."""
        layer = self._layer
        if layer is None or image is not self._image or layer not in self._viewer.layers:
            return None
        if layer.data.dtype != _dtype(self._state) or not lies_over(layer, image):
            self._drop()
            return None
        self._begin(layer)
        return layer

    def owns(self, layer: Any) -> bool:
        """Whether this is the layer that waits."""
        return layer is not None and layer is self._layer

    def _begin(self, layer: Labels) -> None:
        image = self._image
        self._let_go()
        layer.name = f"{image.name} mask"
        layer.selected_label = self._state.label
        self._masks.begin(image, layer)

    def _drawn(self, event: Any) -> None:
        layer = event.source
        if layer in self._viewer.layers:
            self._begin(layer)
            self.drawn_on.emit()
        else:
            self._let_go()

    def _drop(self) -> None:
        """Take the layer away, unless somebody wrote into its array, of which nobody is told."""
        layer = self._layer
        if layer is None or layer not in self._viewer.layers:
            self._let_go()
        elif layer.data.any():
            self._begin(layer)
        else:
            self._let_go()
            self._viewer.layers.remove(layer)

    def _let_go(self) -> None:
        if self._layer is not None:
            for event in _by_hand(self._layer):
                event.disconnect(self._drawn)
        self._image = self._layer = None


def empty_mask(image: Any, state: PanelState, name: str) -> Labels:
    """An empty layer over an image, whose pixels hold the labels that the panel is about to give."""
    layer = Labels(np.zeros(mask_shape(image), _dtype(state)), name=name, **mask_layer_settings(image))
    layer.selected_label = state.label
    return layer


def _dtype(state: PanelState) -> np.dtype[Any]:
    return np.dtype(np.uint16 if state.own_labels or state.label > 255 else np.uint8)


def _by_hand(layer: Labels) -> list[Any]:
    """What napari tells when the user draws, or is about to."""
    return [layer.events.mode, layer.events.paint, layer.events.data]
