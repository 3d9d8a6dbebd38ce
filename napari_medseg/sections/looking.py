"""Through the doubtful places of the mask, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from ..controller import PanelController
from .binding import button, follow, text

NEXT, PREVIOUS = "D", "Shift+D"

FLASHES = 3

FLASH = 350
"""Milliseconds that the frame is seen, and not seen, at a time."""


class LookingSection(QWidget):
    """Two buttons, and what is doubtful at the place that is looked at."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state, self._looking = controller.state, controller.looking
        self.about = text(self, "about")
        self.about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.previous = button(
            self, "◀ Previous", f"Back to the doubtful place before ({PREVIOUS})", self._looking.previous
        )
        self.next = button(
            self,
            "Next doubtful place ▶",
            f"Go where the mask is most likely wrong ({NEXT}); what you looked at or corrected is ticked off",
            self._looking.next,
        )
        for made in (self.previous, self.next):
            made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout()
        row.addWidget(self.previous, 2)
        row.addWidget(self.next, 3)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.about)
        self._flash = QTimer(self, interval=FLASH)
        self._flash.timeout.connect(self._flashed)
        self._flashes = 0
        self._looking.looked.connect(self._begin_flashing)
        follow(self._state, self._show, "looking", "can_look")

    def keys(self) -> dict[str, Callable[[], object]]:
        """What keys do at any time."""
        return {NEXT: self._looking.next, PREVIOUS: self._looking.previous}

    def showEvent(self, event: Any) -> None:
        """Qt's hook: leaves room for two lines, as most places take, so that nothing below moves from one to the next.

        Not before: the letters have napari's size only now.
        """
        super().showEvent(event)
        self.about.setText("\n")
        self.about.setMinimumHeight(self.about.sizeHint().height())
        self.about.setText(self._state.looking)

    def _begin_flashing(self) -> None:
        self._flashes = 0
        self._flash.start()

    def _flashed(self) -> None:
        """On, off, on, off; then gone."""
        if self._looking.viewer is None:
            self._flash.stop()
            return
        self._flashes += 1
        if self._flashes < 2 * FLASHES - 1:
            self._looking.frame.blink()
        else:
            self._flash.stop()
            self._looking.frame.hide()

    def _show(self) -> None:
        self.about.setText(self._state.looking)
        self.next.setEnabled(self._state.can_look)
        self.previous.setEnabled(self._state.can_look)
