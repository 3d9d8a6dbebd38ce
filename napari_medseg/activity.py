"""What runs in the engine, in napari's own activity dock, too."""

from __future__ import annotations

from napari.utils import progress
from qtpy.QtWidgets import QLabel, QMainWindow, QWidget

from .state import PanelState

PACE = 10
"""Percent of its usual pace at which napari's little sign of activity moves."""


class ActivityDock:
    """One bar each for a segmentation, a folder, a fine-tuning, a file being opened and an export, while under way.

    Args:
        panel: a widget in napari's window, sooner or later.
        state: what the panel shows.
    """

    def __init__(self, panel: QWidget, state: PanelState) -> None:
        self._panel = panel
        self._bars: dict[str, progress] = {}
        state.events.segmenting.connect(lambda share: self._show("MedSeg: segmenting", share))
        state.events.learning.connect(lambda share: self._show("MedSeg: learning", share))
        state.events.exporting.connect(lambda share: self._show("MedSeg: exporting", share))
        state.events.queue_share.connect(lambda share: self._show("MedSeg: segmenting a folder", share))
        state.events.opening.connect(lambda said: self._show("MedSeg: opening", 0.0 if said else None))
        state.events.opening_share.connect(lambda share: self._show("MedSeg: opening", share))

    def close(self) -> None:
        """Take the bars away."""
        for title in list(self._bars):
            self._show(title, None)

    def _show(self, title: str, share: float | None) -> None:
        if share is None:
            if bar := self._bars.pop(title, None):
                bar.close()
            return
        if title not in self._bars:
            _calm(self._panel)
            self._bars[title] = progress(total=100, desc=title)
        bar = self._bars[title]
        done = round(share * 100)
        if done > bar.n:
            bar.update(done - bar.n)


def _calm(widget: QWidget | None) -> None:
    """Slow down the moving picture in the status bar of the window that a widget is in.

    Where Mesa draws, the whole window is put together anew for each of its frames: a quarter of a core, all the time
    that something runs.
    """
    while widget is not None and not isinstance(widget, QMainWindow):
        widget = widget.parentWidget()
    for label in widget.statusBar().findChildren(QLabel) if widget is not None else ():
        if (movie := label.movie()) is not None:
            movie.setSpeed(PACE)
