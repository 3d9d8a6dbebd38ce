"""Keys of napari's own that mean something else in the panel."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication


def test_keys_of_the_users_points_and_shapes_are_theirs_while_they_are_selected(open_panel: Any) -> None:
    panel = open_panel()
    viewer = panel.controller.viewer
    mask = viewer.add_image(np.zeros((40, 50), np.uint8)) and viewer.add_labels(np.zeros((40, 50), np.uint8))
    QApplication.setActiveWindow(panel.window())
    QApplication.processEvents()
    shapes, points = viewer.add_shapes(ndim=2), viewer.add_points(ndim=2)

    def type_into(layer: Any, key: Any) -> None:
        viewer.layers.selection.active = layer
        QTest.keyClick(viewer.window._qt_viewer.canvas.native, key)

    for layer, key, mode in (
        (shapes, Qt.Key.Key_R, "add_rectangle"),
        (shapes, Qt.Key.Key_T, "add_path"),
        (shapes, Qt.Key.Key_D, "direct"),
        (shapes, Qt.Key.Key_S, "select"),
        (points, Qt.Key.Key_S, "select"),
    ):
        layer.mode = "pan_zoom"
        type_into(layer, key)
        assert str(layer.mode) == mode
        assert not panel.state.prompt_tool
        assert viewer.layers.selection.active is layer

    type_into(points, Qt.Key.Key_R)  # which means nothing to points
    assert panel.state.prompt_tool == "box"
    type_into(mask, Qt.Key.Key_T)
    assert panel.state.prompt_tool == "lasso"
