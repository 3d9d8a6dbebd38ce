"""Measures as Qt's tables have them: a line a label, sorted by any column."""

from __future__ import annotations

import math
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt

from napari_medseg.models.measuring import Column, LabelMeasures, columns, shown

SORT_ROLE = Qt.ItemDataRole.UserRole
"""For the value itself, where the display has it as text."""

LINE = "\n"


class MeasuresTable(QAbstractTableModel):
    """The rows, as they were measured."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._rows: tuple[LabelMeasures, ...] = ()
        self._columns: tuple[Column, ...] = ()

    def show(self, rows: tuple[LabelMeasures, ...]) -> None:
        """Show other rows."""
        if rows is self._rows:
            return
        fields = columns(rows) or self._columns
        if [column.key for column in fields] == [column.key for column in self._columns] and len(rows) == len(
            self._rows
        ):
            self._rows = rows  # figures only: the view keeps its place, and the selected line
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(fields) - 1))
            return
        self.beginResetModel()
        self._rows, self._columns = rows, fields
        self.endResetModel()

    def titles(self) -> list[str]:
        """Of all columns, with their units."""
        return [column.title + column.unit for column in self._columns]

    def row(self, number: int) -> LabelMeasures:
        """What a line shows."""
        return self._rows[number]

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008  Qt's own signature
        """Qt's hook."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Qt's hook."""
        return 0 if parent.isValid() else len(self._columns)

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Title and unit of a column, in short lines: many columns are to be seen side by side."""
        if orientation != Qt.Orientation.Horizontal or section >= len(self._columns):
            return None
        column = self._columns[section]
        unit = f" [{column.unit}]" if column.unit else ""
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{column.title.replace(' ', LINE, 1)}{unit.replace(' ', LINE)}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{column.title}{unit}"
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A figure, to four digits; or, to sort by, as it is."""
        value = self._columns[index.column()].value(self._rows[index.row()])
        if role == SORT_ROLE:
            return -math.inf if value is None or (isinstance(value, float) and math.isnan(value)) else value
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(value)
        if role == Qt.ItemDataRole.TextAlignmentRole and not isinstance(value, str):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None


def sorted_by(model: MeasuresTable, parent: Any) -> QSortFilterProxyModel:
    """The same lines in the order of the column that is clicked."""
    proxy = QSortFilterProxyModel(parent)
    proxy.setSourceModel(model)
    proxy.setSortRole(SORT_ROLE)
    return proxy
