"""Which mask belongs to which image, whatever is renamed, reordered, deleted or drawn in the window meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels
from psygnal import Signal

from .effort import EffortClock
from .image_layers import METADATA_KEY, channel_siblings, mask_layer_settings
from .state import PanelState


@dataclass(eq=False)
class Mask:
    """A mask in work.

    Attributes:
        layer: where the user sees and corrects it.
        predicted: what the model had proposed; None if the user drew it alone.
        model: which model that was.
        clock: seconds and edits since it was proposed or last accepted.
        accepted: whether it is in the ledger as it is.
    """

    layer: Labels
    predicted: npt.NDArray[Any] | None = None
    model: str | None = None
    clock: EffortClock = field(default_factory=EffortClock)
    accepted: bool = False

    @property
    def unsaved(self) -> bool:
        """Whether the user has put work into it that is not in the ledger."""
        return self.clock.edits > 0 and not self.accepted


class Masks:
    """Follows the viewer's layers: the chosen image, the mask that belongs to it, and the strokes on it.

    Layers are held as objects. A mask is never overwritten: napari's own undo history would write old pixels into
    the new mask, and a user's strokes would be gone; a new proposal gets a new layer instead.
    """

    layers_changed = Signal()
    """Images came, went, moved or were renamed."""

    def __init__(self, viewer: Any, state: PanelState) -> None:
        self._viewer, self._state = viewer, state
        self._of: dict[Image, Mask] = {}
        for event, call in self._followed_events():
            event.connect(call)
        state.events.image.connect(self._show)
        for layer in viewer.layers:
            layer.events.name.connect(self._renamed)
            self._adopt(layer)
        if state.image is None:
            state.image = next((layer for layer in reversed(viewer.layers) if is_image(layer)), None)

    def let_go(self) -> None:
        """Follow the viewer no more."""
        for event, call in self._followed_events():
            event.disconnect(call)
        self._of.clear()
        self._viewer = None

    def images(self) -> list[Image]:
        """The layers that can be segmented, as the layer list has them, the top one first."""
        layers = [layer for layer in reversed(self._viewer.layers) if is_image(layer)]
        return [layer for layer in layers if layer is first_channel(layer, self._viewer.layers)]

    def current(self) -> Mask | None:
        """The mask of the chosen image."""
        return self._of.get(self._state.image)

    def unsaved(self) -> list[Mask]:
        """All masks with work in them that is not in the ledger."""
        return [mask for mask in self._of.values() if mask.unsaved]

    def propose(self, image: Image, labels: npt.NDArray[Any], model: str) -> bool:
        """Show what a model answered for an image; False if the image is gone or has changed its shape.

        An untouched earlier proposal gives way; one that the user worked on stays, hidden, beneath the new one.
        """
        if image not in self._viewer.layers or labels.shape != _mask_shape(image):
            return False
        earlier = self._of.pop(image, None)
        if earlier is not None and earlier.layer in self._viewer.layers:
            if earlier.unsaved or earlier.predicted is None:
                earlier.layer.visible = False
            else:
                self._viewer.layers.remove(earlier.layer)
        if self._state.answer == "instances" and labels.dtype == np.uint8:
            labels = labels.astype(np.uint16)  # a brush may add object 256
        layer = Labels(labels, name=f"{image.name} mask", **mask_layer_settings(image))
        self._of[image] = self._followed(Mask(layer, labels.copy(), model))
        self._viewer.layers.insert(self._viewer.layers.index(image) + 1, layer)
        self._viewer.layers.selection.active = layer
        self._show()
        return True

    def saved(self, mask: Mask, edits: int) -> None:
        """A mask is in the ledger as it was after `edits` edits; strokes since then still count as unsaved."""
        mask.accepted = mask.clock.edits == edits
        later = mask.clock.edits - edits
        mask.clock.restart()
        mask.clock.edits = later
        self._show()

    def forget_accepted(self) -> None:
        """Another project: nothing is in its ledger yet."""
        for mask in self._of.values():
            mask.accepted = False
        self._show()

    def put_back(self) -> None:
        """Have a mask that was deleted with unsaved work in the layer list again."""
        layer, self._state.deleted_mask = self._state.deleted_mask, None
        if layer is not None and layer not in self._viewer.layers:
            self._viewer.add_layer(layer)
            self._show()

    def _followed_events(self) -> list[tuple[Any, Callable[..., None]]]:
        viewer = self._viewer
        return [
            (viewer.layers.events.inserted, self._inserted),
            (viewer.layers.events.removed, self._removed),
            (viewer.layers.events.reordered, self._renamed),
            (viewer.dims.events.current_step, self._looked),
            (viewer.cursor.events.position, self._looked),
        ]

    def _renamed(self) -> None:
        self.layers_changed.emit()

    def _inserted(self, event: Any) -> None:
        layer = event.value
        layer.events.name.connect(self._renamed)
        self.layers_changed.emit()
        if is_image(layer) and layer is first_channel(layer, self._viewer.layers):
            self._state.image = layer
        self._adopt(layer)

    def _adopt(self, layer: Any) -> None:
        """A Labels layer that the user made over an image without a mask is the mask of that image."""
        image = self._state.image
        known = any(mask.layer is layer for mask in self._of.values())
        free = image is not None and image not in self._of and not known
        if free and isinstance(layer, Labels) and not layer.multiscale and layer.data.shape == _mask_shape(image):
            self._of[image] = self._followed(Mask(layer))
            self._show()

    def _removed(self, event: Any) -> None:
        layer = event.value
        self.layers_changed.emit()
        for image, mask in list(self._of.items()):
            if mask.layer is layer:
                if mask.unsaved:
                    self._state.deleted_mask = layer
                else:
                    del self._of[image]
        if layer in self._of and not self._of[layer].unsaved:
            del self._of[layer]
        if layer is self._state.image:
            self._state.image = next(iter(self.images()), None)
        else:
            self._show()

    def _followed(self, mask: Mask) -> Mask:
        def painted() -> None:
            mask.clock.touch(edit=True)
            mask.accepted = False
            if mask is self.current():
                self._show()

        mask.layer.events.paint.connect(lambda event: painted())
        return mask

    def _looked(self) -> None:
        mask = self.current()
        if mask is not None:
            mask.clock.touch()

    def _show(self) -> None:
        mask = self.current()
        shown = mask is not None and mask.layer in self._viewer.layers
        self._state.mask = mask.layer if mask and shown else None
        self._state.edits = mask.clock.edits if mask else 0
        self._state.accepted = bool(mask and mask.accepted)


def is_image(layer: Any) -> bool:
    """Whether a layer is an image of the user's, and not one of our overlays."""
    return isinstance(layer, Image) and not (layer.metadata.get(METADATA_KEY) or {}).get("overlay")


def first_channel(layer: Image, layers: Any) -> Image:
    """The layer that stands for all channels of an image."""
    channels = [layer, *channel_siblings(layer, (other for other in layers if isinstance(other, Image)))]
    return min(channels, key=lambda one: int((one.metadata.get(METADATA_KEY) or {}).get("channel", 0)))


def _mask_shape(image: Image) -> tuple[int, ...]:
    shape = image.data[0].shape if image.multiscale else image.data.shape
    return tuple(int(side) for side in (shape[:-1] if image.rgb else shape))
