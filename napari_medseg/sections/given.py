"""The prompts of the object in work, one a line: a click shows where it was given, its cross takes it back."""

from __future__ import annotations

from typing import Any

from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QSizePolicy, QTreeWidget, QTreeWidgetItem, QWidget

from napari_medseg.models.image import PLANE_CALLED
from napari_medseg.models.prompts.prompts import Prompt

from ..controller import PanelController
from ..image_layers import axes_of
from ..prompting.answering import NAMES
from ..prompting.overlay import NEGATIVE, POSITIVE
from .binding import follow
from .icons import drawn, swatch

LINES = 4
"""Lines that are seen at once; the newest is the first."""

WHAT, REMOVE = 0, 1
"""Columns."""

CROSS = '<path d="M7 7l10 10M17 7l-10 10"/>'


class GivenPrompts(QTreeWidget):
    """In sight only while there are prompts.

    Args:
        parent: the section.
        controller: whose prompts they are.
    """

    def __init__(self, parent: QWidget, controller: PanelController) -> None:
        super().__init__(parent)
        self._state, self._prompting, self._viewer = controller.state, controller.prompting, controller.viewer
        self.setColumnCount(2)
        self.setHeaderHidden(True)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys are the tools'
        self.setSelectionMode(QTreeWidget.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setIconSize(QSize(12, 12))
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(WHAT, QHeaderView.ResizeMode.Stretch)
        self.header().setSectionResizeMode(REMOVE, QHeaderView.ResizeMode.Fixed)
        self.header().resizeSection(REMOVE, 28)
        self.itemClicked.connect(self._clicked)
        self._viewer.events.theme.connect(self._show)
        follow(self._state, self._show, "given")

    def _show(self) -> None:
        given = self._state.given
        self.clear()
        cross = drawn(CROSS, get_theme(self._viewer.theme).icon.as_hex("long"))
        for prompt in reversed(given):
            line = QTreeWidgetItem([in_words(prompt, self._state.image), ""])
            line.setIcon(WHAT, swatch(QColor(POSITIVE if prompt.positive else NEGATIVE).getRgbF()))
            line.setIcon(REMOVE, cross)
            line.setToolTip(WHAT, "Click to see where it was given")
            line.setToolTip(REMOVE, "Take this prompt back alone; the others stay")
            self.addTopLevelItem(line)
        self.setVisible(bool(given))
        if given:
            self.setFixedHeight(min(len(given), LINES) * self.sizeHintForRow(0) + 2 * self.frameWidth())

    def _clicked(self, line: QTreeWidgetItem, column: int) -> None:
        number = len(self._state.given) - 1 - self.indexOfTopLevelItem(line)
        if column == REMOVE:
            self._prompting.take_back(number)
        else:
            self._prompting.look_at(number)


def in_words(prompt: Prompt, image: Any) -> str:
    """What a prompt is, and on which slice and frame of an image it was given."""
    what = NAMES[type(prompt)] if prompt.positive else f"{NAMES[type(prompt)]}: not the object"
    axes = axes_of(image)[:-2] if image is not None and prompt.plane else ""
    places = [f"{PLANE_CALLED[axis]} {at}" for axis, at in zip(axes, prompt.plane, strict=False)]
    return ", ".join([what, *places])
