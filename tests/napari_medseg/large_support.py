"""A large image on the disk and what the panel does with it, without a window."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image

from napari_medseg.large.large_masks import LargeMasks
from napari_medseg.models.durable import explained
from napari_medseg.models.formats import open_image
from napari_medseg.models.label_store import LabelStore
from napari_medseg.opening.layers import made_layers
from napari_medseg.opening.mask_file import MaskFile

from .editing_support import Desk

SHAPE = (1500, 2000)
STEP = (0.5, 0.25)


def write_slide(path: Path) -> Path:
    """An OME-Zarr image with a pyramid: bright discs on a dark ground, 0.5 x 0.25 um a pixel."""
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    discs = ((rows % 100 - 50) ** 2 + (columns % 100 - 50) ** 2 < 30**2) * 150 + rows % 7
    LabelStore.create(path, SHAPE, "YX", STEP, "um", dtype=np.uint8, chunk=256).write((), discs.astype(np.uint8))
    return path


class LargeDesk(Desk):
    """Layers of a viewer with a slide, whose large masks are followed; the view is 800 x 600 pixels of the screen."""

    def __init__(self, project: Path, slide: Path) -> None:
        super().__init__(project, np.zeros((8, 8), np.uint8))
        self.slide = slide
        self.viewer.layers.clear()
        self.viewer._canvas_size = (600, 800)
        self.large = LargeMasks(self.viewer, self.state, self.masks, self.background)
        self.large.flush = self.editing.flush
        self.file = MaskFile(self.viewer, self.state, self.masks, self.large, self.background)
        self.image: Image = self.viewer.add_layer(made_layers(open_image(slide))[0])

    def open_mask(self, path: Path) -> None:
        """Have it opened on the slide, until it is shown or refused."""
        layers = len(self.viewer.layers)
        self.file.open(path)
        self.until(lambda: self.state.opening_share is None)
        self.until(lambda: self.state.problem or self.state.notice or len(self.viewer.layers) > layers)

    def look_at(self, row: float, column: float, zoom: float = 8.0) -> None:
        """Have a pixel of the slide in the middle of the view; at zoom 8, some 150 x 400 pixels are seen."""
        self.viewer.camera.center = (0, row * STEP[0], column * STEP[1])
        self.viewer.camera.zoom = zoom

    def edit(self, row: float, column: float, zoom: float = 8.0) -> None:
        """Open the part there."""
        self.look_at(row, column, zoom)
        self.large.edit_here()
        self.until(lambda: not self.state.part_busy)

    @property
    def waiting(self) -> bool:
        """Whether the window's loop has something to do."""
        return bool(self._calls)

    def next_turn(self) -> None:
        """Do what was waiting when this turn began, as Qt does; what comes meanwhile waits for the next one."""
        calls, self._calls[:] = list(self._calls), []
        for call in calls:
            call()

    def done(self) -> None:
        self.large.done()
        self.until(lambda: not self.state.in_part)

    @property
    def whole(self) -> np.ndarray:
        """The mask of the slide, as it is on the disk."""
        (folder,) = (self.state.project / "large").iterdir()
        return LabelStore.open(folder / "mask.ome.zarr").read()

    @property
    def shown(self) -> list[np.ndarray]:
        """The mask of the slide, as it is shown: at each resolution."""
        masks = [layer for layer in self.viewer.layers if layer.name.startswith(f"{self.image.name} mask")]
        return [np.asarray(level) for level in next(layer for layer in masks if layer.visible).data]

    def close(self, *, lose: bool = False) -> None:
        if self._open:
            self.file.close()
            self.large.close()
        super().close(lose=lose)


def paint(desk: LargeDesk, row: int, column: int, label: int = 3) -> None:
    """A dab of napari's brush, at a pixel of the slide."""
    layer = desk.state.mask
    layer.mode, layer.brush_size = "paint", 5
    layer.paint(np.round(layer.world_to_data((row * STEP[0], column * STEP[1]))), label)


def answer(desk: LargeDesk, value: int, folder: Any = None) -> Path:
    """A model's answer: this label along the left side of the slide."""
    folder = folder or desk.large.folder_for(desk.image, "nuclei", "instances")
    store = LabelStore.create(folder.labels, SHAPE, "YX", STEP, "um", dtype=np.uint32)
    store.write((slice(0, 1500), slice(0, 100)), np.full((1500, 100), value, np.uint32))
    desk.large.made(desk.image, folder, value)
    return folder.path


def full(store: LabelStore, region: Any, labels: Any) -> None:
    """Stands for `LabelStore.write` on a disk without room."""
    with explained(store.path):
        raise OSError(errno.ENOSPC, "No space left on device")
