"""A thin frame around a region, for a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Shapes

from ..image_layers import METADATA_KEY, mask_layer_settings, pixel_side
from ..on_top import draw_over

COLOUR = "#ffd34d"

LINE = 2.0
"""Width in pixels of the screen."""

GAP = 2.0
"""Pixels of the layer between the region and its frame, so that it hides nothing."""


class Frame:
    """A layer of the panel's own with one rectangle, there only while it is shown.

    Args:
        viewer: napari's.
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self._layer: Shapes | None = None

    @property
    def shown(self) -> bool:
        """Whether it can be seen now."""
        return self._layer is not None and self._layer in self.viewer.layers and bool(self._layer.visible)

    def show(self, layer: Any, box: tuple[slice, ...], centre: tuple[int, ...]) -> None:
        """Draw it around a box of a layer, on the slice of its centre."""
        self.hide()
        (top, bottom), (left, right) = ((side.start - 0.5 - GAP, side.stop - 0.5 + GAP) for side in box[-2:])
        corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
        pixel = float(self.viewer.camera.zoom * pixel_side(layer))
        self._layer = Shapes(
            [np.array([(*centre[:-2], *corner) for corner in corners])],
            shape_type="polygon",
            edge_width=LINE / max(pixel, 1e-6),
            edge_color=COLOUR,
            face_color="transparent",
            name="doubtful place",
            ndim=layer.ndim,
            **mask_layer_settings(layer) | {"metadata": {METADATA_KEY: {"overlay": True}}},
        )
        self._layer.editable = False
        draw_over(self.viewer, self._layer)

    def blink(self) -> None:
        """Visible if it was not, and the other way round."""
        if self._layer is not None and self._layer in self.viewer.layers:
            self._layer.visible = not self._layer.visible

    def hide(self) -> None:
        """Take it away."""
        layer, self._layer = self._layer, None
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)
