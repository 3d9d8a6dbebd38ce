"""Where corrections and versions are kept."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from ..controller import PanelController
from ..editing.all_drafts import in_words
from .binding import button, follow, text
from .drafts import DraftsDialog


class ProjectSection(QWidget):
    """Shows the project's folder and opens another."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._controller, self._state = controller, controller.state
        self.about = text(self, "about")
        self.choose = button(self, "Other project ...", "Open or make a project in another folder", self._choose)
        self.kept = text(self, "about")
        self.look = button(
            self, "Masks not accepted ...", "See which masks wait to be gone on with, and remove some", self._look
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self.about)
        layout.addWidget(self.choose)
        layout.addWidget(self.kept)
        layout.addWidget(self.look)
        follow(self._state, self._show, "project", "learning", "accepting", "segmenting")
        follow(self._state, self._show_kept, "drafts")

    def _show(self) -> None:
        self.about.setText(f"Corrections and versions are kept in {self._state.project}")
        state = self._state
        busy = state.accepting or state.learning is not None or state.segmenting is not None
        self.choose.setEnabled(not busy)

    def _show_kept(self) -> None:
        count, size = self._state.drafts
        self.kept.setText(f"{in_words(count, size)}.")
        self.kept.setVisible(count > 0)
        self.look.setVisible(count > 0)

    def _look(self) -> None:
        DraftsDialog(self, self._controller.all_drafts).open()

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Project folder", str(self._state.project.parent))
        if folder:
            self._controller.open_project(Path(folder))
