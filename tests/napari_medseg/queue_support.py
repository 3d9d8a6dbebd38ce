"""A folder of images that is worked through, without a window: the real layers, the real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_medseg.large.large_masks import LargeMasks
from napari_medseg.opening.queue import FolderQueue

from .editing_support import Desk

IMAGE = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)


class QueueDesk(Desk):
    """Layers of a viewer, and the queue."""

    def __init__(self, project: Path) -> None:
        super().__init__(project, IMAGE)
        self.viewer.layers.clear()
        self.viewer._canvas_size = (600, 800)
        self.large = LargeMasks(self.viewer, self.state, self.masks, self.background)
        self.large.flush = self.editing.flush
        self.queue = FolderQueue(self.viewer, self.state, self.masks, self.large, self.background, str)

    def choose(self, folder: Path) -> None:
        self.queue.choose(folder)
        self.until(lambda: self.state.queue or self.state.problem)

    def open(self, at: int) -> None:
        self.queue.open(at)
        self.until(lambda: self.state.queue_at == at or self.state.problem)

    def close(self, *, lose: bool = False) -> None:
        if self._open:
            self.large.close()
        super().close(lose=lose)
