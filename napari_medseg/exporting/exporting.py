"""Writes the chosen image's mask for other programs, away from the window's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg.models.cancelling import Cancel, stop_if
from napari_medseg.models.errors import CancelledError, ImageError
from napari_medseg.models.export import EXPORTS, check_not_the_image, export_mask, fitting
from napari_medseg.models.export.pyramid_tiff import write_pyramid
from napari_medseg.models.export.stores import copy_store
from napari_medseg.models.formats import open_image
from napari_medseg.models.formats.kinds import Kind, content_kind, stem
from napari_medseg.models.image import Array
from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.memory import check_fits_in_memory

from ..background import Background
from ..image_layers import (
    axes_of,
    channel_siblings,
    file_path,
    medical_image,
    noted_of,
    without_pixels,
)
from ..large.large_masks import LargeMasks
from ..masks import Masks
from ..measuring.measuring import label_names
from ..state import PanelState

_WITH_PIXELS = ("csv", "csv-slices")
"""Formats that need the pixels of the image, and not only where they lie."""

NO_MASK = "There is no mask to export yet. Segment the image, or draw a mask in a new Labels layer."
CANCELLED = "The export was cancelled; nothing was written, and an older file is as it was."
SOURCE = " It lies on its source's own slices, with the spacing of their file and not the one that is set here."
PATIENT = " It holds the patient's name and ID, since the standard wants it."


class Exporting:
    """One file at a time.

    Args:
        viewer: whose layers hold image and mask.
        state: what the panel shows; `exports` are the formats that fit the chosen image, `export` the picked one.
        masks: knows which mask belongs to the image.
        large: likewise, of images that stay on the disk.
        background: where the writing is done.
    """

    def __init__(self, viewer: Any, state: PanelState, masks: Masks, large: LargeMasks, background: Background) -> None:
        self.viewer, self._state, self._masks, self._large = viewer, state, masks, large
        self._background = background
        self._stop = threading.Event()  # of the export that is under way
        self._kind: Kind | None = None
        self._usual = ""
        state.events.image.connect(self._image_picked)
        state.events.large.connect(self._offer)
        self._image_picked()

    def close(self) -> None:
        """Offer nothing any more; what is being written is written to the end."""
        self._state.events.image.disconnect(self._image_picked)
        self._state.events.large.disconnect(self._offer)
        self.viewer = None

    def suggested(self) -> Path:
        """Where the file may go: beside the image; one of DICOM gets a name that tells nothing of the patient."""
        path, ending = file_path(self._state.image), EXPORTS[self._state.export].ending
        if path is None or self._kind == "dicom":
            return Path.home() / f"mask{ending}"
        return path.parent / f"{stem(path)}_mask{ending}"

    def start(self, path: Path) -> None:
        """Write the mask as it is at this moment in the picked format; an older file is replaced."""
        layer, state = self._state.image, self._state
        if layer is None or state.exporting is not None or not state.export:
            return
        state.problem = state.notice = ""
        try:
            check_not_the_image(path, file_path(layer))
        except ImageError as error:
            state.problem = str(error)
            return
        if state.large:
            self._start_large(path)
            return
        mask = self._masks.current()
        if mask is None or state.mask is None:
            state.problem = NO_MASK
            return
        pixels, export = np.array(mask.layer.data), self._export(path, layer)
        self._begin()
        self._write(self._said(path), lambda cancel: export(lambda: pixels, cancel))

    def cancel(self) -> None:
        """Stop; nothing is written, and an older file stays as it is."""
        self._stop.set()

    def _start_large(self, path: Path) -> None:
        """Write the mask of a large image, once what is open is put back: as it lies on the disk, where that is wanted.

        What is chosen meanwhile changes nothing of that.
        """
        image = self._large.image
        assert image is not None
        write, said = self._whole_mask(path, image), self._said(path)

        def start() -> None:
            found = self._large.wholes.of(image)
            if found is None:
                self._failed(NO_MASK)
            else:
                self._write(said, lambda cancel: write(found.store, cancel))

        self._begin()
        self._large.done(start, self._ended)

    def _whole_mask(self, path: Path, image: Any) -> Callable[[LabelStore, Cancel], None]:
        """What writes a mask that lies on the disk, with all that the state says now; to be called in a thread.

        Nothing is put back while its labels are read, so that the file holds all of a correction, or nothing of it.
        """
        key, grid, export = self._state.export, without_pixels(image), self._export(path, image)

        def write(store: LabelStore, cancel: Cancel) -> None:
            if key == "ome-zarr":
                with store.unchanged():
                    copy_store(store.path, path, cancel=cancel)
            elif key == "ome-tiff":
                with store.unchanged():
                    write_pyramid(path, store, grid, progress=self._report, cancel=cancel)
            else:
                export(lambda: _whole(store), cancel)

        return write

    def _export(self, path: Path, layer: Any) -> Callable[[Callable[[], Array], Cancel], None]:
        """What writes the labels that a function gives, with all that the state says now; to be called in a thread."""
        key, names, instances = self._state.export, label_names(self._state), self._state.own_labels
        siblings = channel_siblings(layer, self.viewer.layers)
        source, part, kind = file_path(layer), str(noted_of(layer).get("part", "")), self._kind

        def write(labels: Callable[[], Array], cancel: Cancel) -> None:
            image = medical_image(layer, siblings) if key in _WITH_PIXELS else without_pixels(layer)
            pixels = labels()
            stop_if(cancel)
            export_mask(
                path,
                pixels,
                image,
                key=key,
                source=open_image(source, part) if key == "dicom-seg" and source else None,
                names=names,
                instances=instances,
                file_name="image" if kind == "dicom" or source is None else source.name,
                progress=self._report,
                cancel=cancel,
            )

        return write

    def _said(self, path: Path) -> str:
        """What to tell when the mask is written in the picked format."""
        key = self._state.export
        what = "measurements were" if key in _WITH_PIXELS else "mask was"
        return f"The {what} written to {path}.{self._about_seg() if key == 'dicom-seg' else ''}"

    def _begin(self) -> None:
        """From now on, or a second click begins a second one."""
        self._stop, self._state.exporting = threading.Event(), 0.0

    def _write(self, said: str, write: Callable[[Cancel], None]) -> None:
        stop = self._stop

        def work() -> str:
            try:
                write(stop.is_set)
            except CancelledError:
                return CANCELLED
            return said

        def ended(how: str) -> None:
            self._ended()
            self._state.notice = how

        self._background.run(work, ended, self._failed, finish=True)

    def _ended(self) -> None:
        self._state.exporting = None

    def _about_seg(self) -> str:
        image, noted = without_pixels(self._state.image), noted_of(self._state.image)
        as_in_file = np.allclose(image.spacing, noted.get("spacing", image.spacing), rtol=1e-4)
        return PATIENT if as_in_file else PATIENT + SOURCE

    def _report(self, share: float) -> None:
        def show() -> None:
            if self._state.exporting is not None:
                self._state.exporting = share

        self._background.post(show)

    def _failed(self, reason: str) -> None:
        self._ended()
        self._state.problem = reason

    def _image_picked(self) -> None:
        self._kind = None
        self._offer()
        layer = self._state.image
        path = file_path(layer)

        def look() -> Kind | None:
            try:
                return None if path is None else content_kind(path)
            except ImageError:
                return None  # it is gone from the disk; its pixels are still there

        def found(kind: Kind | None) -> None:
            if self._state.image is layer:
                self._kind = kind
                self._offer()

        if path is not None:
            self._background.run(look, found)

    def _offer(self) -> None:
        layer = self._state.image
        if layer is None:
            self._state.exports = ()
            return
        try:
            axes = axes_of(layer)
        except ImageError:
            axes = "TZYX"
        self._state.exports = fitting(self._kind, axes, large=self._state.large)
        if self._state.export in {"", self._usual} or self._state.export not in {
            one.key for one in self._state.exports
        }:
            self._state.export = self._usual = self._state.exports[0].key  # what the user has picked stays, if it fits


def _whole(store: LabelStore) -> Array:
    """All labels of a store, if they fit in the memory."""
    check_fits_in_memory(int(store.levels[0].nbytes), "The mask")
    with store.unchanged():
        return store.read()
