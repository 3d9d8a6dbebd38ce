"""Hears of everything that is done to a mask's layer, and keeps napari's own history out of the way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Labels

from .change import Change
from .strokes import stroke_changes

_NAMES = {"paint": "Brush stroke", "erase": "Eraser", "fill": "Fill", "polygon": "Polygon"}

STROKE = 0.4
"""Seconds after which what is drawn of a stroke is noted, however long the mouse button stays down."""


class Recording:
    """Follows one layer.

    Napari's own stacks are emptied as they fill: an entry that outlives its array would be written into a newer one.

    Args:
        layer: the mask's.
        painted: called with the changes and the name of each stroke, after it; of a long one with those of each part,
            and a token that its parts have in common.
        replaced: called after `layer.data` was given other pixels.
        refreshed: called after somebody had the layer shown anew, as those do who have written into its array.
        undo: what the layer's `undo` shall do instead of napari's own; napari's keys call that.
        redo: likewise.
        later: has a function called after so many seconds.
    """

    def __init__(
        self,
        layer: Labels,
        painted: Callable[[list[Change], str, object], None],
        replaced: Callable[[], None],
        refreshed: Callable[[], None],
        undo: Callable[[], object],
        redo: Callable[[], object],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._layer, self._painted, self._replaced, self._refreshed = layer, painted, replaced, refreshed
        self._later = later
        self._stroke = object()
        self._following = True
        self._noting = False  # whether the part of a stroke that is being drawn will be noted soon
        self._empty_stacks()
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)
        layer.events.labels_update.connect(self._on_drawn)
        layer.undo, layer.redo, layer.refresh = undo, redo, self._refresh

    def let_go(self) -> None:
        """Leave the layer to napari, with nothing to undo."""
        self._layer.events.paint.disconnect(self._on_paint)
        self._layer.events.data.disconnect(self._on_data)
        self._layer.events.labels_update.disconnect(self._on_drawn)
        self._following = False
        for name in ("undo", "redo", "refresh"):
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
            self._stroke = object()

    def end_stroke(self) -> None:
        """Another layer has the mouse now, and napari will not tell this one that the button was released.

        Napari would go on with this stroke when the next one begins on this layer.
        """
        layer = self._layer
        ours = set(getattr(layer, "_drag_modes", {}).values())
        generators = getattr(layer, "_mouse_drag_gen", {})
        for drag in [drag for drag in generators if drag in ours]:
            stroke = generators.pop(drag)
            layer._persisted_mouse_event.pop(stroke, None)
            stroke.close()
            self.flush()

    @property
    def drawing(self) -> bool:
        """Whether there is something for `flush` to note."""
        return bool(getattr(self._layer, "_staged_history", None))

    def _refresh(self, *args: Any, **parts: Any) -> None:
        type(self._layer).refresh(self._layer, *args, **parts)
        if not args and not parts:  # else it is napari, of whose changes we know
            self._refreshed()

    def _on_paint(self, event: Any) -> None:
        self._note(event.value)
        self._stroke = object()

    def _on_data(self) -> None:
        staged = getattr(self._layer, "_staged_history", None)
        if staged:  # of a stroke in the pixels that are gone
            self._layer._staged_history = []
        self._empty_stacks()
        self._replaced()

    def _on_drawn(self) -> None:
        """Part of a stroke is drawn; it may be long until the mouse button is released."""
        if not self._noting and getattr(self._layer, "_staged_history", None):
            self._noting = True
            self._later(STROKE, self._note_part)

    def _note_part(self) -> None:
        self._noting = False
        layer = self._layer
        staged = getattr(layer, "_staged_history", None)
        encircling = getattr(layer, "_overlays", {}).get("brush_stroke")
        given_up_whole = encircling is not None and encircling.active  # napari takes it back on Escape
        if self._following and staged and not given_up_whole:
            # Without an entry napari would not tell of the end of the stroke, and the next one would seem to be this.
            layer._staged_history = [(tuple(np.empty(0, int) for _ in layer.data.shape), np.empty(0, int), 0)]
            self._note(staged)

    def _note(self, atoms: Any) -> None:
        self._empty_stacks()
        if changes := stroke_changes(atoms, self._layer.data.shape):
            for change in changes:  # napari tells of a polygon before it draws it
                change.write(self._layer.data, back=False)
            self._painted(changes, _NAMES.get(str(self._layer.mode), "Change"), self._stroke)

    def _empty_stacks(self) -> None:
        for name in ("_undo_history", "_redo_history"):
            stack = getattr(self._layer, name, None)
            if stack is not None:
                stack.clear()
