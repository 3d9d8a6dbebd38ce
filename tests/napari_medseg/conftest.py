"""The real panel in a real napari window, with the real engine, on a project of its own."""

from __future__ import annotations

import functools
import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from .editing_support import Desk
from .prompting_support import Hand

NEVER_IN_THE_WINDOW = {"torch", "triton", "torchvision", "timm", "monai", "lightning"}
WAIT = 600_000
"""Milliseconds; generous, since a loaded machine is no failure."""

os.environ["NAPARI_CONFIG"] = ""  # napari shall neither read nor write the user's settings; it looks when imported


@pytest.fixture(scope="session")
def imports_set_aside() -> None:
    """Garbage is not looked for in what was imported; napari's fixture looks for it before and after each window."""
    for module in ("napari._qt.qt_viewer", "napari_medseg.panel"):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _plugins_are_looked_for_once() -> Iterator[None]:
    """Napari's fixture has them looked for before each window, though nothing is installed meanwhile."""
    from npe2 import PluginManager

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManager, "discover", functools.cache(PluginManager.discover))
        yield


@pytest.fixture(scope="session")
def garbage_is_looked_for_between_tests() -> Iterator[None]:
    """Napari looks for it at each layer that goes, for the sake of some drivers of Windows: a tenth of these tests."""
    canvas = importlib.import_module("napari._vispy.canvas")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canvas, "gc", SimpleNamespace(collect=lambda: 0))
        yield


@pytest.fixture(scope="session")
def windows_take_their_time() -> Iterator[None]:
    """Napari's fixture gives a window five seconds to be shown, which a loaded machine may not keep."""
    from pytestqt.qtbot import QtBot

    shown = QtBot.waitExposed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QtBot, "waitExposed", lambda bot, window, timeout=0: shown(bot, window, timeout=WAIT))
        yield


@pytest.fixture
def open_panel(
    imports_set_aside: None,
    windows_take_their_time: None,
    garbage_is_looked_for_between_tests: None,
    make_napari_viewer: Callable[..., Any],
    tmp_path: Path,
    engine_environment: Any,
) -> Iterator[Any]:
    """Opens a window with the panel; keyword arguments are those of `MedSegPanel`.

    `closable` for tests that close the window themselves: napari's fixture wants to close its own.
    """
    import napari
    from napari._app_model import get_app_model
    from napari._qt.qt_viewer import QtViewer

    from napari_medseg.panel import MedSegPanel

    panels: list[tuple[Any, Any]] = []

    def make(project: Path = tmp_path / "project", *, closable: bool = False, **options: Any) -> Any:
        viewer = napari.Viewer() if closable else make_napari_viewer(show=True)
        panel = MedSegPanel(viewer, project, **options)
        viewer.window.add_dock_widget(panel, name="MedSeg", area="right")
        panels.append((panel, viewer if closable else None))
        return panel

    yield make
    for panel, viewer in panels:
        was_open = panel.working
        panel.let_go()
        if viewer is None:
            panel.controller.background._threads.shutdown()  # what is still at work there holds the window
        if viewer is not None and was_open:
            viewer.close()
    if any(viewer is not None for _, viewer in panels):
        get_app_model().menus.menus_changed.disconnect()  # deleted ones still listen, and telling each takes long
        QtViewer._instances.clear()  # napari's fixture checks its own for leaks, and these are not


@pytest.fixture
def panel(open_panel: Any, until: Any) -> Any:
    """A panel whose engine answers."""
    made = open_panel()
    until(lambda: made.state.engine_ready and made.state.models)
    return made


@pytest.fixture
def discs() -> np.ndarray:
    """Bright discs on a dark, noisy ground, (96, 128) uint8: what the nuclei model knows."""
    rows, columns = np.mgrid[:96, :128]
    image = np.random.default_rng(0).normal(12, 3, rows.shape)
    for row, column in ((24, 30), (60, 90), (70, 30)):
        image += 120 * ((rows - row) ** 2 + (columns - column) ** 2 < 11**2)
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An image and an empty mask of (40, 50), the brush in hand, without a window."""
    made = Desk(tmp_path, np.arange(2000, dtype=np.uint16).reshape(40, 50))
    made.draw(np.zeros((40, 50), np.uint8)).layer.mode = "paint"
    yield made
    made.close(lose=True)


@pytest.fixture(scope="session", autouse=True)
def _the_window_never_imports_torch() -> Iterator[None]:
    yield
    assert not _forbidden_imports()


@pytest.fixture
def forbidden_imports() -> Callable[[], set[str]]:
    """Libraries that this process has imported and no window may."""
    return _forbidden_imports


def _forbidden_imports() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules} & NEVER_IN_THE_WINDOW


@pytest.fixture
def press(qtbot: Any) -> Callable[[Any], None]:
    """A click of the mouse on a button."""
    from qtpy.QtCore import Qt

    def click(button: Any) -> None:
        assert button.isEnabled(), f"'{button.text()}' cannot be pressed"
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    return click


@pytest.fixture
def answer() -> Callable[[str], None]:
    """Presses a button of the next question that comes up; the real box, the real button."""
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication, QMessageBox

    def soon(title: str) -> None:
        def press_it() -> None:
            box = next(
                (w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox) and w.isVisible()), None
            )
            if box is None:
                QTimer.singleShot(20, press_it)
            else:
                next(button for button in box.buttons() if button.text().replace("&", "") == title).click()

        QTimer.singleShot(20, press_it)

    return soon


@pytest.fixture
def until(qtbot: Any) -> Callable[[Callable[[], object]], None]:
    """Wait for something to become true, while the window lives on."""
    return lambda true: qtbot.waitUntil(lambda: bool(true()), timeout=WAIT)


@pytest.fixture
def hand(panel: Any, discs: np.ndarray, until: Any, qtbot: Any) -> Hand:
    """A window with an image of three discs, objects each with a label of its own."""
    panel.controller.viewer.add_image(discs, name="discs")
    panel.state.own_labels = True
    qtbot.wait(1)  # the canvas has its final size
    return Hand(panel, until)
