"""A hand on the mouse, over the canvas of a real window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

Position = Sequence[float]

FIRST, SECOND, THIRD = (24, 30), (60, 90), (70, 30)
"""Middles of the three discs."""


class Hand:
    """Presses, pulls and types as a user would, with positions in pixels of an image.

    Args:
        panel: in whose window.
        until: waits while the window lives on.
    """

    def __init__(self, panel: Any, until: Callable[[Callable[[], object]], None]) -> None:
        self.panel, self._until = panel, until
        self.viewer = panel.controller.viewer
        self._held = Qt.MouseButton.NoButton
        self._canvas = self.viewer.window._qt_viewer.canvas

    def click(self, at: Position, *, right: bool = False, keys: Any = Qt.KeyboardModifier.NoModifier) -> None:
        """A click that is answered."""
        self.click_on(at, right=right, keys=keys)
        self.wait()

    def click_on(self, at: Position, *, right: bool = False, keys: Any = Qt.KeyboardModifier.NoModifier) -> None:
        """A click, whether it is answered or not."""
        QTest.mouseClick(self._canvas.native, _button(right), keys, self.point(at))

    def press(self, at: Position, *, right: bool = False) -> None:
        self._held = _button(right)
        QTest.mousePress(self._canvas.native, _button(right), Qt.KeyboardModifier.NoModifier, self.point(at))

    def move(self, at: Position) -> None:
        """The mouse is somewhere else, its button held, and napari has heard of it: it looks every few milliseconds."""
        before, none, keys = self._there(), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier

        def heard() -> bool:  # one that comes too soon after the last is not looked at
            place = QPointF(self.point(at))
            QApplication.sendEvent(
                self._canvas.native, QMouseEvent(QEvent.Type.MouseMove, place, none, self._held, keys)
            )
            return self._there() != before

        self._until(heard)

    def _there(self) -> tuple[object, ...]:
        """Where the mouse is in the world, and where the world is, which moves along with a pull of the view."""
        return tuple(self.viewer.cursor.position), tuple(self.viewer.camera.center)

    def release(self, at: Position, *, right: bool = False) -> None:
        QTest.mouseRelease(self._canvas.native, _button(right), Qt.KeyboardModifier.NoModifier, self.point(at))

    def pull(self, *path: Position, right: bool = False) -> None:
        """Press, move along, release, and wait for the answer."""
        self.press(path[0], right=right)
        for at in path[1:]:
            self.move(at)
        self.release(path[-1], right=right)
        self.wait()

    def type(self, key: Any, keys: Any = Qt.KeyboardModifier.NoModifier) -> None:
        """A key in the window, and what comes of it."""
        window = self.panel.window()
        QApplication.setActiveWindow(window)  # which a window manager would do
        QTest.keyClick(window, key, keys)
        self.wait()

    def wait(self) -> None:
        """Until everything that was asked is answered, and drawn."""
        self._until(lambda: self.panel.controller.prompting.settled)

    def point(self, at: Position) -> QPoint:
        """Where on the canvas a position of the chosen image is."""
        image = self.panel.state.image
        leading = tuple(self.viewer.dims.current_step)[: image.ndim - 2]
        world = image.data_to_world((*leading, *at))
        x, y = self._canvas.view.scene.transform.map((world[-1], world[-2], 0, 1))[:2]
        return QPoint(round(x), round(y))


def _button(right: bool) -> Any:
    return Qt.MouseButton.RightButton if right else Qt.MouseButton.LeftButton


def take_up(panel: Any, press: Any, name: str) -> None:
    press(panel.prompts.tools[name])
    assert panel.state.prompt_tool == name


def labels(panel: Any) -> set[int]:
    return set(np.unique(panel.state.mask.data).tolist()) - {0}


def disc(middle: tuple[int, int]) -> np.ndarray:
    rows, columns = np.mgrid[:96, :128]
    return (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < 11**2


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def is_disc(panel: Any, label: int, *middles: tuple[int, int]) -> bool:
    truth = np.any([disc(middle) for middle in middles], axis=0)
    return iou(panel.state.mask.data == label, truth) > 0.5
