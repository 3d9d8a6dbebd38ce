"""A folder of images in the panel: all segmented beside the window, each opened with its mask to be corrected."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer

from napari_medseg.models.errors import ImageError
from napari_medseg.models.writing import write_mask

from ..background import Background
from ..image_layers import channel_siblings, mask_layer_settings, medical_image
from ..masks import Mask, Masks
from ..state import PanelState
from .all_masks import AllMasks, Done, time_left
from .queued import OpenImage, QueuedImage, listed, mask_there, masks_of, read


class FolderQueue:
    """The images of one folder.

    Args:
        viewer: napari's.
        state: what the panel shows.
        masks: where masks are corrected.
        background: where files are read and written.
        reference: what the engine takes for a model, see `Ledger.reference`.
    """

    def __init__(
        self, viewer: Any, state: PanelState, masks: Masks, background: Background, reference: Callable[[str], str]
    ) -> None:
        self.viewer, self._state, self._masks, self._background = viewer, state, masks, background
        self._reference = reference
        self._folder: Path | None = None
        self._run: AllMasks | None = None
        self._open_one: OpenImage | None = None
        self._busy = False
        self._later: Callable[[], None] | None = None  # what was asked for meanwhile
        self._writing = threading.Lock()  # what was corrected later is written later

    def close(self, *, lose: bool = False) -> None:
        """Stop; what is written stays, and the next run goes on from there. Corrections are saved, or lost."""
        self.cancel()
        if not lose and (mask := self._to_save(made=False)) is not None:
            self._background.run(self._writer(mask), finish=True)
        self.viewer = None

    def choose(self, folder: Path) -> None:
        """Have a folder as the queue; its masks go to a folder beside it. What was corrected before is saved."""
        if self._run is not None:
            self._state.notice = "A folder is being segmented; wait for it, or cancel it."
        elif self._begin(lambda: self.choose(folder)):
            self._save(lambda: self._list(folder))

    def start(self) -> None:
        """Segment all images but those that have a mask of this model, or one that was corrected or drawn."""
        ready = self._folder is not None and self._state.choice() is not None and self._run is None
        if ready and self._begin(self.start):
            self._save(self._start)

    def cancel(self) -> None:
        """Stop; masks that are written stay."""
        if self._run is not None:
            self._run.cancel()

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
        if self._open_one is None or not self._begin(self.save):
            return
        mask, name = self._to_save(made=True), self._mask_file(self._open_one).name

        def saved() -> None:
            self._state.notice = f"'{name}' is saved." if mask else f"There is nothing new to save in '{name}'."
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
        begun, before = time.monotonic(), self._share()
        self._state.queue_share = before

        def arguments() -> list[str]:
            return [str(folder), "-o", str(masks), "--model", self._reference(choice.name), "--answer", answer]

        run = self._run = AllMasks(arguments)
        look = partial(self._background.post, partial(self._look, begun, before))
        self._background.run(lambda: run.run(look), self._ended, self._run_failed)
        self._end()

    def _list(self, folder: Path) -> None:
        def show(found: tuple[QueuedImage, ...]) -> None:
            self._close_shown()
            self._folder = folder
            self._state.queue, self._state.queue_at = found, -1
            self._about()
            self._end()

        # what is corrected while the folder is read is saved, too
        self._background.run(lambda: listed(folder), lambda found: self._save(lambda: show(found)), self._failed)

    def _open(self, at: int) -> None:
        queued = self._state.queue[at]
        self._background.run(
            lambda: read(queued), lambda found: self._save(lambda: self._show(at, *found)), self._failed
        )

    def _show(self, at: int, layers: list[Layer], labels: npt.NDArray[Any] | None, refused: str) -> None:
        queued = self._state.queue[at]
        try:
            self._close_shown()
            for layer in layers:
                self.viewer.add_layer(layer)
            opened = self._open_one = OpenImage(queued, layers, refused=refused)
            self._state.queue_at, self._state.image = at, layers[0]
            if refused:
                self._state.notice = f"The mask is not shown. {refused}"
            if labels is not None:
                opened.filed = self._show_mask(queued, layers[0], labels)
        finally:
            self._end()

    def _show_mask(self, queued: QueuedImage, image: Image, labels: npt.NDArray[Any]) -> tuple[Mask, int]:
        if self._state.answer == "instances" and labels.dtype == np.uint8:
            labels = labels.astype(np.uint16)  # a brush may add object 256
        layer = Labels(labels.copy(), name=f"{image.name} mask", **mask_layer_settings(image))
        made_by = None if queued.corrected else self._state.model
        mask = Mask(image, layer, None if queued.corrected else labels, made_by)
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
        if mask is None or opened.filed == (mask, mask.changes):
            return None
        return mask if made or mask.changes else None

    def _save(self, then: Callable[[], None], *, made: bool = False) -> None:
        """Write what is to be saved into the mask's file, then go on; stop with a sentence if that fails."""
        opened, mask = self._open_one, self._to_save(made=made)
        if opened is None or mask is None:
            then()
            return
        changes = mask.changes

        def written(_: None) -> None:
            opened.filed = (mask, changes)
            self._note(opened.queued.path, done=True, corrected=True, problem="")
            self._about()
            if mask.changes == changes:
                mask.unsaved = False
                then()
            else:
                self._save(then, made=made)

        self._background.run(self._writer(mask), written, self._failed, finish=True)

    def _writer(self, mask: Mask) -> Callable[[], None]:
        """Writes the mask as it is now; for a thread."""
        opened = self._open_one
        assert opened is not None
        file, image, labels = self._mask_file(opened), opened.layers[0], np.array(mask.layer.data)
        siblings = channel_siblings(image, self.viewer.layers)

        def write() -> None:
            if opened.refused and file.exists():
                raise ImageError(
                    f"The mask is not saved: it would replace a file. {opened.refused} Move that file away."
                )
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
        for layer in [*gone, *shown]:
            if layer in layers:
                layers.remove(layer)
        self._open_one = None

    def _look(self, begun: float, before: float) -> None:
        for queued in self._state.queue:
            if not queued.done and queued.mask.exists():
                self._note(queued.path, done=True, problem="")
        share = self._share()
        self._state.queue_share = share
        self._about(time_left(begun, before, share))

    def _ended(self, done: Done) -> None:
        self._run, self._state.queue_share = None, None
        for queued in self._state.queue:
            there, problem = mask_there(queued.mask), done.failed.get(queued.path, "")
            self._note(queued.path, mask=there or queued.mask, done=there is not None, problem=problem)
        bad = f"; {len(done.failed)} could not be segmented, see the list" if done.failed else ""
        kept = f", {done.kept} stay as they are: corrected, or not made here" if done.kept else ""
        stopped = "Cancelled. " if done.cancelled else ""
        self._state.notice = f"{stopped}{done.written} masks written, {done.skipped} were there{kept}{bad}."
        self._about()

    def _note(self, path: Path, **values: Any) -> None:
        self._state.queue = tuple(
            replace(queued, **values) if queued.path == path else queued for queued in self._state.queue
        )

    def _share(self) -> float:
        queue = self._state.queue
        return sum(queued.done for queued in queue) / max(1, len(queue))

    def _about(self, left: str = "") -> None:
        queue = self._state.queue
        done = sum(queued.done for queued in queue)
        said = f"{done} of {len(queue)} images have a mask"
        masks = f" in '{masks_of(self._folder).name}'" if self._folder is not None else ""
        self._state.queue_about = f"{said}{masks}{f', {left}' if left else ''}."

    def _failed(self, reason: str) -> None:
        self._state.problem = reason
        self._end()

    def _run_failed(self, reason: str) -> None:
        self._run, self._state.queue_share, self._state.problem = None, None, reason
        self._about()
