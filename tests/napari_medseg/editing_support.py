"""Masks that are edited and kept, without a window: the real layers, the real journal, real files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel

from napari_medseg.background import Background
from napari_medseg.editing import Editing, Recovery, Rejoining
from napari_medseg.editing.content import Content
from napari_medseg.editing.identity import identity_of
from napari_medseg.editing.restoring import read_draft
from napari_medseg.masks import Mask, Masks
from napari_medseg.models.formats import open_image
from napari_medseg.opening.layers import made_layers
from napari_medseg.state import PanelState

from ..held_processes import WAIT


class Desk:
    """Layers of a viewer, and what the panel does with them; `pump` is the window's event loop."""

    def __init__(self, project: Path, image: Any) -> None:
        self._calls: list[Callable[[], None]] = []
        self.viewer = ViewerModel()
        self.state = PanelState(project=project)
        self.background = Background(self._calls.append)
        self.masks = Masks(self.viewer, self.state)
        self.editing = Editing(self.state, self.masks, self.background)
        self.recovery = Recovery(self.state, self.editing, self.background)
        self.rejoining = Rejoining(self.viewer, self.masks, self.background)
        self._open = True
        self.image = self.open(image) if isinstance(image, Path) else self.viewer.add_image(image, name="image")

    def open(self, path: Path) -> Any:
        """An image from a file."""
        (layer,) = made_layers(open_image(path))
        return self.viewer.add_layer(layer)

    def draw(self, labels: np.ndarray) -> Mask:
        """A mask of the user's own."""
        self.viewer.add_labels(labels, name="mask")
        return self.mask

    @property
    def mask(self) -> Mask:
        mask = self.masks.current()
        assert mask is not None
        return mask

    @property
    def pixels(self) -> np.ndarray:
        return np.asarray(self.mask.layer.data)

    def pump(self) -> None:
        while self._calls:
            self._calls.pop(0)()

    def until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT
        while not true():
            assert time.monotonic() < deadline, "it did not happen"
            self.pump()
            time.sleep(0.002)

    def settle(self) -> None:
        """Until the journal has everything, and has said so."""
        assert self.editing.keeping.wait(WAIT)
        self.pump()

    def rest(self) -> None:
        """Until all that runs beside the window has ended, and what that began."""
        for _ in range(3):
            barrier = threading.Barrier(5)
            for _ in range(4):  # as many as there are threads
                self.background._threads.submit(barrier.wait)
            barrier.wait()
            self.pump()

    @property
    def drafts(self) -> list[Path]:
        return sorted((self.state.project / "drafts").glob("*.draft"))

    def kept(self) -> Content:
        """What another window would find on the disk."""
        self.settle()
        (path,) = self.drafts
        return read_draft(path, identity_of(self.image))

    def close(self, *, lose: bool = False) -> None:
        if self._open:
            self._open = False
            self.rejoining.close()
            self.background.close()
            self.editing.close(lose=lose)
            self.masks.let_go()


def box(*spans: tuple[int, int]) -> tuple[slice, ...]:
    return tuple(slice(*span) for span in spans)
