"""How long after a click of the mouse the mask is repainted: real window, real engine, real events.

The clock runs from the release of the mouse button to the end of the first drawing of the canvas after the answer was
written; the button is let go of at once, or held as long as a hand holds it. Clicks go on and beside nuclei of an image
made of a sample, at random; each object gets four. "first" is the median of the first clicks in images that were just
opened, a hand's way after the tool was taken up. Between two clicks the window lives on for as long as a quick hand
takes (--pause 0: the next one comes as soon as the last one is drawn, while the window is still busy with that).
Processor time of the window and of the engine is given as well, since it is the same on a busy machine; what they do
in the pauses is in it.

    xvfb-run -a -s "-screen 0 1600x1100x24" python benchmarks/prompt_latency.py [--clicks 40] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import psutil

SHAPES = ((512, 512), (4096, 4096), (300, 512, 512))
HELD = (0, 80)
"""ms that the button is held; a hand takes about 80."""

THERE = 100
"""ms that the mouse is where it will click before the button goes down: nobody presses while it still moves."""

FIRSTS = 6
"""Images that are opened for one click each, before the one that gets all others."""

REACHING = 1000
"""ms from the tool's button to the object in the image: people take about a second."""

PAUSE = 250
"""ms between a drawn answer and the next click; a quick hand takes about that."""

LOADING = 16_000
"""ms after which the engine's trainer, too, has begun to load what it needs, which takes some seconds once."""

AN_OBJECT = 4
"""Clicks that each object gets."""

