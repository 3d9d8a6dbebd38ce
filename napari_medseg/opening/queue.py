"""A folder of images in the panel: all segmented beside the window, each opened with its mask to be corrected."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels

from napari_medseg.models.errors import ImageError
from napari_medseg.models.export.stores import copy_store
from napari_medseg.models.writing import on_disk, write_mask

from ..background import Background
from ..image_layers import channel_siblings, mask_layer_settings, medical_image
from ..large.large_masks import LargeMasks
from ..masks import Mask, Masks
from ..state import PanelState
from .made_by import Made, made_by
from .queued import Found, OpenImage, QueuedImage, listed, masks_of, read
from .segmenting_all import SegmentingAll


class FolderQueue:
    """The images of one folder.

    Args:
        viewer: napari's.
        state: what the panel shows.
        masks: where masks are corrected.
        large: where those of images are that stay in their files.
        background: where files are read and written.
        reference: what the engine takes for a model, see `Ledger.reference`.
    """

    def __init__(
        self,
        viewer: Any,
        state: PanelState,
        masks: Masks,
        large: LargeMasks,
        background: Background,
        reference: Callable[[str], str],
    ) -> None:
        self.viewer, self._state, self._masks, self._large = viewer, state, masks, large
        self._background, self._reference = background, reference
        self._folder: Path | None = None
        self._open_one: OpenImage | None = None
        self._busy = False
        self._later: Callable[[], None] | None = None  # what was asked for meanwhile
        self._writing = threading.Lock()  # what was corrected later is written later
        self._all = SegmentingAll(state, background, self._writing)

    def close(self, *, lose: bool = False) -> None:
        """Stop; what is written stays, and the next run goes on from there. Corrections are saved, or lost."""
        self.cancel()
        if not lose and (mask := self._to_save(made=False)) is not None:
            self._background.run(self._writer(mask), finish=True)
        self.viewer = None

    def choose(self, folder: Path) -> None:
        """Have a folder as the queue; its masks go to a folder beside it. What was corrected before is saved."""
        if self._all.running:
            self._state.notice = "A folder is being segmented; wait for it, or cancel it."
        elif self._begin(lambda: self.choose(folder)):
            self._save(lambda: self._list(folder))

    def start(self) -> None:
        """Segment all images but those that have a mask of this model, or one that was corrected or drawn."""
        ready = self._folder is not None and self._state.choice() is not None and not self._all.running
        if ready and self._begin(self.start):
            self._save(self._start)

    def cancel(self) -> None:
        """Stop; masks that are written stay."""
        self._all.cancel()

    def step(self, by: int) -> None:
        """Open the next image (1) or the one before (-1), with its mask; corrections of this one are saved."""
        if 0 <= self._state.queue_at + by < len(self._state.queue):
            self.open(self._state.queue_at + by)

    def open(self, at: int) -> None:
        """Open an image of the queue with its mask; corrections of the one that is open are saved in its mask."""
        if not self._busy and self._begin():
            self._save(lambda: self._open(at))

    def save(self) -> None:
        """Write the mask of the open image into its file: what was corrected, or made by the model in the window."""
        opened = self._open_one
        if opened is None or not self._begin(self.save):
            return
        before = opened.filed, opened.filed_large

        def saved() -> None:
            name, new = self._mask_file(opened).name, (opened.filed, opened.filed_large) != before
            self._state.notice = f"'{name}' is saved." if new else f"There is nothing new to save in '{name}'."
            self._end()

        self._save(saved, made=True)

    def _begin(self, again: Callable[[], None] | None = None) -> bool:
        """Whether nothing else is under way; if so, `again` is called when that is over."""
        if self._busy:
            self._later = again or self._later
            return False
        self._busy, self._state.problem = True, ""
        return True

    def _end(self) -> None:
        self._busy = False
        again, self._later = self._later, None
        if again is not None:
            again()

    def _start(self) -> None:
        folder, choice = self._folder, self._state.choice()
        if folder is None or choice is None:
            self._end()
            return
        answer, masks = self._state.answer, masks_of(folder)

        def arguments() -> list[str]:
            return [str(folder), "-o", str(masks), "--model", self._reference(choice.name), "--answer", answer]

        self._all.start(folder, arguments)
        self._end()

    def _list(self, folder: Path) -> None:
        def show(found: tuple[QueuedImage, ...]) -> None:
            self._close_shown()
            self._folder = folder
            self._state.queue, self._state.queue_at = found, -1
            self._all.describe(folder)
            self._end()

        # what is corrected while the folder is read is saved, too
        self._background.run(lambda: listed(folder), lambda found: self._save(lambda: show(found)), self._failed)

    def _open(self, at: int) -> None:
        queued, picked = self._state.queue[at], self._state.model
        models = [choice.name for choice in self._state.models if choice.trained]
        models.sort(key=lambda name: name != picked)  # the most likely one is looked at first

        def who(image: Path, mask: Path) -> Made | None:
            return made_by(image, mask, models, self._reference)

        self._background.run(
            lambda: read(queued, who), lambda found: self._save(lambda: self._show(at, found)), self._failed
        )

    def _show(self, at: int, found: Found) -> None:
        queued, layers = self._state.queue[at], found.layers
        try:
            self._close_shown()
            if found.given is not None:
                self._large.wholes.give(layers[0], found.given)
            for layer in layers:
                self.viewer.add_layer(layer)
            opened = self._open_one = OpenImage(queued, layers, refused=found.refused)
            self._state.queue_at, self._state.image = at, layers[0]
            if found.refused:
                self._state.notice = f"The mask is not shown. {found.refused}"
            if found.labels is not None:
                opened.filed = self._show_mask(layers[0], found)
        finally:
            self._end()

    def _show_mask(self, image: Image, found: Found) -> tuple[Mask, int]:
        labels, made = found.labels, found.made
        assert labels is not None
        if self._state.answer == "instances" and labels.dtype == np.uint8:
            labels = labels.astype(np.uint16)  # a brush may add object 256
        layer = Labels(labels.copy(), name=f"{image.name} mask", **mask_layer_settings(image))
        mask = Mask(image, layer, labels if made else None, made.model if made else None)
        self._masks.show(mask)
        return mask, mask.changes

    def _to_save(self, *, made: bool) -> Mask | None:
        """The mask of the open image if it is not in its file as it is.

        With `made`, one that the model made in the window counts, too; else only what the user corrected or drew.
        """
        opened = self._open_one
        if opened is None or opened.layers[0] not in self.viewer.layers:
            return None
        mask = self._masks.of(opened.layers[0])
        if mask is not None:
            self._large.flush(mask)
        if mask is None or opened.filed == (mask, mask.changes):
            return None
        return mask if made or mask.changes else None

    def _save(self, then: Callable[[], None], *, made: bool = False) -> None:
        """Write what is to be saved into the mask's file, then go on; stop with a sentence if that fails.

        A part of a large image that is open is put back first.
        """
        opened = self._open_one
        if opened is not None and self._large.wholes.of(opened.layers[0]) is not None:
            self._large.done(lambda: self._save_large(opened, then, made=made), self._end)
            return
        mask = self._to_save(made=made)
        if opened is None or mask is None:
            then()
            return
        changes = mask.changes

        def written(_: None) -> None:
            opened.filed = (mask, changes)
            self._note(opened.queued.path, done=True, corrected=True, problem="")
            self._large.flush(mask)
            if mask.changes == changes:
                mask.unsaved = False
                then()
            else:
                self._save(then, made=made)

        self._background.run(self._writer(mask), written, self._failed, finish=True)

    def _save_large(self, opened: OpenImage, then: Callable[[], None], *, made: bool) -> None:
        """The same for a mask that stays on the disk: in the folder already, or in the project and to be copied."""
        large = self._large.wholes.of(opened.layers[0])
        if large is None or opened is not self._open_one:
            then()
            return
        folder, file = large.folder, on_disk(self._mask_file(opened))
        now = (folder, folder.written)
        opened.refused = opened.refused or self._large.wholes.refused(opened.layers[0])
        if opened.filed_large == now or not (folder.edited if folder.outside else made or folder.written):
            then()
            return

        def write() -> None:
            if folder.outside:
                return
            _refuse(opened, file)
            with self._writing, large.store.unchanged():
                copy_store(large.store.path, file)

        def written(_: None) -> None:
            opened.filed_large = now
            self._note(opened.queued.path, mask=file, done=True, corrected=True, problem="")
            then()

        self._background.run(write, written, self._failed, finish=True)

    def _writer(self, mask: Mask) -> Callable[[], None]:
        """Writes the mask as it is now; for a thread."""
        opened = self._open_one
        assert opened is not None
        file, image, labels = self._mask_file(opened), opened.layers[0], np.array(mask.layer.data)
        siblings = channel_siblings(image, self.viewer.layers)

        def write() -> None:
            _refuse(opened, file)
            with self._writing:
                file.parent.mkdir(parents=True, exist_ok=True)
                write_mask(file, labels, medical_image(image, siblings), source=opened.queued.path)
            opened.refused = ""

        return write

    def _mask_file(self, opened: OpenImage) -> Path:
        """Where the mask of the open image stands, which may have come since it was opened."""
        path = opened.queued.path
        return next((queued.mask for queued in self._state.queue if queued.path == path), opened.queued.mask)

    def _close_shown(self) -> None:
        layers, shown = self.viewer.layers, self._open_one.layers if self._open_one is not None else []
        gone = [mask.layer for mask in self._masks.all() if mask.image in shown and not mask.unsaved]
        large = self._large.wholes.of(shown[0]) if shown else None
        for layer in [*gone, *shown, *([large.layer] if large is not None else [])]:
            if layer in layers:
                layers.remove(layer)
        self._open_one = None

    def _note(self, path: Path, **values: Any) -> None:
        self._state.queue = tuple(
            replace(queued, **values) if queued.path == path else queued for queued in self._state.queue
        )
        self._all.describe()

    def _failed(self, reason: str) -> None:
        self._state.problem = reason
        self._end()


def _refuse(opened: OpenImage, file: Path) -> None:
    """Raise an ImageError where a mask would replace a file that could not be shown."""
    there = [path for path in (file, opened.queued.mask) if path.exists()]
    if opened.refused and there:
        raise ImageError(f"The mask is not saved: it would replace a file. {opened.refused} Move that file away.")
