"""Takes the screenshots of the README and the user guide in the real window: `make docs`.

Everything runs in folders of its own, so no project of yours is touched.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

FOLDER = Path(__file__).parent / "images"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="medseg") as folder:
        os.environ |= {"MEDSEG_RUNTIME": f"{folder}/run", "MEDSEG_PROJECT": f"{folder}/project", "MEDSEG_IDLE": "5"}
        _take()


def _take() -> None:
    from napari_medseg.samples import samples
    from napari_medseg.trainer.config import FineTuneConfig
    from napari_medseg.window import make_window

    viewer, panel = make_window(sample="fluorescence")
    viewer.window.resize(1480, 1000)
    panel.setMinimumWidth(390)
    _until(lambda: panel.state.engine_ready)
    _settle()
    panel.controller.segmenting.start()
    _until(lambda: panel.state.segmenting is None and panel.state.mask is not None)
    _shoot(viewer, "segmented")
    panel.state.show_doubt = True
    _shoot(viewer, "doubt")
    panel.state.show_doubt = False

    for sample in samples("histology")[:4]:
        viewer.layers.clear()
        _settle(1)  # napari crashes where Mesa draws, if images of another kind come before it has drawn none
        viewer.add_image(sample.image().data, name=sample.title, rgb=True)
        panel.controller.segmenting.start()
        _until(lambda: panel.state.segmenting is None and panel.state.mask is not None)
        mask = panel.state.mask
        mask.data[...] = sample.mask()
        mask.refresh()
        panel.controller.accepting.start()
        _until(lambda: panel.state.accepted)
    panel.controller.learning.config = FineTuneConfig(replace(FineTuneConfig().training, seconds=60))
    panel.controller.learning.start()
    _until(lambda: (panel.state.learning or 0) > 0.6)
    _shoot(viewer, "learning")
    _until(lambda: panel.state.learning is None and panel.state.versions)
    panel.controller.segmenting.start()
    _until(lambda: panel.state.segmenting is None)
    _shoot(viewer, "learned")
    panel.let_go()
    viewer.close()


def _shoot(viewer, name: str) -> None:
    from napari._qt.dialogs.qt_notification import NapariQtNotification
    from qtpy.QtWidgets import QApplication

    _settle()
    for widget in QApplication.allWidgets():
        if isinstance(widget, NapariQtNotification):
            widget.close()
    _settle(0.5)
    FOLDER.mkdir(exist_ok=True)
    viewer.screenshot(str(FOLDER / f"{name}.png"), canvas_only=False, flash=False)
    print(FOLDER / f"{name}.png")


def _settle(seconds: float = 6) -> None:
    """Let the window draw, and its passing messages pass."""
    until = time.monotonic() + seconds
    _until(lambda: time.monotonic() > until)


def _until(true: Callable[[], object], seconds: float = 300) -> None:
    from qtpy.QtTest import QTest

    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain")
        QTest.qWait(20)


if __name__ == "__main__":
    main()
