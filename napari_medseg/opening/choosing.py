"""The dialog that asks which of several images in a file or folder is meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QDialog, QDialogButtonBox, QLabel, QListWidget, QVBoxLayout, QWidget

from .opening import Choice


class PartsDialog(QDialog):
    """A list of titles; a double click opens one, Open opens all that are selected. It stops nothing else.

    Args:
        parent: over which it stands.
        choice: what is offered; the first is selected.
        chosen: called once, with the keys of what shall be opened, or () if nothing shall.
    """

    def __init__(self, parent: QWidget, choice: Choice, chosen: Callable[[Sequence[str]], None]) -> None:
        super().__init__(parent)
        self._parts, self._chosen = choice.parts, chosen
        self.setWindowTitle(f"Open '{choice.path.name}'")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.titles = QListWidget(self)
        self.titles.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.titles.addItems([part.title for part in choice.parts])
        self.titles.setCurrentRow(0)
        self.titles.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.titles.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.titles.setMinimumSize(560, 220)
        self.titles.setSpacing(1)  # lines lie close on Qt 6
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel, self)
        self.open_button = box.button(QDialogButtonBox.StandardButton.Open)
        self.cancel_button = box.button(QDialogButtonBox.StandardButton.Cancel)
        self.open_button.setDefault(True)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(f"It holds {len(choice.parts)} images. Which of them?", self))
        layout.addWidget(self.titles, 1)
        layout.addWidget(box)
        # Once the click is over: a list that goes while it handles one brings Qt 6 down.
        self.titles.itemDoubleClicked.connect(self.accept, Qt.ConnectionType.QueuedConnection)
        self.titles.itemSelectionChanged.connect(lambda: self.open_button.setEnabled(bool(self._selected())))
        box.accepted.connect(self.accept)
        box.rejected.connect(self.reject)
        self.finished.connect(self._answer)

    def _selected(self) -> list[int]:
        return sorted(index.row() for index in self.titles.selectedIndexes())

    def _answer(self, result: int) -> None:
        opened = result == QDialog.DialogCode.Accepted
        self._chosen([self._parts[row].key for row in self._selected()] if opened else [])
