"""Closing the window while there is something to lose, or something under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

if TYPE_CHECKING:
    from .panel import MedSegPanel


_PATIENCE = 10.0
"""Seconds that closing waits for the disk."""

_KEPT = "They are on the disk, and you can go on with them when you open the image again."
_LOST = "They cannot be written to the disk, so closing loses them."


class ClosingGuard(QObject):
    """Asks before the window closes over corrections that were not accepted, or over a fine-tuning."""

    def __init__(self, panel: MedSegPanel) -> None:
        super().__init__(panel)
        self._panel = panel
        self._window: QWidget | None = None
        self._lose = False
        self._closing = False  # the user closes the window; napari may still ask, and be told no, until it is hidden

    def watch(self, window: QWidget) -> None:
        """Ask when this window is about to close."""
        if window is not self._window and window is not self._panel:
            self._window = window
            window.installEventFilter(self)

    def let_go(self) -> None:
        """Watch no more."""
        if self._window is not None:
            self._window.removeEventFilter(self)
            self._window = None

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Qt's hook: True keeps the window open."""
        if watched is self._window and event.type() == QEvent.Type.Close:
            if not self._may_close():
                event.ignore()
                return True
            self._closing = bool(event.spontaneous())
            if not self._closing:
                self._panel.let_go(lose=self._lose)
        elif watched is self._window and event.type() == QEvent.Type.Hide and self._closing and not event.spontaneous():
            self._panel.let_go(lose=self._lose)
        return False

    def _may_close(self) -> bool:
        return self._leave_strokes() and self._leave_learning()

    def _leave_strokes(self) -> bool:
        """What was not accepted waits for the next time, or is lost if the user says so."""
        masks = self._panel.controller.masks.unsaved()
        if not masks:
            return True
        names = ", ".join(f"'{mask.layer.name}'" for mask in masks)
        kept = self._panel.controller.editing.keeping.wait(_PATIENCE)
        box = _question(self._panel, f"Your corrections of {names} were not accepted. {_KEPT if kept else _LOST}")
        keep = box.addButton("Close and keep them", QMessageBox.ButtonRole.AcceptRole) if kept else None
        lose = box.addButton("Close and lose them", QMessageBox.ButtonRole.DestructiveRole)
        stay = box.addButton("Stay", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep or stay)
        box.exec()
        self._lose = box.clickedButton() is lose
        return box.clickedButton() is not None and box.clickedButton() in (keep, lose)

    def _leave_learning(self) -> bool:
        if self._panel.state.learning is None:
            return True
        box = _question(self._panel, "The model is learning. It can go on without the window, or stop.")
        go_on = box.addButton("Let it go on", QMessageBox.ButtonRole.AcceptRole)
        stop = box.addButton("Stop it", QMessageBox.ButtonRole.DestructiveRole)
        box.addButton("Stay", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(go_on)
        box.exec()
        if box.clickedButton() is stop:
            self._panel.controller.learning.cancel()
        return box.clickedButton() in (go_on, stop)


def _question(parent: QWidget, said: str) -> QMessageBox:
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("MedSeg")
    box.setText(said)
    return box
