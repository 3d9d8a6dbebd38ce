"""Which label an object gets: a number of its own, or that of a class."""

from __future__ import annotations

from typing import Any

from ..editing import Editing
from ..masks import Masks
from ..state import PanelState


class Labelling:
    """Keeps the picked label and the brush of the mask's layer at one, and knows what labels are called.

    Args:
        state: what the panel shows.
        masks: in work.
        editing: widens a mask that cannot hold a label.
    """

    def __init__(self, state: PanelState, masks: Masks, editing: Editing) -> None:
        self._state, self._masks, self._editing = state, masks, editing
        self._added: dict[int, str] = {}
        self._layer: Any = None
        state.events.mask.connect(self._mask_changed)
        state.events.answer.connect(self._answer_changed)
        state.events.model.connect(self._list)
        state.events.own_labels.connect(self._list)
        state.events.label.connect(self._picked)
        self._mask_changed(state.mask)
        self._answer_changed(state.answer)

    def close(self) -> None:
        """Follow no layer any more."""
        self._mask_changed(None)

    def add(self, name: str) -> None:
        """Have another class, with the next free number, and pick it."""
        number = max(self._state.labels, default=0) + 1
        self._added[number] = name.strip() or f"label {number}"
        self._list()
        self._state.label = number

    def _mask_changed(self, layer: Any) -> None:
        if self._layer is not None:
            self._layer.events.selected_label.disconnect(self._brush_changed)
        self._layer = layer
        if layer is not None:
            layer.events.selected_label.connect(self._brush_changed)
            self._brush_changed()

    def _brush_changed(self, event: Any = None) -> None:
        if self._layer.selected_label > 0:
            self._state.label = int(self._layer.selected_label)
            self._list()

    def _picked(self, label: int) -> None:
        if self._layer is not None and self._layer.selected_label != label:
            mask = self._masks.current()
            if mask is not None and mask.layer is self._layer:
                self._editing.hold(mask, label)
            self._layer.selected_label = label

    def _answer_changed(self, answer: str) -> None:
        self._state.own_labels = answer == "instances"
        self._list()

    def _list(self) -> None:
        choice = self._state.choice()
        if self._state.own_labels:
            choice = None
        named = {number: name for number, name in (choice.labels if choice else {}).items() if number}
        picked = {self._state.label: f"label {self._state.label}"}
        added = {} if self._state.own_labels else self._added
        self._state.labels = dict(sorted((picked | named | added).items()))
