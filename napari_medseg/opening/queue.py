"""A folder of images in the panel: all segmented beside the window, each opened with its mask to be corrected."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image
from napari_medseg.models.formats.kinds import stem
from napari_medseg.models.reading import read_mask
from napari_medseg.models.writing import write_mask

from ..background import Background
from ..image_layers import channel_siblings, is_large, mask_layer_settings, mask_shape, medical_image
from ..masks import Mask, Masks
from ..state import PanelState
from .all_masks import AllMasks, Done, time_left
from .layers import made_layers


@dataclass(frozen=True)
class QueuedImage:
    """An image of the folder.

    Attributes:
        path: of its file or folder.
        mask: where its mask is, or will be.
        done: whether there is one.
        corrected: whether it was corrected in this window.
        problem: why it could not be segmented; "" if it was not tried or it could.
    """

    path: Path
    mask: Path
    done: bool = False
    corrected: bool = False
    problem: str = ""


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
        self._shown: list[Layer] = []  # the layers of the image that is open
        self._busy = False

    def close(self) -> None:
        """Stop; what is written stays, and the next run goes on from there."""
        self.cancel()
        self.viewer = None

    def choose(self, folder: Path) -> None:
        """Have a folder as the queue; its masks go to a folder beside it."""
        if self._run is not None:
            self._state.notice = "A folder is being segmented; wait for it, or cancel it."
            return
        self._state.problem = ""

        def show(found: tuple[QueuedImage, ...]) -> None:
            self._folder, self._shown = folder, []
            self._state.queue, self._state.queue_at = found, -1
            self._about()

        self._background.run(lambda: _listed(folder), show, self._failed)

    def start(self) -> None:
        """Segment all images that have no mask yet, or whose mask another model made."""
        folder, choice = self._folder, self._state.choice()
        if folder is None or choice is None or self._run is not None:
            return
        answer, masks = self._state.answer, _masks_of(folder)
        begun, before = time.monotonic(), self._share()
        self._state.problem, self._state.queue_share = "", before

        def arguments() -> list[str]:
            return [str(folder), "-o", str(masks), "--model", self._reference(choice.name), "--answer", answer]

        run = self._run = AllMasks(arguments)
        look = partial(self._background.post, partial(self._look, begun, before))
        self._background.run(lambda: run.run(look), self._ended, self._run_failed)

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
        if self._busy:
            return
        self._busy = True
        self._save(lambda: self._open(at))

    def _open(self, at: int) -> None:
        queued = self._state.queue[at]

        def read() -> tuple[list[Layer], npt.NDArray[Any] | None]:
            layers = made_layers(open_image(queued.path))
            large = isinstance(layers[0], Image) and is_large(layers[0])
            return layers, read_mask(queued.mask) if queued.mask.exists() and not large else None

        def show(found: tuple[list[Layer], npt.NDArray[Any] | None]) -> None:
            layers, labels = found
            self._busy = False
            self._close_shown()
            for layer in layers:
                self.viewer.add_layer(layer)
            self._shown, self._state.queue_at = layers, at
            self._state.image = layers[0]
            if labels is not None:
                self._show_mask(queued, layers[0], labels)

        self._background.run(read, show, self._failed)

    def _show_mask(self, queued: QueuedImage, image: Image, labels: npt.NDArray[Any]) -> None:
        if labels.shape != mask_shape(image):
            self._state.notice = f"'{queued.mask.name}' is not shown: it has another size than its image."
            return
        if self._state.answer == "instances" and labels.dtype == np.uint8:
            labels = labels.astype(np.uint16)  # a brush may add object 256
        layer = Labels(labels.copy(), name=f"{image.name} mask", **mask_layer_settings(image))
        made_by = None if queued.corrected else self._state.model
        self._masks.show(Mask(image, layer, None if queued.corrected else labels, made_by))

    def _save(self, then: Callable[[], None]) -> None:
        """Write what was corrected into the mask's file."""
        at, image = self._state.queue_at, self._shown[0] if self._shown else None
        mask = self._masks.of(image) if image is not None else None
        if image is None or mask is None or not mask.unsaved or image not in self.viewer.layers:
            then()
            return
        queued, changes, labels = self._state.queue[at], mask.changes, np.array(mask.layer.data)
        siblings = channel_siblings(image, self.viewer.layers)

        def write() -> None:
            queued.mask.parent.mkdir(parents=True, exist_ok=True)
            write_mask(queued.mask, labels, medical_image(image, siblings), source=queued.path)

        def written(_: None) -> None:
            self._note(at, done=True, corrected=True, problem="")
            if mask.changes == changes:
                mask.unsaved = False
                then()
            else:
                self._save(then)

        self._background.run(write, written, self._failed, finish=True)

    def _close_shown(self) -> None:
        layers = self.viewer.layers
        gone = [mask.layer for mask in self._masks.all() if mask.image in self._shown and not mask.unsaved]
        for layer in [*gone, *self._shown]:
            if layer in layers:
                layers.remove(layer)
        self._shown = []

    def _look(self, begun: float, before: float) -> None:
        for at, queued in enumerate(self._state.queue):
            if not queued.done and queued.mask.exists():
                self._note(at, done=True, problem="")
        share = self._share()
        self._state.queue_share = share
        self._about(time_left(begun, before, share))

    def _ended(self, done: Done) -> None:
        self._run, self._state.queue_share = None, None
        for at, queued in enumerate(self._state.queue):
            there = _mask_there(queued.mask)
            self._note(at, mask=there or queued.mask, done=there is not None, problem=done.failed.get(queued.path, ""))
        bad = f"; {len(done.failed)} could not be segmented, see the list" if done.failed else ""
        stopped = "Cancelled. " if done.cancelled else ""
        self._state.notice = f"{stopped}{done.written} masks written, {done.skipped} were there{bad}."
        self._about()

    def _note(self, at: int, **values: Any) -> None:
        queue = list(self._state.queue)
        queue[at] = replace(queue[at], **values)
        self._state.queue = tuple(queue)

    def _share(self) -> float:
        queue = self._state.queue
        return sum(queued.done for queued in queue) / max(1, len(queue))

    def _about(self, left: str = "") -> None:
        queue = self._state.queue
        done = sum(queued.done for queued in queue)
        said = f"{done} of {len(queue)} images have a mask"
        masks = f" in '{_masks_of(self._folder).name}'" if self._folder is not None else ""
        self._state.queue_about = f"{said}{masks}{f', {left}' if left else ''}."

    def _failed(self, reason: str) -> None:
        self._busy = False
        self._state.problem = reason

    def _run_failed(self, reason: str) -> None:
        self._run, self._state.queue_share = None, None
        self._failed(reason)
        self._about()


def _masks_of(folder: Path) -> Path:
    """Where the masks of a folder of images go: beside it, since the folder may be somebody else's."""
    return folder.with_name(f"{folder.name} masks")


def _listed(folder: Path) -> tuple[QueuedImage, ...]:
    import typer

    from ..cli.segment_inputs import images_in, targets_for  # with all commands, of which a window needs no more

    images, failed = images_in([folder])
    if failed:
        raise ImageError(failed[0]["reason"])
    try:
        targets = targets_for(images, _masks_of(folder))
    except typer.BadParameter as error:
        raise ImageError(error.message) from error
    found = ((image, target, _mask_there(target)) for image, target in targets.items())
    return tuple(QueuedImage(image, there or target, there is not None) for image, target, there in found)


def _mask_there(target: Path) -> Path | None:
    """The mask of an image, which is a folder where the image was too large for another format."""
    streamed = target.with_name(f"{stem(target)}.ome.zarr")
    return next((path for path in (target, streamed) if path.exists()), None)
