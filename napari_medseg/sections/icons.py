"""Icons drawn in the colour of napari's theme, and swatches of label colours."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QByteArray, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtSvg import QSvgRenderer

SIZE = 64
"""Pixels a side; Qt makes them smaller."""

FAINT = 0.35
"""How much is left of an icon on a button that cannot be pressed."""


def drawn(lines: str, colour: str) -> QIcon:
    """An icon of lines.

    Args:
        lines: elements of an SVG, 24 by 24; "{colour}" in them becomes the colour.
        colour: "#rrggbb".
    """
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{colour}" '
        f'stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round">{lines.replace("{colour}", colour)}</svg>'
    )
    picture = _transparent()
    painter = QPainter(picture)
    QSvgRenderer(QByteArray(svg.encode())).render(painter)
    painter.end()
    faint = _transparent()
    painter.begin(faint)
    painter.setOpacity(FAINT)
    painter.drawPixmap(0, 0, picture)
    painter.end()
    made = QIcon(picture)
    made.addPixmap(faint, QIcon.Mode.Disabled)  # Qt's own, a grey picture, looks the same in the colours of the themes
    return made


def swatch(colour: Sequence[float] | None) -> QIcon:
    """A filled square; of a colour (red, green, blue, ...), each from 0 to 1, or empty."""
    picture = _transparent()
    if colour is not None:
        painter = QPainter(picture)
        painter.fillRect(8, 8, SIZE - 16, SIZE - 16, QColor.fromRgbF(*(float(part) for part in colour[:3])))
        painter.end()
    made = QIcon(picture)
    made.addPixmap(picture, QIcon.Mode.Disabled)  # the colour is what it says, also where nothing can be picked
    return made


def _transparent() -> QPixmap:
    picture = QPixmap(SIZE, SIZE)
    picture.fill(Qt.GlobalColor.transparent)
    return picture
