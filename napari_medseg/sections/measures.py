"""How large each label is: a table that is kept up to date, and leads to the label that is clicked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QModelIndex, QTimer
from qtpy.QtWidgets import QCheckBox, QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from ..controller import PanelController
from ..measuring.table import MeasuresTable, sorted_by
from .binding import button, text
from .measures_view import MeasuresWindow, fit_width, table_view

CALM = 700
"""Milliseconds without a change after which the mask is measured again: not between two strokes."""

LINES = 8
"""Of the table that are seen without scrolling, at most."""


class MeasuresSection(QWidget):
    """The table, whether it is by slice, and a button to save it."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state, self._measuring = controller.state, controller.measuring
        self.about = text(self, "about")
        self.model = MeasuresTable(self)
        self._sorted = sorted_by(self.model, self)
        self.view = table_view(self, self._sorted, self._clicked)
        self.apart: MeasuresWindow | None = None
        self.by_plane = QCheckBox("Each slice or frame", self)
        self.by_plane.setToolTip("One line for each label in each slice or frame, instead of one for the whole")
        self.measure = button(self, "Measure", "Measure the mask as it is now", self._measuring.refresh)
        self.larger = button(self, "Larger", "Show the table in a window of its own, with all columns", self._enlarge)
        self.save = button(self, "Save as CSV ...", "Write the table to a file for spreadsheets", self._save)
        row = QHBoxLayout()
        for widget in (self.measure, self.larger, self.save):
            row.addWidget(widget, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.about)
        layout.addWidget(self.view)
        layout.addWidget(self.by_plane)
        layout.addLayout(row)
        self._calm = QTimer(self, interval=CALM, singleShot=True)
        self._calm.timeout.connect(self._refresh)
        self.by_plane.toggled.connect(lambda on: setattr(self._measuring, "by_plane", on))
        self._measuring.changed.connect(self._show)
        self._measuring.outdated.connect(self._outdated)
        self._show()

    def paintEvent(self, event: Any) -> None:
        """Whoever scrolls here sees figures of the mask as it is."""
        super().paintEvent(event)
        if self._measuring.stale and not self._calm.isActive():
            self._outdated()

    def _outdated(self) -> None:
        """Wait for a calm moment, if anybody looks."""
        if self._measuring.at_once and not self.visibleRegion().isEmpty():
            self._calm.start()

    def _refresh(self) -> None:
        if self._measuring.stale:
            self._measuring.refresh()

    def _show(self) -> None:
        measuring = self._measuring
        titles = self.model.titles()
        self.model.show(measuring.rows)
        if self.model.titles() != titles:
            fit_width(self.view)
            if self.apart is not None:
                fit_width(self.apart.view)
        self._fit_height()
        self.about.setText(measuring.said)
        self.view.setVisible(bool(measuring.rows))
        self.by_plane.setVisible(measuring.has_planes)
        self.measure.setVisible(not measuring.at_once and self._state.mask is not None)
        self.save.setEnabled(bool(measuring.rows))
        self.larger.setEnabled(bool(measuring.rows))

    def _fit_height(self) -> None:
        """As high as its lines, so that few of them leave no hole in the panel."""
        view, lines = self.view, min(self.model.rowCount(), LINES)
        around = view.horizontalHeader().sizeHint().height() + view.horizontalScrollBar().sizeHint().height()
        view.setFixedHeight(around + 2 * view.frameWidth() + lines * view.verticalHeader().defaultSectionSize())

    def _enlarge(self) -> None:
        if self.apart is None:
            self.apart = MeasuresWindow(self, self._sorted, self._clicked)
        self.apart.show()
        self.apart.raise_()

    def _clicked(self, index: QModelIndex) -> None:
        line = self._sorted.mapToSource(index).row()
        self._measuring.select(self.model.row(line))

    def _save(self) -> None:
        rows = self._measuring.rows
        start = str(Path.home() / "measurements.csv")
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the measurements", start, "CSV (*.csv)")
        if chosen and rows:
            path = Path(chosen)
            self._measuring.save(path if path.suffix else path.with_suffix(".csv"))
