"""In which OpenGL context textures and buffers go when a layer is removed."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtGui import QOpenGLContext


def test_a_layer_goes_in_the_context_of_the_canvas_also_after_the_window_was_drawn(panel: Any, until: Any) -> None:
    viewer, canvas = panel.controller.viewer, panel.controller.viewer.window._qt_viewer.canvas
    layer = viewer.add_image(np.eye(8))
    drawn: list[Any] = []
    canvas._scene_canvas.events.draw.connect(drawn.append)
    until(lambda: drawn)
    panel.repaint()
    canvas.native.doneCurrent()  # as Qt leaves it after it has put the window together
    within: list[Any] = []
    viewer.layers.events.removed.connect(lambda event: within.append(QOpenGLContext.currentContext()))

    viewer.layers.remove(layer)

    assert within == [canvas.native.context()]


def test_the_window_can_go_on_drawing_after_layers_went_by_themselves(panel: Any, until: Any) -> None:
    viewer, canvas = panel.controller.viewer, panel.controller.viewer.window._qt_viewer.canvas
    image = viewer.add_image(np.eye(8))
    viewer.add_labels(np.eye(8, dtype=np.uint8))
    drawn: list[Any] = []
    canvas._scene_canvas.events.draw.connect(drawn.append)
    until(lambda: drawn)

    viewer.layers.remove(image)
    drawn.clear()
    until(lambda: drawn)
    viewer.add_image(np.eye(8))
    drawn.clear()
    until(lambda: drawn)

    assert len(viewer.layers) == 2
