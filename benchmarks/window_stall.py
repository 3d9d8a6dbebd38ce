"""How long the window stands still, while the predictor and the trainer work on the same cores.

A timer fires every 10 ms in the window's thread; a stall is how much later than that it comes. The same user actions
(a brush stroke, a zoom and a pan, four times a second) are made in bare napari, in napari with the panel at rest,
while an image is segmented, and while a model learns; bare napari is the rival.

    xvfb-run -a python benchmarks/window_stall.py [--seconds 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

TICK = 10  # ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each phase")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medseg", ignore_cleanup_errors=True) as folder:
        os.environ |= {"MEDSEG_RUNTIME": f"{folder}/run", "MEDSEG_PROJECT": f"{folder}/project", "MEDSEG_IDLE": "5"}
        figures = measure(options.seconds)
    bare = figures["bare napari"]
    print(f"{'phase':28}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'p99 / bare':>12}")
    for phase, found in figures.items():
        ratio = found["p99"] / max(bare["p99"], 0.1)
        print(f"{phase:28}{found['p50']:9.1f}{found['p99']:9.1f}{found['max']:9.1f}{ratio:12.2f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


def measure(seconds: float) -> dict[str, dict[str, float]]:
    """Stalls of each phase: p50, p99 and max in ms."""
    import napari

    from napari_medseg.panel import MedSegPanel
    from napari_medseg.samples import samples
    from napari_medseg.trainer.config import FineTuneConfig

    figures = {}
    viewer = napari.Viewer()
    cases = samples("histology")[:3]
    viewer.add_image(cases[0].image().data, rgb=True, name="image")
    viewer.add_labels(np.zeros(cases[0].mask().shape, np.uint8), name="drawn")
    figures["bare napari"] = stalls(viewer, seconds)

    clear(viewer)
    panel = MedSegPanel(viewer)
    viewer.window.add_dock_widget(panel, name="MedSeg")
    until(lambda: panel.state.engine_ready)
    for case in cases:
        viewer.add_image(case.image().data, rgb=True, name=case.title)
        viewer.add_labels(case.mask())
        panel.controller.accepting.start()
        until(lambda: panel.state.accepted)
    figures["panel at rest"] = stalls(viewer, seconds)

    large = np.tile(cases[0].image().data, (24, 24, 1))
    clear(viewer)
    image = viewer.add_image(large, rgb=True, name="large")
    viewer.add_labels(np.zeros(large.shape[:2], np.uint8), name="drawn")
    panel.state.image = image
    panel.controller.segmenting.start()
    until(lambda: (panel.state.segmenting or 0) > 0)
    figures["while segmenting"] = stalls(viewer, seconds)
    panel.controller.segmenting.cancel()
    until(lambda: panel.state.segmenting is None)

    clear(viewer)
    viewer.add_image(cases[0].image().data, rgb=True, name="image")
    viewer.add_labels(np.zeros(cases[0].mask().shape, np.uint8), name="drawn")
    panel.controller.learning.config = FineTuneConfig(
        replace(FineTuneConfig().training, steps=10_000, seconds=10 * seconds)
    )
    panel.controller.learning.start()
    until(lambda: (panel.state.learning or 0) > 0)
    figures["while learning"] = stalls(viewer, seconds)
    panel.controller.learning.cancel()
    until(lambda: panel.state.learning is None)
    panel.let_go()
    viewer.close()
    return figures


def clear(viewer: Any) -> None:
    """No layers, and drawn so: napari crashes where Mesa draws, if other images come before it has."""
    viewer.layers.clear()
    end = time.monotonic() + 1
    until(lambda: time.monotonic() > end)


def stalls(viewer: Any, seconds: float) -> dict[str, float]:
    """How late a 10 ms timer is while a user paints, zooms and pans."""
    from qtpy.QtCore import Qt, QTimer

    late: list[float] = []
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        late.append(max(0.0, (now - last) * 1000 - TICK))
        last = now

    labels = viewer.layers[-1]
    draw = np.random.default_rng(0)

    def act() -> None:
        position = tuple(draw.integers(0, side) for side in labels.data.shape)
        labels.paint(position, 1)
        camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
        camera.zoom *= draw.choice([0.9, 1.1])
        camera.center = tuple(np.array(camera.center) + draw.normal(0, 2, len(camera.center)))

    timer, user = QTimer(interval=TICK), QTimer(interval=250)
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    user.timeout.connect(act)
    end = time.perf_counter() + seconds
    last = time.perf_counter()
    timer.start()
    user.start()
    until(lambda: time.perf_counter() > end)
    timer.stop()
    user.stop()
    return {"p50": float(np.percentile(late, 50)), "p99": float(np.percentile(late, 99)), "max": float(max(late))}


def until(true: Callable[[], object], seconds: float = 300) -> None:
    from qtpy.QtCore import QEventLoop, QTimer

    loop, poll = QEventLoop(), QTimer(interval=50)
    end = time.monotonic() + seconds

    def look() -> None:
        if true() or time.monotonic() > end:
            loop.quit()

    poll.timeout.connect(look)
    poll.start()
    loop.exec()
    poll.stop()
    if not true():
        raise TimeoutError(f"waited {seconds} s in vain")


if __name__ == "__main__":
    main()
