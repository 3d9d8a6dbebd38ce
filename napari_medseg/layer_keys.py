"""Keys that napari gives to the points or shapes that are being worked on: there the panel's rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari.layers import Image, Labels
from qtpy.QtWidgets import QShortcut

from .image_layers import noted_of


class LayerKeys:
    """While a layer is selected that is neither an image nor a mask, what napari binds to it goes before the panel.

    Args:
        viewer: whose layers are selected.
        shortcuts: of the panel, by key.
    """

    def __init__(self, viewer: Any, shortcuts: Mapping[str, QShortcut]) -> None:
        self._selection, self._shortcuts = viewer.layers.selection, shortcuts
        self._selection.events.active.connect(self._selected)
        self._selected()

    def let_go(self) -> None:
        """Look no more."""
        self._selection.events.active.disconnect(self._selected)

    def _selected(self, event: Any = None) -> None:
        taken = _keys_of(self._selection.active)
        for key, shortcut in self._shortcuts.items():
            shortcut.setEnabled(key not in taken)


def _keys_of(layer: Any) -> set[str]:
    if layer is None or isinstance(layer, Image | Labels) or noted_of(layer).get("overlay"):
        return set()
    return {str(key) for key in layer.class_keymap}
