"""A layer that goes takes its textures and buffers along: in the canvas's own OpenGL context, not in Qt's.

napari lets go of them at once when a layer is removed, in whichever context is current (napari 0.9). After the window
was drawn that is the one in which Qt puts the window together; where Mesa draws, the next drawing can end the process.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QOpenGLWidget, QWidget


class CanvasContext:
    """Makes the canvas's context current before a layer goes.

    Args:
        widget: in the window of the canvas, at the latest when a layer goes.
        viewer: napari's.
    """

    def __init__(self, widget: QWidget, viewer: Any) -> None:
        self._widget, self._layers = widget, viewer.layers
        self._layers.events.removing.connect(self._make_current)

    def let_go(self) -> None:
        """Look no more."""
        self._layers.events.removing.disconnect(self._make_current)

    def _make_current(self) -> None:
        for canvas in self._widget.window().findChildren(QOpenGLWidget):
            if canvas.isValid():
                canvas.makeCurrent()
