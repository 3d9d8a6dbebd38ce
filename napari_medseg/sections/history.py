"""Undo and redo, always in sight."""

from __future__ import annotations

from napari.layers import Labels
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from ..controller import PanelController
from .binding import button, follow

UNDO_KEYS = ("Ctrl+Z",)
REDO_KEYS = ("Ctrl+Shift+Z", "Ctrl+Y")


class HistoryRow(QWidget):
    """The two buttons, named after the step that they are about, and what their keys do.

    Args:
        controller: whose masks are changed.
    """

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._controller, self._state = controller, controller.state
        self.undo = button(self, f"Undo  {_shown(UNDO_KEYS[0])}", "", controller.editing.undo)
        self.redo = button(self, f"Redo  {_shown(REDO_KEYS[0])}", "", controller.editing.redo)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.undo)
        layout.addWidget(self.redo)
        follow(self._state, self._show, "undo", "redo")

    def press_undo(self) -> None:
        """The key: the selected Labels layer is meant, also if it is no mask of ours."""
        layer = self._controller.viewer.layers.selection.active
        (layer.undo if isinstance(layer, Labels) else self._controller.editing.undo)()

    def press_redo(self) -> None:
        """Likewise."""
        layer = self._controller.viewer.layers.selection.active
        (layer.redo if isinstance(layer, Labels) else self._controller.editing.redo)()

    def _show(self) -> None:
        undo, redo = self._state.undo, self._state.redo
        _say(self.undo, f"Take back: {undo}" if undo else "Nothing to take back", UNDO_KEYS)
        _say(self.redo, f"Do again: {redo}" if redo else "Nothing to do again", REDO_KEYS)
        self.undo.setEnabled(bool(undo))
        self.redo.setEnabled(bool(redo))


def _say(shown: QPushButton, tip: str, keys: tuple[str, ...]) -> None:
    shown.setToolTip(f"{tip} ({' or '.join(map(_shown, keys))})")


def _shown(key: str) -> str:
    """A key as this system's menus have it."""
    return str(QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText))
