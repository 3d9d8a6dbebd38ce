"""A section of the panel that folds away under its title."""

from __future__ import annotations

from typing import Any

from napari.utils.theme import get_theme
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible

from .icons import drawn

FOLDED, UNFOLDED = '<path d="M9 5l7 7-7 7"/>', '<path d="M5 9l7 7 7-7"/>'
"""The arrows beside the title. superqt's own are black in every theme, and point up where there is something below."""


class Folding(QCollapsible):
    """A section with its title, unfolded; the arrow is drawn in the colour of napari's theme."""

    def __init__(self, title: str, section: QWidget, viewer: Any) -> None:
        super().__init__(title)
        self._viewer = viewer
        self.layout().setContentsMargins(0, 0, 0, 0)
        section.layout().setContentsMargins(12, 0, 4, 4)
        self.addWidget(section)
        self.expand(animate=False)
        viewer.events.theme.connect(self._draw_arrows)
        self._draw_arrows()

    def _draw_arrows(self) -> None:
        colour = get_theme(self._viewer.theme).icon.as_hex("long")
        self.setCollapsedIcon(drawn(FOLDED, colour))
        self.setExpandedIcon(drawn(UNFOLDED, colour))
