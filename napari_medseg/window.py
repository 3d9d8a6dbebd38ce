"""A napari window with the panel in it."""

from __future__ import annotations

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
    """The viewer and its panel, shown."""
    import napari

    from .panel import MedSegPanel

    viewer = napari.Viewer(title="MedSeg")
    panel = MedSegPanel(viewer, project)
    viewer.window.add_dock_widget(panel, name="MedSeg", area="right")
    if sample is not None:
        viewer.open_sample("napari-medseg", sample)
    panel.controller.open_images(paths)
    return viewer, panel
