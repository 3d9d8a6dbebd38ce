"""Words that fit into the panel, however long they are."""

from __future__ import annotations

import re
from typing import Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QComboBox, QLabel, QSizePolicy, QStyle, QStyleOptionComboBox, QStylePainter, QWidget

LONGEST = 24
"""Letters of a word that are not broken; names of files may have any number."""

_MAY_BREAK = "\u200b"


class Sentences(QLabel):
    """A label that wraps, also within a name that is longer than a line."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._said = ""
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)

    def setText(self, said: str) -> None:
        """Qt's, with places to break at."""
        self._said = said
        super().setText(re.sub(rf"(\S{{{LONGEST}}})(?=\S)", rf"\1{_MAY_BREAK}", said))

    def text(self) -> str:
        """What was said, as it was said."""
        return self._said


class Picker(QComboBox):
    """A list to pick from that is no wider than there is room for: of what does not fit the tooltip has the rest."""

    def __init__(self, parent: QWidget, tip: str) -> None:
        super().__init__(parent)
        self._tip = tip
        self.setToolTip(tip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    @property
    def shown(self) -> str:
        """The picked one, as far as there is room for it."""
        option, style = self._option(), self.style()
        field = style.subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        icon = 0 if option.currentIcon.isNull() else option.iconSize.width() + 4
        room = field.width() - icon - 4
        return str(self.fontMetrics().elidedText(self.currentText(), Qt.TextElideMode.ElideRight, room))

    def event(self, event: Any) -> bool:
        """Qt's hook: a name that is cut off is told in full."""
        if event.type() == QEvent.Type.ToolTip:
            cut = self.shown != self.currentText()
            self.setToolTip(f"{self.currentText()}\n{self._tip}" if cut else self._tip)
        return bool(super().event(event))

    def paintEvent(self, event: Any) -> None:
        """Qt's hook: with an ellipsis, which Qt leaves out where a style sheet is used."""
        painter, option = QStylePainter(self), self._option()
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        option.currentText = self.shown
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def _option(self) -> QStyleOptionComboBox:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        return option
