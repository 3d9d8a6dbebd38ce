"""The table of measurements to be looked at: as it stands in the panel, and in a window of its own."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtWidgets import QAbstractItemView, QDialog, QTableView, QVBoxLayout, QWidget

MANY = 200
"""Lines that are looked at to see how wide a column is."""

MARGIN = 14
"""Pixels of a column beside its text."""

HEIGHT = 640
"""Pixels of the window, at most."""

ARROW_BELOW = """
QHeaderView::section { padding: 2px 2px 9px 2px; }
QHeaderView::up-arrow, QHeaderView::down-arrow { subcontrol-position: bottom center; height: 8px; width: 8px; }
"""
"""The arrow of the column that the lines are sorted by stands below its title; in the middle it hides a letter."""


def table_view(parent: QWidget, model: QSortFilterProxyModel, clicked: Callable[[QModelIndex], None]) -> QTableView:
    """A table to look at: lines close together, sorted by the title that is clicked."""
    view = QTableView(parent)
    view.setModel(model)
    view.horizontalHeader().setStyleSheet(ARROW_BELOW)
    view.horizontalHeader().setHighlightSections(False)  # in bold, titles of a selected line would not fit
    view.horizontalHeader().setSortIndicator(max(0, model.sortColumn()), model.sortOrder())
    view.setSortingEnabled(True)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + 6)
    view.clicked.connect(clicked)
    return view


def fit_width(view: QTableView) -> int:
    """Make each column as narrow as its title and its figures are; Qt would keep room for an arrow in each.

    Returns:
        Pixels of all of them.
    """
    model, letters = view.model(), view.fontMetrics()
    for at in range(model.columnCount()):
        title = str(model.headerData(at, Qt.Orientation.Horizontal))
        cells = (str(model.index(line, at).data()) for line in range(min(model.rowCount(), MANY)))
        widest = max(letters.horizontalAdvance(text) for text in (*title.splitlines(), *cells))
        view.setColumnWidth(at, widest + MARGIN)
    return int(view.horizontalHeader().length())


class MeasuresWindow(QDialog):
    """The table with all of its columns, beside the window; it follows the mask as the one in the panel does.

    Args:
        parent: with it this goes.
        model: the lines, as they are sorted.
        clicked: what a click on a line does.
    """

    def __init__(self, parent: QWidget, model: QSortFilterProxyModel, clicked: Callable[[QModelIndex], None]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Measurements")
        self.view = table_view(self, model, clicked)
        layout = QVBoxLayout(self)
        layout.addWidget(self.view)
        margins = layout.contentsMargins()
        beside = margins.left() + margins.right() + 2 * self.view.frameWidth()
        beside += self.view.verticalScrollBar().sizeHint().width()
        lines = (model.rowCount() + 1) * self.view.verticalHeader().defaultSectionSize()
        above = self.view.horizontalHeader().sizeHint().height() + margins.top() + margins.bottom()
        widest = self.screen().availableGeometry().width()
        self.resize(min(fit_width(self.view) + beside, widest), min(above + lines, HEIGHT))
