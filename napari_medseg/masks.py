"""Which mask belongs to which image, whatever is renamed, reordered, deleted or drawn in the window meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
from napari.layers import Image, Labels
from psygnal import Signal

from .effort import EffortClock
from .image_layers import first_channel, is_image, lies_over, mask_layer_settings, mask_shape
from .on_top import bring_to_top, reveal
from .state import PanelState

_SECOND = (
    "'{0}' is not taken as a mask, since '{1}' has one, '{2}': draw there. What is drawn on '{0}' would be lost in a "
    "crash, and Accept does not take it."
)
_ELSEWHERE = (
    "'{0}' ({2}) does not lie on '{1}' ({3}) pixel on pixel, so it is not taken as its mask. What is drawn on it would "
    "be lost in a crash, and Accept does not take it."
)


_HIDDEN = "'{0}' is kept: it is hidden in the layer list, and is the mask of '{1}' again if '{2}' is deleted."
_AGAIN = "'{0}' is the mask of '{1}' again."


@dataclass(eq=False)
class Mask:
    """A mask in work.

    Attributes:
        image: the layer that it is a mask of.
        layer: where the user sees and corrects it.
        predicted: what the model had proposed; None if the user drew it alone.
        model: which model that was.
        clock: seconds and edits since it was proposed or last accepted.
        changes: how often its pixels were changed by the user: strokes, undo, redo, replaced data.
        unsaved: whether there are changes that are not in the ledger.
        accepted: whether it is in the ledger as it is.
    """

    image: Image
    layer: Labels
    predicted: npt.NDArray[Any] | None = None
    model: str | None = None
    clock: EffortClock = field(default_factory=EffortClock)
    changes: int = 0
    unsaved: bool = False
    accepted: bool = False


class Masks:
    """Follows the viewer's layers: the chosen image, the masks that belong to it, and the strokes on them.

    Layers are held as objects. A mask is never overwritten: napari's own undo history would write old pixels into
    the new mask, and a user's strokes would be gone; a new proposal gets a new layer instead.
    """

    layers_changed = Signal()
    """Images came, went, moved or were renamed."""

    begun = Signal(Mask)
    """This mask is in work from now on."""

    leaving = Signal(Mask)
    """This mask's layer was deleted at this moment, perhaps in the middle of a stroke."""

    gone = Signal(Mask)
    """This mask's layer was deleted, and nothing in it has to be kept."""

    turned_to = Signal(object)
    """This layer is the one that the mouse works on from now on; None for no layer."""

    in_ledger = Signal(Mask)
    """This mask was accepted and is in the ledger, perhaps without its latest changes."""

    def __init__(self, viewer: Any, state: PanelState) -> None:
        self._viewer, self._state = viewer, state
        self._all: list[Mask] = []
        self._current: dict[Image, Mask] = {}
        self._deleted: list[Mask] = []  # with unsaved work, the last one last
        self._ahead: Labels | None = None  # that is being added, and is no mask yet
        for event, call in self._followed_events():
            event.connect(call)
        state.events.image.connect(self._show)
        for layer in viewer.layers:
            layer.events.name.connect(self._listed)
        if state.image is None:
            state.image = next(iter(self.images()), None)
        for layer in viewer.layers:
            self._adopt(layer)

    def let_go(self) -> None:
        """Follow the viewer no more."""
        for event, call in self._followed_events():
            event.disconnect(call)
        for layer in self._viewer.layers:
            layer.events.name.disconnect(self._listed)
        self._all, self._deleted, self._current = [], [], {}
        self._viewer = None

    def images(self) -> list[Image]:
        """The layers that can be segmented, as the layer list has them, the top one first."""
        layers = [layer for layer in reversed(self._viewer.layers) if is_image(layer)]
        return [layer for layer in layers if layer is first_channel(layer, self._viewer.layers)]

    def current(self) -> Mask | None:
        """The mask of the chosen image that was last proposed, painted or selected."""
        return self._current.get(self._state.image)

    def of(self, image: Any) -> Mask | None:
        """The mask of an image, as `current` is that of the chosen one."""
        return self._current.get(image)

    def all(self) -> list[Mask]:
        """All masks in work, deleted ones that can be put back too."""
        return [*self._all, *self._deleted]

    def holds(self, mask: Mask) -> bool:
        """Whether the mask is in work and its layer is not deleted."""
        return mask in self._all

    def touched(self, mask: Mask, *, edit: bool = True, by_hand: bool = True) -> None:
        """The pixels of a mask were changed.

        Args:
            mask: whose.
            edit: by a step of its own, as the effort is counted.
            by_hand: on the canvas, at this moment: the user means this mask. Not so if it was something that ran.
        """
        if self._viewer is None:
            return
        mask.clock.touch(edit=edit)
        mask.changes += 1
        mask.unsaved, mask.accepted = True, False
        if by_hand and self.holds(mask):
            self._choose(mask)
        else:
            self._show()

    def unsaved(self) -> list[Mask]:
        """All masks with work in them that is not in the ledger, deleted ones too."""
        return [mask for mask in self.all() if mask.unsaved]

    def propose(self, image: Image, labels: npt.NDArray[Any], predicted: npt.NDArray[Any], model: str) -> bool:
        """Show what a model answered for an image; False if the image is gone or has changed its shape.

        An untouched earlier proposal gives way; one that the user worked on stays, hidden, beneath the new one.

        Args:
            image: the layer that was segmented.
            labels: the mask, for the layer; a copy that may be painted on.
            predicted: the same mask, to be kept as it is.
            model: its name.
        """
        layer = Labels(labels, name=f"{image.name} mask", **mask_layer_settings(image))
        return self.show(Mask(image, layer, predicted, model))

    def show(self, mask: Mask) -> bool:
        """Show a mask over its image, see `propose`; False if the image is gone or has another shape."""
        image, layer = mask.image, mask.layer
        if image not in self._viewer.layers or layer.data.shape != mask_shape(image):
            return False
        earlier = self._current.get(image)
        self._begin(mask)
        self._viewer.layers.insert(self._viewer.layers.index(image) + 1, layer)
        if earlier is not None and earlier.layer in self._viewer.layers:
            locked = getattr(earlier.layer, "locked", False)  # napari 0.9: the user wants it not to be deleted
            if earlier.unsaved or earlier.predicted is None or locked:
                earlier.layer.visible = False
                self._state.notice = _HIDDEN.format(earlier.layer.name, image.name, layer.name)
            else:
                self._viewer.layers.remove(earlier.layer)
        self._viewer.layers.selection.active = layer
        return True

    def insert_ahead(self, image: Image, layer: Labels) -> None:
        """Add a layer over an image that is no mask of it until `begin`."""
        self._ahead = layer
        try:
            self._viewer.layers.insert(self._viewer.layers.index(image) + 1, layer)
        finally:
            self._ahead = None

    def begin(self, image: Image, layer: Labels) -> None:
        """Have a layer that is shown over an image be its mask."""
        self._begin(Mask(image, layer))

    def saved(self, mask: Mask, changes: int) -> None:
        """A mask is in the ledger as it was after `changes` changes; later ones are still unsaved."""
        later = mask.changes - changes
        mask.accepted, mask.unsaved = later == 0, later > 0
        mask.clock.restart()
        mask.clock.edits = later
        self.in_ledger.emit(mask)
        self._show()

    def forget_accepted(self) -> None:
        """Another project: nothing is in its ledger yet, and its models made none of these masks."""
        for mask in self._all:
            mask.accepted, mask.model = False, None
        self._show()

    def put_back(self) -> None:
        """Have the mask that was last deleted with unsaved work in the layer list again, as the mask of its image."""
        if self._deleted:
            layer = self._deleted[-1].layer
            self._viewer.layers.append(layer)
            self._viewer.layers.selection.active = layer

    def pick(self, image: Image) -> None:
        """Have an image as the chosen one, as the user wants to work on it: seen, and selected with its mask."""
        if image in self._viewer.layers:
            self._state.image = image
            mask = self.current()
            bring_to_top(self._viewer, image, {one.layer: one.image for one in self._all})
            self._viewer.layers.selection.active = image if mask is None else mask.layer

    def rejoin(self, mask: Mask, image: Image) -> None:
        """A mask whose image was closed is the mask of this layer, which shows the same."""
        if self._current.get(mask.image) is mask:
            del self._current[mask.image]
            self._current[image] = mask
        self._current.setdefault(image, mask)
        mask.image = image
        reveal(self._viewer, image, mask.layer)
        self._state.notice = f"'{mask.layer.name}' is the mask of '{image.name}', which was opened again."
        self._show()

    def _followed_events(self) -> list[tuple[Any, Callable[..., None]]]:
        viewer = self._viewer
        return [
            (viewer.layers.events.inserted, self._inserted),
            (viewer.layers.events.removed, self._removed),
            (viewer.layers.events.reordered, self._listed),
            (viewer.layers.selection.events.active, self._selected),
            (viewer.dims.events.current_step, self._looked),
            (viewer.cursor.events.position, self._looked),
        ]

    def _listed(self) -> None:
        self.layers_changed.emit()

    def _inserted(self, event: Any) -> None:
        layer = event.value
        layer.events.name.connect(self._listed)
        self.layers_changed.emit()
        if is_image(layer) and layer is first_channel(layer, self._viewer.layers):
            self._state.image = layer
        self._adopt(layer)

    def _adopt(self, layer: Any) -> None:
        """A Labels layer that the user made over an image without a mask is the mask of that image.

        So is one again that was deleted with unsaved work, whoever put it back.
        """
        deleted = next((mask for mask in self._deleted if mask.layer is layer), None)
        if deleted is not None:
            self._deleted.remove(deleted)
            self._all.append(deleted)
            self._current[deleted.image] = deleted
            self._show()
            return
        image = self._state.image
        known = layer is self._ahead or self._mask_of(layer)
        if image is None or not isinstance(layer, Labels) or layer.multiscale or known:
            return
        if (mask := self._current.get(image)) is not None:
            self._state.notice = _SECOND.format(layer.name, image.name, mask.layer.name)
        elif lies_over(layer, image):
            self._begin(Mask(image, layer))
            self._state.notice = f"'{layer.name}' is taken as the mask of '{image.name}'."
        else:
            self._state.notice = _ELSEWHERE.format(layer.name, image.name, *map(_size, (layer, image)))

    def _removed(self, event: Any) -> None:
        layer = event.value
        layer.events.name.disconnect(self._listed)
        self.layers_changed.emit()
        if mask := self._mask_of(layer):
            self.leaving.emit(mask)
            self._all.remove(mask)
            if self._current.get(mask.image) is mask:
                del self._current[mask.image]
                self._go_back(mask.image)
            if mask.unsaved:
                self._deleted.append(mask)
            else:
                self.gone.emit(mask)
        if layer is self._state.image:
            self._state.image = next(iter(self.images()), None)
        self._show()

    def _go_back(self, image: Image) -> None:
        """The mask of an image was deleted: an earlier one that is still there is its mask again."""
        earlier = [one for one in self._all if one.image is image and one.layer in self._viewer.layers]
        if earlier and image in self._viewer.layers:
            self._current[image] = earlier[-1]
            reveal(self._viewer, image, earlier[-1].layer)
            self._state.notice = _AGAIN.format(earlier[-1].layer.name, image.name)

    def _selected(self, event: Any) -> None:
        """Whoever selects a mask, or an image, means that one from now on."""
        layer = event.value
        self.turned_to.emit(layer)
        if mask := self._mask_of(layer):
            self._choose(mask)
        elif layer is not None and is_image(layer):
            self._state.image = first_channel(layer, self._viewer.layers)

    def _choose(self, mask: Mask) -> None:
        self._current[mask.image] = mask
        if mask.image in self._viewer.layers:
            self._state.image = mask.image
        self._show()

    def _mask_of(self, layer: Any) -> Mask | None:
        return next((mask for mask in self._all if mask.layer is layer), None)

    def _begin(self, mask: Mask) -> None:
        self._all.append(mask)
        self._current[mask.image] = mask
        self.begun.emit(mask)
        self._show()

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
        self._state.deleted_mask = self._deleted[-1].layer if self._deleted else None


def _size(layer: Any) -> str:
    return " x ".join(map(str, mask_shape(layer)))
