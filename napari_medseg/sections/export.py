"""The mask for other programs: in which format, and where to."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QMessageBox, QProgressBar, QVBoxLayout, QWidget

from napari_medseg.models.export import EXPORTS, export_of

from ..controller import PanelController
from .binding import button, follow, picker, show_share, text


class ExportSection(QWidget):
    """The formats that fit the image, what the picked one is good for, and a button that asks for the file."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state, self._exporting = controller.state, controller.exporting
        self.formats = picker(self, "Formats that fit the image")
        self.about = text(self, "about")
        self.export = button(self, "Export ...", "Choose a file and write the mask as it is now", self._export)
        self.cancel = button(self, "Cancel", "Stop; nothing is written, and an older file stays", self._cancel)
        self.bar = QProgressBar(self)
        self._folder: Path | None = None  # of the last file; the next one is likely to go there, too
        row = QHBoxLayout()
        row.addWidget(self.formats, 1)
        row.addWidget(self.export)
        row.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.about)
        layout.addWidget(self.bar)
        self.formats.activated.connect(lambda row: setattr(self._state, "export", self._state.exports[row].key))
        follow(self._state, self._list, "exports")
        follow(self._state, self._show, "exports", "export", "exporting", "mask", "large")

    def _list(self) -> None:
        self.formats.clear()
        for export in self._state.exports:
            self.formats.addItem(f"{export.title} ({export.ending})", export.key)

    def _show(self) -> None:
        state = self._state
        self.formats.setCurrentIndex(self.formats.findData(state.export))
        picked = EXPORTS.get(state.export) if state.exports else None
        self.about.setText(picked.about if picked else "")
        self.formats.setEnabled(bool(state.exports))
        self.export.setEnabled((state.mask is not None or state.large) and state.exporting is None)
        self.export.setVisible(state.exporting is None)
        self.cancel.setVisible(state.exporting is not None)
        if state.exporting is None:
            self.cancel.setEnabled(True)  # for the next one
        show_share(self.bar, state.exporting)

    def _cancel(self) -> None:
        self._exporting.cancel()
        self.cancel.setEnabled(False)  # what is compressed in one go is waited for

    def _export(self) -> None:
        export = EXPORTS[self._state.export]
        start = self._exporting.suggested()
        start = start if self._folder is None else self._folder / start.name
        asks = QFileDialog.Option.DontConfirmOverwrite  # asked below, once the name has its ending
        named, _ = QFileDialog.getSaveFileName(
            self, f"Export as {export.title}", str(start), f"{export.title} (*{export.ending})", options=asks
        )
        if not named:
            return
        path = Path(named)
        meant = export_of(path)
        if meant is None or meant.key.removesuffix("-slices") != export.key.removesuffix("-slices"):
            path = path.with_name(path.name + export.ending)
        if path.exists() and not self._may_replace(path):
            return
        self._folder = path.parent
        self._exporting.start(path)

    def _may_replace(self, path: Path) -> bool:
        question = f"There is a '{path.name}' in '{path.parent}' already. Replace it?"
        answer = QMessageBox.question(self, "Export", question)
        return bool(answer == QMessageBox.StandardButton.Yes)