WARM = 3
"""Clicks before the clock is looked at: the first one sends the image."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=40, help="for each size")
    parser.add_argument("--pause", type=int, default=PAUSE, help="ms between a drawn answer and the next click")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medseg", ignore_cleanup_errors=True) as folder:
        os.environ |= {"MEDSEG_RUNTIME": f"{folder}/run", "MEDSEG_PROJECT": f"{folder}/project", "MEDSEG_IDLE": "5"}
        figures = measure(options.clicks, options.pause)
    columns = ("held ms", "first", "p50 ms", "p95 ms", "max ms", "window CPU", "engine CPU")
    print(f"{'image':18}" + "".join(f"{column:>12}" for column in columns))
    for image, found in figures.items():
        print(f"{image.split(',')[0]:18}" + "".join(f"{value:12.0f}" for value in found.values()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


def measure(clicks: int, pause: int = PAUSE) -> dict[str, dict[str, float]]:
    """For each size and way to click: ms from the mouse to the repainted mask, and ms of processor time a click."""
    import napari

    from napari_medseg.panel import MedSegPanel
    from napari_medseg.samples import samples

    viewer = napari.Viewer()
    viewer.window.resize(1500, 1000)
    panel = MedSegPanel(viewer)
    viewer.window.add_dock_widget(panel, name="MedSeg")
    until(lambda: panel.state.engine_ready)
    wait(LOADING)
    until_quiet(engine_processes())
    figures = {}
    for shape, held in product(SHAPES, HELD):
        pixels, objects = image_of(samples("fluorescence")[0], shape)
        firsts = []
        for number in range(FIRSTS):
            show(panel, np.roll(pixels, 7 * number, -2))
            firsts.append(first_click(panel, np.roll(objects, 7 * number, 0), number, held))
        show(panel, pixels)
        found = {"held": held, "first": float(np.median(firsts)) * 1e3}
        figures[f"{called(shape)}, held {held} ms"] = found | session(panel, objects, clicks, held, pause)
    panel.let_go()
    viewer.close()
    return figures


def image_of(sample: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of a shape, (Y, X) or (Z, Y, X), and the objects (Y, X) that are in each plane of it."""
    image, truth = sample.image().data, sample.mask()
    times = [-(-side // length) for side, length in zip(shape[-2:], truth.shape, strict=True)]
    plane, objects = (np.tile(one, times)[: shape[-2], : shape[-1]] for one in (image, truth))
    return np.ascontiguousarray(np.broadcast_to(plane, shape)), objects


def called(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)


def show(panel: Any, pixels: np.ndarray) -> None:
    """One image in the window, and the click tool taken up."""
    viewer, prompting = panel.controller.viewer, panel.controller.prompting
    prompting.put_down()
    viewer.layers.clear()
    viewer.add_image(pixels, name=called(pixels.shape))
    viewer.reset_view()
    prompting.take_up("click")


def first_click(panel: Any, truth: np.ndarray, number: int, held: int) -> float:
    """Seconds of the first click in an image, on one of its objects."""
    wait(REACHING)
    rows, columns = np.nonzero(truth)
    middle = np.random.default_rng(number).integers(len(rows))
    return clicked(panel, np.array((rows[middle], columns[middle])), right=False, held=held)


def session(panel: Any, truth: np.ndarray, clicks: int, held: int, pause: int) -> dict[str, float]:
    """Click on an image whose objects are known."""
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(truth)
    took = []
    window, engine = psutil.Process(), engine_processes()
    for number in range(WARM + clicks):
        if number == WARM:
            cpu = seconds_of([window]), seconds_of(engine)
        if number % AN_OBJECT == 0:
            panel.controller.prompting.accept_object()
            until(lambda: panel.controller.prompting.idle)
            middle = rng.integers(len(rows))
        wait(pause)
        at = np.clip(
            (rows[middle], columns[middle]) + rng.normal(0, 6, 2) * (number % AN_OBJECT > 0), 0, len(truth) - 1
        )
        took.append(clicked(panel, at, right=bool(truth[tuple(at.astype(int))] == 0), held=held))
    window_cpu, engine_cpu = (seconds_of(who) - was for who, was in zip(([window], engine), cpu, strict=True))
    of_interest = np.array(took[WARM:]) * 1e3
    return {
        "p50": float(np.median(of_interest)),
        "p95": float(np.quantile(of_interest, 0.95)),
        "max": float(of_interest.max()),
        "window_cpu": window_cpu / clicks * 1e3,
        "engine_cpu": engine_cpu / clicks * 1e3,
    }


def clicked(panel: Any, at: np.ndarray, *, right: bool, held: int) -> float:
    """Seconds from the end of a click at a position in pixels to the repainted canvas."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    viewer, controller = panel.controller.viewer, panel.controller
    canvas = viewer.window._qt_viewer.canvas
    image = panel.state.image
    world = image.data_to_world((*viewer.dims.current_step[: image.ndim - 2], *at))
    x, y = canvas.view.scene.transform.map((world[-1], world[-2], 0, 1))[:2]
    drawn: list[float] = []
    released = False

    def note(event: Any) -> None:
        if released and controller.prompting.idle:  # not idle any more from the release on, until the answer is written
            drawn.append(time.perf_counter())

    canvas._scene_canvas.events.draw.connect(note, position="last")
    button = Qt.MouseButton.RightButton if right else Qt.MouseButton.LeftButton
    QTest.mouseMove(canvas.native, QPoint(round(x), round(y)))
    wait(THERE)
    QTest.mousePress(canvas.native, button, Qt.KeyboardModifier.NoModifier, QPoint(round(x), round(y)))
    wait(held)
    began = time.perf_counter()
    QTest.mouseRelease(canvas.native, button, Qt.KeyboardModifier.NoModifier, QPoint(round(x), round(y)))
    released = True
    until(lambda: controller.prompting.idle)
    if not drawn:
        canvas.native.update()  # also if nothing changed
        until(lambda: drawn)
    canvas._scene_canvas.events.draw.disconnect(note)
    return drawn[0] - began


def engine_processes() -> list[psutil.Process]:
    """The engine's, which know the runtime folder of this measurement."""
    from napari_medseg.models.engine.address import read_address, runtime_folder

    found = read_address(runtime_folder())
    assert found is not None
    engine = psutil.Process(found.pid)
    return [engine, *engine.children(recursive=True)]


def seconds_of(processes: list[psutil.Process]) -> float:
    """Processor time that processes have used."""
    times = [process.cpu_times() for process in processes]
    return sum(one.user + one.system for one in times)


def wait(ms: int) -> None:
    """Let the window live for so long."""
    from qtpy.QtTest import QTest

    if ms:
        QTest.qWait(ms)


def until_quiet(processes: list[psutil.Process]) -> None:
    """Let the window live until processes do little more than tell each other that they live; a minute at most."""
    for _ in range(60):
        before = seconds_of(processes)
        wait(1000)
        if seconds_of(processes) - before < 0.2:
            return


def until(true: Callable[[], object]) -> None:
    """Let the window live until something is true; between events it sleeps, as it does under a user's hands."""
    from qtpy.QtCore import QEventLoop, QTimer
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + 300
    heart = QTimer()  # so that the deadline is seen
    heart.start(500)
    while not true():
        QApplication.processEvents(
            QEventLoop.ProcessEventsFlag.AllEvents | QEventLoop.ProcessEventsFlag.WaitForMoreEvents
        )
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen within five minutes")


if __name__ == "__main__":
    main()
