"""The masks that were not accepted, in a list, so that those that nobody needs can be removed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QHBoxLayout, QMessageBox, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from ..editing.all_drafts import AllDrafts, DraftFile
from ..sizes import in_bytes
from .binding import button, text

ABOUT = (
    "Each waits for its image: open it, and the panel offers to go on. To keep patients' names off the disk they are "
    "kept without the image's name, so only images that are open now have one here."
)


class DraftsDialog(QDialog):
    """A list of drafts, and what can be done with them.

    Args:
        parent: the section that it is opened from.
        drafts: lists and removes them.
    """

    def __init__(self, parent: QWidget | None, drafts: AllDrafts) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Masks that were not accepted")
        self.resize(560, 360)
        self._drafts = drafts
        self._there = True
        self.finished.connect(self._leave)
        self.list = QTreeWidget(self)
        self.list.setHeaderLabels(["Image", "Last changed", "Size"])
        self.list.setRootIsDecorated(False)
        self.list.setSelectionMode(QTreeWidget.SelectionMode.ExtendedSelection)
        self.list.itemSelectionChanged.connect(self._selected)
        self.about = text(self, "about")
        self.about.setText(ABOUT)
        self.remove = button(self, "Remove ...", "Removes the selected ones for good", self._ask)
        self.close_ = button(self, "Close", "Leaves the others as they are", self.accept)
        row = QHBoxLayout()
        row.addWidget(self.remove)
        row.addStretch(1)
        row.addWidget(self.close_)
        layout = QVBoxLayout(self)
        layout.addWidget(self.about)
        layout.addWidget(self.list, 1)
        layout.addLayout(row)
        self._selected()
        self._drafts.list(self._show)

    def selected(self) -> list[DraftFile]:
        """Those that the user has picked."""
        return [item.data(0, Qt.ItemDataRole.UserRole) for item in self.list.selectedItems()]

    def _leave(self) -> None:
        self._there = False

    def _show(self, drafts: list[DraftFile]) -> None:
        if not self._there:
            return
        self.list.clear()
        for draft in drafts:
            item = QTreeWidgetItem(self.list, [_named(draft), _when(draft), in_bytes(draft.size)])
            item.setData(0, Qt.ItemDataRole.UserRole, draft)
            item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            if draft.in_work:
                item.setFlags(Qt.ItemFlag.NoItemFlags)
        for column in range(3):
            self.list.resizeColumnToContents(column)

    def _selected(self) -> None:
        self.remove.setEnabled(bool(self.list.selectedItems()))

    def _ask(self) -> None:
        drafts = self.selected()
        masks = "this mask" if len(drafts) == 1 else f"these {len(drafts)} masks"
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("MedSeg")
        box.setText(f"Remove {masks} for good? What was drawn there and not accepted is lost.")
        remove = box.addButton("Remove", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton("Keep", QMessageBox.ButtonRole.RejectRole))
        box.exec()
        if box.clickedButton() is remove:
            self._drafts.remove(drafts, lambda: self._drafts.list(self._show))


def _named(draft: DraftFile) -> str:
    if draft.shape is None:
        return "cannot be read"
    name = draft.name or f"{' x '.join(map(str, draft.shape))} px, not open"
    return f"{name} (in work)" if draft.in_work else name


def _when(draft: DraftFile) -> Any:
    return datetime.fromtimestamp(draft.changed).strftime("%d %B %Y at %H:%M")
