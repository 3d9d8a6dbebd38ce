"""Clicks on the canvas for a tool that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from napari.layers import Labels, Layer

from ..image_layers import is_image, noted_of

DRAG = 4.0
"""Pixels of the screen that the mouse may move between press and release of a click."""


class Clicks:
    """Hears of clicks with the left button while it is armed.

    The layer's own mouse mode is put to pan and zoom meanwhile, so that a click does not paint, and is put back
    afterwards. A drag still moves the picture.

    Args:
        viewer: whose canvas.
        clicked: called with the position in the layer, in pixels, one number an axis.
        stopped: called when the user takes another of the layer's modes instead.
        left: called with a layer that has nothing to do with images and masks, when that is selected instead.
    """

    def __init__(
        self,
        viewer: Any,
        clicked: Callable[[tuple[float, ...]], None],
        stopped: Callable[[], None],
        left: Callable[[Layer], None],
    ) -> None:
        self._viewer, self._clicked, self._stopped, self._left = viewer, clicked, stopped, left
        self._layer: Labels | None = None
        self._mode = "pan_zoom"

    @property
    def layer(self) -> Labels | None:
        """The layer that clicks are meant for; None while not armed."""
        return self._layer

    def arm(self, layer: Labels) -> None:
        """Listen from now on."""
        self.disarm()
        self._viewer.layers.selection.active = layer
        self._mode = str(layer.mode)
        layer.mode = "pan_zoom"
        layer.cursor = "crosshair"
        layer.events.mode.connect(self._mode_chosen)
        self._viewer.layers.selection.events.active.connect(self._selected)
        self._viewer.mouse_drag_callbacks.append(self._pressed)
        self._layer = layer

    def disarm(self, *, keep_mode: bool = False) -> None:
        """Listen no more, and give the layer its mode back, unless somebody else needs it to pan and zoom."""
        layer, self._layer = self._layer, None
        if layer is None:
            return
        layer.events.mode.disconnect(self._mode_chosen)
        self._viewer.layers.selection.events.active.disconnect(self._selected)
        self._viewer.mouse_drag_callbacks.remove(self._pressed)
        if str(layer.mode) == "pan_zoom":
            layer.cursor = "standard"
            if layer in self._viewer.layers and not keep_mode:
                layer.mode = self._mode

    def _mode_chosen(self) -> None:
        self._mode = "pan_zoom"
        self._stopped()

    def _selected(self, event: Any) -> None:
        """An image or another mask may be selected to be looked at; anything else wants the clicks for itself."""
        other = event.value
        if self._layer in self._viewer.layers and not (
            other is None or other is self._layer or is_image(other) or noted_of(other).get("overlay")
        ):
            self._left(other)

    def _pressed(self, _viewer: Any, event: Any) -> Iterator[None]:
        layer, start, position = self._layer, tuple(event.pos), tuple(event.position)
        if event.button != 1 or layer is None:
            return
        yield
        while event.type == "mouse_move":
            yield
        moved = max(abs(a - b) for a, b in zip(event.pos, start, strict=True))
        if self._layer is layer is not None and moved <= DRAG:
            self._clicked(tuple(float(at) for at in layer.world_to_data(position)))
