"""Takes the screenshots of `mask-tools.md` in the real window, with real clicks.

Everything runs in folders of its own, so no project of yours is touched.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from screenshots import _settle, _shoot, _until


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="medseg") as folder:
        os.environ |= {"MEDSEG_RUNTIME": f"{folder}/run", "MEDSEG_PROJECT": f"{folder}/project", "MEDSEG_IDLE": "5"}
        _take()


def _take() -> None:
    from napari_medseg.phantom import ORGANS, ct_phantom, ct_phantom_organs
    from napari_medseg.samples import samples
    from napari_medseg.window import make_window

    viewer, panel = make_window()
    viewer.window.resize(1480, 1000)
    panel.setMinimumWidth(390)
    _fold(panel, "Correct", "Mask tools")
    tools = panel.controller.tools

    sample = samples("fluorescence")[0]
    viewer.add_image(sample.image().data, name=sample.title)
    viewer.add_labels(_joined(sample.mask()), name="nuclei")
    panel.state.notice = ""
    tools.use("split")
    (first, second), middle = _two_touching(sample.mask())
    viewer.camera.center, viewer.camera.zoom = middle, 5
    _settle(2)
    _click(viewer, first)
    _shoot(viewer, "mask-tools-split-asks")
    _click(viewer, second)
    _until(lambda: "Split" in panel.state.notice)
    _shoot(viewer, "mask-tools-split")
    tools.put_down()

    viewer.layers.clear()
    _settle(1)
    volume, organs = ct_phantom(), ct_phantom_organs()
    settings = {"scale": volume.spacing, "units": (volume.unit,) * 3}
    viewer.add_image(volume.data, name="ct", contrast_limits=(-160, 240), **settings)
    viewer.add_labels(np.zeros(organs.shape, np.uint8), name="ct mask", **settings)
    mask = panel.state.mask
    liver = np.flatnonzero((organs == ORGANS["liver"]).any(axis=(1, 2)))
    for number in (liver[1], liver[len(liver) // 2], liver[-2]):
        mask.data[number] = organs[number] == ORGANS["liver"]
    mask.refresh()
    viewer.dims.set_current_step(0, int(liver[len(liver) // 3]))
    viewer.reset_view()
    tools.use("interpolate")
    _until(lambda: "Filled" in panel.state.notice)
    _shoot(viewer, "mask-tools-between-slices")
    tools.values["grow"]["distance"], tools.values["grow"]["unit"] = 3.0, volume.unit
    tools.use("grow")
    _until(lambda: "Grew" in panel.state.notice)
    _shoot(viewer, "mask-tools-grow")
    tools.use("paint_range")
    low, high = panel.sections["Mask tools"].form[0]
    low.value, high.value = 75, 240
    mask.mode, mask.brush_size = "paint", 30
    panel.state.notice = ""
    _drag(viewer, [(50 * volume.spacing[1], column * volume.spacing[2]) for column in (20, 30, 40, 55)])
    _shoot(viewer, "mask-tools-brightness")
    panel.let_go(lose=True)
    viewer.close()


def _fold(panel, *sections: str) -> None:
    """Leave only these sections open."""
    from superqt import QCollapsible

    for part in panel.findChildren(QCollapsible):
        (part.expand if part.text() in sections else part.collapse)(animate=False)


def _two_touching(mask: np.ndarray) -> tuple[tuple[tuple[int, int], tuple[int, int]], tuple[float, float]]:
    """The middles of two nuclei that touch, and the place between them."""
    one, other = _pair(mask)
    middles = [tuple(np.argwhere(mask == label).mean(axis=0)) for label in (one, other)]
    return tuple(middles), tuple(np.mean(middles, axis=0))


def _joined(mask: np.ndarray) -> np.ndarray:
    """The same mask with two nuclei as one."""
    one, other = _pair(mask)
    return np.where(mask == other, one, mask)


def _pair(mask: np.ndarray) -> tuple[int, int]:
    beside = (mask[:, :-1] != mask[:, 1:]) & (mask[:, :-1] > 0) & (mask[:, 1:] > 0)
    pairs, counts = np.unique(np.stack([mask[:, :-1][beside], mask[:, 1:][beside]]), axis=1, return_counts=True)
    one, other = pairs[:, counts.argmax()]
    return int(one), int(other)


def _click(viewer, at: tuple[float, float]) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    QTest.mouseClick(_canvas(viewer), Qt.MouseButton.LeftButton, pos=_on_canvas(viewer, at))
    _settle(0.5)


def _drag(viewer, path: list[tuple[float, float]]) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    places = [_on_canvas(viewer, at) for at in path]
    QTest.mousePress(_canvas(viewer), Qt.MouseButton.LeftButton, pos=places[0])
    for place in places[1:]:
        QTest.mouseMove(_canvas(viewer), place)
        _settle(0.2)
    QTest.mouseRelease(_canvas(viewer), Qt.MouseButton.LeftButton, pos=places[-1])


def _canvas(viewer):
    return viewer.window._qt_viewer.canvas.native


def _on_canvas(viewer, at: tuple[float, float]):
    """Where a position of the world, (row, column), is on the canvas."""
    from qtpy.QtCore import QPoint

    size = np.array((_canvas(viewer).height(), _canvas(viewer).width()))
    row, column = (np.array(at) - np.array(viewer.camera.center)[-2:]) * viewer.camera.zoom + size / 2
    return QPoint(round(column), round(row))


if __name__ == "__main__":
    Path(__file__).parent.joinpath("images").mkdir(exist_ok=True)
    main()
