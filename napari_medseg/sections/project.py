"""Where corrections and versions are kept."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from ..controller import PanelController
from .binding import button, follow, text


class ProjectSection(QWidget):
    """Shows the project's folder and opens another."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._controller, self._state = controller, controller.state
        self.about = text(self, "about")
        self.choose = button(self, "Other project ...", "Open or make a project in another folder", self._choose)
        layout = QVBoxLayout(self)
        layout.addWidget(self.about)
        layout.addWidget(self.choose)
        follow(self._state, self._show, "project", "learning", "accepting", "segmenting")

    def _show(self) -> None:
        self.about.setText(f"Corrections and versions are kept in {self._state.project}")
        state = self._state
        busy = state.accepting or state.learning is not None or state.segmenting is not None
        self.choose.setEnabled(not busy)

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Project folder", str(self._state.project.parent))
        if folder:
            self._controller.open_project(Path(folder))
