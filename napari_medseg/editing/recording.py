"""Hears of everything that is done to a mask's layer, and keeps napari's own history out of the way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from napari.layers import Labels

from .change import Change
from .strokes import stroke_changes

_NAMES = {"paint": "Brush stroke", "erase": "Eraser", "fill": "Fill", "polygon": "Polygon"}


class Recording:
    """Follows one layer.

    Napari's own stacks are emptied as they fill: an entry that outlives its array would be written into a newer one.

    Args:
        layer: the mask's.
        painted: called with the changes and the name of each stroke, after it.
        replaced: called after `layer.data` was given other pixels.
        undo: what the layer's `undo` shall do instead of napari's own; napari's keys call that.
        redo: likewise.
    """

    def __init__(
        self,
        layer: Labels,
        painted: Callable[[list[Change], str], None],
        replaced: Callable[[], None],
        undo: Callable[[], object],
        redo: Callable[[], object],
    ) -> None:
        self._layer, self._painted, self._replaced = layer, painted, replaced
        self._empty_stacks()
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)
        layer.undo, layer.redo = undo, redo

    def let_go(self) -> None:
        """Leave the layer to napari, with nothing to undo."""
        self._layer.events.paint.disconnect(self._on_paint)
        self._layer.events.data.disconnect(self._on_data)
        for name in ("undo", "redo"):
            with contextlib.suppress(AttributeError):
                delattr(self._layer, name)
        self._empty_stacks()

    def flush(self) -> None:
        """Note what is painted already of a stroke whose mouse button is still down.

        Something else is about to write; afterwards it could no longer be told which came first.
        """
        staged = getattr(self._layer, "_staged_history", None)
        if staged:
            self._layer._staged_history = []
            self._note(staged)

    def _on_paint(self, event: Any) -> None:
        self._note(event.value)

    def _on_data(self) -> None:
        staged = getattr(self._layer, "_staged_history", None)
        if staged:  # of a stroke in the pixels that are gone
            self._layer._staged_history = []
        self._empty_stacks()
        self._replaced()

    def _note(self, atoms: Any) -> None:
        self._empty_stacks()
        if changes := stroke_changes(atoms):
            for change in changes:  # napari tells of a polygon before it draws it
                change.write(self._layer.data, back=False)
            self._painted(changes, _NAMES.get(str(self._layer.mode), "Change"))

    def _empty_stacks(self) -> None:
        for name in ("_undo_history", "_redo_history"):
            stack = getattr(self._layer, name, None)
            if stack is not None:
                stack.clear()
