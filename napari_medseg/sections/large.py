"""Correcting a large image part by part."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ..controller import PanelController
from .binding import button, follow, text


class LargeRow(QWidget):
    """What to do, and two buttons; in sight only while the chosen image is a large one.

    Args:
        controller: what opens parts.
    """

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state, large = controller.state, controller.large
        self.about = text(self, "about")
        self.edit = button(self, "Edit here", "Opens the part in the view for correction", large.edit_here)
        self.done = button(self, "Done", "Puts the part back into the mask of the whole image", large.done)
        row = QHBoxLayout()
        row.addWidget(self.edit, 1)
        row.addWidget(self.done, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.about)
        layout.addLayout(row)
        follow(self._state, self._show, "large", "large_about", "in_part", "part_busy", "segmenting")

    def _show(self) -> None:
        state = self._state
        self.setVisible(state.large)
        self.about.setText(state.large_about)
        self.edit.setEnabled(not state.part_busy and state.segmenting is None)
        self.done.setEnabled(state.in_part and not state.part_busy)
