"""How the screenshots of the README and the guides are taken: in the real window, with real clicks and strokes.

`make docs` runs the scripts beside this one, `screenshots_*.py`, one after the other. Each runs in folders of its own,
so no project of yours is touched.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "images"

Take = Callable[[Any, Any, Path], None]
"""Takes screenshots, given the viewer, its panel and an empty folder for files."""


def in_own_window(take: Take, *, sample: str | None = None) -> None:
    """Open the window with the panel on a project of its own, with a sample or empty, and let `take` work in it."""
    with tempfile.TemporaryDirectory(prefix="medseg") as folder:
        os.environ |= {"MEDSEG_RUNTIME": f"{folder}/run", "MEDSEG_PROJECT": f"{folder}/project", "MEDSEG_IDLE": "60"}
        from napari_medseg.window import make_window

        viewer, panel = make_window(sample=sample)
        viewer.window.resize(1480, 1000)
        panel.setMinimumWidth(390)
        files = Path(folder, "files")
        files.mkdir()
        try:
            until(lambda: panel.state.engine_ready)
            take(viewer, panel, files)
        finally:
            panel.let_go(lose=True)
            viewer.close()


def shoot(viewer, name: str) -> None:
    """The whole window as `images/NAME.png`, when it has come to rest."""
    rest()
    shoot_now(viewer, name)


def shoot_now(viewer, name: str) -> None:
    """The whole window as `images/NAME.png`, with what passes."""
    viewer.screenshot(str(place(name)), canvas_only=False, flash=False)


def rest() -> None:
    """Let the window draw, and close napari's passing messages."""
    from napari._qt.dialogs.qt_notification import NapariQtNotification
    from qtpy.QtWidgets import QApplication

    settle(6)
    for widget in QApplication.allWidgets():
        if isinstance(widget, NapariQtNotification):
            widget.close()
    settle(0.5)


def place(name: str) -> Path:
    """Where the screenshot of that name goes."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.png"
    print(path, flush=True)
    return path


def settle(seconds: float) -> None:
    """Let the window draw."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def until(true: Callable[[], object], seconds: float = 900) -> None:
    """Let the window work until something is true; a `TimeoutError` if it is not by then."""
    from qtpy.QtTest import QTest

    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain")
        QTest.qWait(20)


def accept(panel) -> None:
    """Keep the mask as a case, so that the panel does not offer to put it back when it is cleared away."""
    panel.controller.accepting.start()
    until(lambda: panel.state.accepted)
    panel.state.notice = ""


def clear(viewer) -> None:
    """Take all layers away."""
    viewer.layers.clear()
    settle(1)  # napari crashes where Mesa draws, if images of another kind come before it has drawn none


def unfold_only(panel, *sections: str) -> None:
    """Leave only these sections of the panel open."""
    from napari_medseg.sections.folding import Folding

    for part in panel.findChildren(Folding):
        (part.expand if part.text() in sections else part.collapse)(animate=False)


def click(viewer, at: tuple[float, float]) -> None:
    """A left click on a position of the world, (row, column)."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    QTest.mouseClick(_canvas(viewer), Qt.MouseButton.LeftButton, pos=_on_canvas(viewer, at))
    settle(0.5)


def drag(viewer, path: Sequence[tuple[float, float]]) -> None:
    """A pull with the left button along positions of the world, (row, column)."""
    pull(viewer, path)
    release(viewer, path[-1])


def pull(viewer, path: Sequence[tuple[float, float]]) -> None:
    """As `drag`, but the button stays down."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    first, *others = [_on_canvas(viewer, at) for at in path]
    QTest.mousePress(_canvas(viewer), Qt.MouseButton.LeftButton, pos=first)
    for at in others:
        QTest.mouseMove(_canvas(viewer), at)
        settle(0.2)


def release(viewer, at: tuple[float, float]) -> None:
    """End a pull."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    QTest.mouseRelease(_canvas(viewer), Qt.MouseButton.LeftButton, pos=_on_canvas(viewer, at))


def _canvas(viewer):
    return viewer.window._qt_viewer.canvas.native


def _on_canvas(viewer, at: tuple[float, float]):
    """Where a position of the world, (row, column), is on the canvas."""
    from qtpy.QtCore import QPoint

    size = np.array((_canvas(viewer).height(), _canvas(viewer).width()))
    row, column = (np.array(at) - np.array(viewer.camera.center)[-2:]) * viewer.camera.zoom + size / 2
    return QPoint(round(column), round(row))
