"""Learning: start it, watch it, stop it, and choose between the versions it made."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..controller import PanelController
from .binding import button, follow, show_share, text
from .curve import LearningCurve

REDRAW = 500
"""Milliseconds between two drawings of the curves."""


class LearnSection(QWidget):
    """The fine-tuning under way, its curves, and the versions of the model."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state, self._learning = controller.state, controller.learning
        self.about = text(self, "about")
        self.start = button(self, "Fine-tune now", "Let the model learn from your corrections", self._learning.start)
        self.cancel = button(self, "Cancel", "Stop learning; the active model stays as it is", self._learning.cancel)
        self.every = QSpinBox(self)
        self.every.setRange(0, 50)
        self.every.setSpecialValueText("never")
        self.every.setPrefix("after every ")
        self.every.setSuffix(" cases")
        self.every.setToolTip("Fine-tune by itself after so many accepted cases")
        self.adstnet = QCheckBox("Sharper borders (AdSTNet)", self)
        self.adstnet.setToolTip(
            "For blurred and small lesions: an additional part teaches the network where borders and cores are.\n"
            "Each step of learning takes longer, most so for small networks; segmenting is as fast as ever,\n"
            "since the part is dropped afterwards."
        )
        self.bar = QProgressBar(self)
        self.progress = text(self, "progress")
        self.curve = LearningCurve(controller.viewer.theme)
        controller.viewer.events.theme.connect(lambda: self.curve.dress(controller.viewer.theme))
        self.versions = _version_table(self)
        self.activate = button(self, "Use this version", "Make the selected version the active model", self._activate)
        self._lay_out()
        self.every.valueChanged.connect(self._learning.learn_every)
        self.adstnet.toggled.connect(lambda on: setattr(self._state, "adstnet", on))
        self.versions.itemSelectionChanged.connect(self._show_activate)
        self._redraw = QTimer(self, interval=REDRAW, singleShot=True)
        self._redraw.timeout.connect(lambda: self.curve.show_points(self._state.curve))
        follow(self._state, self._show, "learning", "learning_about", "corrections", "held_out")
        follow(self._state, lambda: self.every.setValue(self._state.learn_every), "learn_every")
        follow(self._state, lambda: self.adstnet.setChecked(self._state.adstnet), "adstnet")
        follow(self._state, self._show_curve, "curve")
        follow(self._state, self._show_versions, "versions", "active")

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.start, 1)
        buttons.addWidget(self.cancel)
        often = QHBoxLayout()
        often.addWidget(QLabel("By itself", self))
        often.addWidget(self.every, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.about)
        layout.addLayout(buttons)
        layout.addLayout(often)
        layout.addWidget(self.adstnet)
        for widget in (self.bar, self.progress, self.curve, self.versions, self.activate):
            layout.addWidget(widget)

    def _show(self) -> None:
        state, busy = self._state, self._state.learning is not None
        cases = "1 case" if state.corrections == 1 else f"{state.corrections} cases"
        kept = f", {state.held_out} of them kept to judge new models by" if state.held_out else ""
        self.about.setText(f"{cases} accepted{kept}.")
        self.start.setEnabled(not busy and state.corrections > 0)
        self.adstnet.setEnabled(not busy)
        self.cancel.setVisible(busy)
        self.progress.setText(state.learning_about)
        self.progress.setVisible(bool(state.learning_about))
        show_share(self.bar, state.learning)

    def _show_curve(self) -> None:
        self.curve.setVisible(bool(self._state.curve))
        if not self._redraw.isActive():
            self._redraw.start()

    def _show_versions(self) -> None:
        rows = self._state.versions
        chosen = self._selected()
        self.versions.setVisible(bool(rows))
        self.versions.setRowCount(len(rows))
        for number, row in enumerate(rows):
            cases = str(row["held_out"] or "-")
            figures = [_figure(row["dice_before"]), _figure(row["dice_after"]), cases]
            for column, shown in enumerate([row["name"], *figures, "active" if row["active"] else ""]):
                item = QTableWidgetItem(shown)
                item.setToolTip(row["reason"])
                self.versions.setItem(number, column, item)
            if row["name"] == chosen:
                self.versions.selectRow(number)
        self.versions.setFixedHeight(min(5, len(rows)) * self.versions.verticalHeader().defaultSectionSize() + 26)
        self._show_activate()

    def _show_activate(self) -> None:
        self.activate.setVisible(bool(self._state.versions))
        self.activate.setEnabled(self._selected() not in ("", self._state.active))

    def _selected(self) -> str:
        items = self.versions.selectedItems()
        return str(items[0].text()) if items else ""

    def _activate(self) -> None:
        self._learning.activate(self._selected())


def _version_table(parent: QWidget) -> QTableWidget:
    table = QTableWidget(0, 5, parent)
    table.setHorizontalHeaderLabels(["Version", "Dice old", "new", "cases", ""])
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(22)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
