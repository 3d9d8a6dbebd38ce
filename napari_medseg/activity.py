"""What runs in the engine, in napari's own activity dock, too."""

from __future__ import annotations

from napari.utils import progress

from .state import PanelState


class ActivityDock:
    """One bar each for a segmentation, a folder, a fine-tuning, a file being opened and an export, while under way."""

    def __init__(self, state: PanelState) -> None:
        self._bars: dict[str, progress] = {}
        state.events.segmenting.connect(lambda share: self._show("MedSeg: segmenting", share))
        state.events.learning.connect(lambda share: self._show("MedSeg: learning", share))
        state.events.exporting.connect(lambda share: self._show("MedSeg: exporting", share))
        state.events.queue_share.connect(lambda share: self._show("MedSeg: segmenting a folder", share))
        state.events.opening.connect(lambda said: self._show("MedSeg: opening", 0.0 if said else None))

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
            self._bars[title] = progress(total=100, desc=title)
        bar = self._bars[title]
        done = round(share * 100)
        if done > bar.n:
            bar.update(done - bar.n)
