"""A napari window with the panel in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def open_window(paths: Sequence[Path] = (), *, sample: str | None = None, project: Path | None = None) -> None:
    """Open napari with the panel and these images, and stay until the window is closed."""
    import napari

    make_window(paths, sample=sample, project=project)
    napari.run()


def make_window(
    paths: Sequence[Path] = (), *, sample: str | None = None, project: Path | None = None
) -> tuple[Any, Any]:
    """The viewer and its panel, shown; the panel is the one that napari's plugin menu opens and closes."""
    import napari

    if project is not None:
        os.environ["MEDSEG_PROJECT"] = str(project)
    viewer = napari.Viewer(title="MedSeg")
    _, panel = viewer.window.add_plugin_dock_widget("napari-medseg", "MedSeg")
    if sample is not None:
        viewer.open_sample("napari-medseg", sample)
    panel.controller.open_images(paths)
    return viewer, panel
