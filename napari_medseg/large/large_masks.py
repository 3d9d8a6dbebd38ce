"""Masks of large images: shown from the disk as pyramids, and corrected in one part at a time, which is in memory."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy.typing as npt
from napari.layers import Image

from napari_medseg.models.errors import PromptError
from napari_medseg.models.label_store import LabelStore

from ..background import Background
from ..image_layers import is_large, mask_shape
from ..layer_pixels import pixels_at
from ..masks import Mask, Masks
from ..project_places import LARGE
from ..state import PanelState
from .finding import folder_to_fill
from .folder import MaskFolder
from .layers import channels_of, part_images
from .open_part import LargeMask, Part, begun
from .part import Box, is_far, look_at, part_in_view
from .putting_back import PuttingBack
from .showing import by_turns, put_in
from .whole_masks import WholeMasks

IN_FILE = "{} pixels, which stay in the file. A part of them can be painted on, and given prompts."
IN_PART = "This part is corrected as any mask is. Done, or Accept, puts it back into the mask of the whole image."
SEGMENTING = "A part can be corrected when the segmentation has come to its end, or was cancelled."
ON_OFFER = "Corrections of this part were kept: go on with them or discard them first. The part stays open."
KEPT = "The mask before is hidden and kept; Open mask folder ... opens it again, from '{}'."
OTHER_PROJECT = "Masks of large images stay in the project that they were made in."

_SOON = 0.1
"""Seconds after which is looked again whether a part is open."""


def _nothing() -> None:
    """For whoever does not mind."""


class LargeMasks:
    """Which part of a large image is open, and what is done with its mask.

    A part is an image of its own with a mask of its own, so prompts, mask tools, the brush, undo and the journal do
    with it what they do with any. The folder of the large mask notes which part is open, so that after a crash the
    same part is opened again, and its journal found.

    Args:
        viewer: napari's.
        state: what the panel shows.
        masks: the mask of a part is one of them.
        background: where pixels are read and written.

    Attributes:
        wholes: the masks of whole images.
        flush: has it noted what is painted already of a stroke that is not at its end, see `Editing.flush`.
    """

    def __init__(self, viewer: Any, state: PanelState, masks: Masks, background: Background) -> None:
        self.viewer, self._state, self._masks, self._background = viewer, state, masks, background
        self.flush: Callable[[Mask], None] = lambda mask: None
        self.wholes = WholeMasks(viewer, state, background)
        self._back = PuttingBack(
            viewer,
            state,
            masks,
            background,
            flush=lambda mask: self.flush(mask),  # noqa: PLW0108 (it is set later)
            changed=self._describe,
            closed=self._closed_part,
            failed=self._failed,
        )
        self._part: Part | None = None
        self._busy = False
        state.events.image.connect(self._image_picked)
        state.events.project.connect(self._project_opened)
        state.events.draft.connect(self._draft_offered)
        masks.in_ledger.connect(self._accepted)
        viewer.camera.events.center.connect(self._moved)
        viewer.layers.events.removed.connect(self._removed)
        self._image_picked()

    def close(self) -> None:
        """Let go of everything; a part that is open is found again as it is."""
        self._state.events.image.disconnect(self._image_picked)
        self._state.events.project.disconnect(self._project_opened)
        self._state.events.draft.disconnect(self._draft_offered)
        self._masks.in_ledger.disconnect(self._accepted)
        self.viewer.camera.events.center.disconnect(self._moved)
        self.viewer.layers.events.removed.disconnect(self._removed)
        self.wholes.close()
        self._back.close()
        self.viewer = None

    def folder_for(self, image: Image, model: str, answer: str) -> MaskFolder:
        """Where a model shall put its labels: where it was interrupted, or a new place. For any thread.

        Raises:
            WriteError: no permission, no space, ...
        """
        return folder_to_fill(self._state.project, image, model, answer)

    def made(self, image: Image, folder: MaskFolder, largest: int, said: str = "") -> None:
        """Labels of all of an image, from a model or a file, are in the folder: show them, and say so.

        An earlier mask that nobody corrected gives way; a part of it that is open is put back first.
        """

        def look() -> LabelStore:
            importlib.import_module("pandas")  # or napari's first mask does, for a second, in the window's thread
            folder.whole, folder.largest = True, largest
            folder.note()
            return LabelStore.open(folder.labels, durable=True)

        def show(store: LabelStore) -> None:
            def put() -> None:
                if self._busy:  # a part is being opened of the mask that this one takes the place of
                    self._background.post_after(_SOON, lambda: self.done(put, later))
                    return
                if folder.path.parent != self._state.project / LARGE:
                    folder.let_go()
                    self._state.notice = OTHER_PROJECT
                elif (large := self.wholes.show(image, folder, store)) is not None:
                    self._state.image = image
                    kept = KEPT.format(large.instead_of) if large.instead_of else ""
                    self._state.notice = f"{said} {kept}".strip()
                self._describe()

            def later() -> None:
                if self._part is not None:
                    self._part.afterwards.append((put, later))

            if not self.wholes.wait(image, lambda: self.done(put, later)):  # or an earlier one would not be hidden
                self.done(put, later)

        self._background.run(look, show, self._failed)

    def first(self, again: Callable[[], None]) -> bool:
        """Whether a part has to be opened before a tool can be used; `again` is called when it is."""
        image = self._state.image
        if image is None or not is_large(image):
            return False
        part = self._part
        if (
            part is not None
            and part.of.image is image
            and not (part.closing or self._busy)
            and not is_far(self.viewer, image, part.box)
        ):
            self._state.image = part.images[0]
            return False
        self.edit_here(again)
        return True

    def edit_here(self, then: Callable[[], None] | None = None) -> None:
        """Open the part that is in the view for correction; one that is open already is put back first.

        It waits until it is known whether an earlier window left a mask of the image.
        """
        image = self.image
        if image is None or self._busy:
            return
        if self._state.segmenting is not None:
            self._state.notice = SEGMENTING
            return
        try:
            box = part_in_view(self.viewer, image)
        except PromptError as error:
            self._state.notice = str(error)
            return
        self._state.notice = self._state.problem = ""

        def edit() -> None:
            if self._whole_of(self._state.image) is image:
                self.done(lambda: self._open(image, box, then))

        self._look(image)
        if self.wholes.wait(image, edit):
            self._describe()
        else:
            edit()

    def done(self, then: Callable[[], None] = _nothing, failed: Callable[[], None] = _nothing) -> None:
        """Put the open part back into the mask of the whole image.

        Args:
            then: called when no part is open any more.
            failed: called instead, if it stays open.
        """
        part = self._part
        if part is None:
            then()
        elif part.offered and not part.closing:
            self._state.image, self._state.notice = part.images[0], ON_OFFER
            failed()
        else:
            part.afterwards.append((then, failed))
            if not part.closing:
                self._back.start(part)

    def _open(self, image: Image, box: Box, then: Callable[[], None] | None, *, reopened: bool = False) -> None:
        if self._busy:
            return
        known, layers, project = self.wholes.of(image), channels_of(image, self.viewer.layers), self._state.project
        self._busy = True
        self._describe()

        def read() -> tuple[MaskFolder, LabelStore, list[Any], npt.NDArray[Any]]:
            importlib.import_module("pandas")  # as above
            folder, store = begun(project, image) if known is None else (known.folder, known.store)
            pixels = [pixels_at(layer, box) for layer in layers]
            labels = store.read(box)
            folder.patch = box
            folder.note()
            return folder, store, pixels, labels

        def show(found: tuple[MaskFolder, LabelStore, list[Any], npt.NDArray[Any]]) -> None:
            folder, store, pixels, labels = found
            self._busy = False
            there = all(layer in self.viewer.layers for layer in layers)
            if not there or self._state.project != project or self.wholes.of(image) is not known:
                if known is None:
                    self._background.run(folder.remove)  # nothing is in it
                self._describe()
                return
            large = known or self.wholes.show(image, folder, store)
            assert large is not None  # as the image is there
            part = Part(large, box, part_images(layers, pixels, box), labels, reopened)
            self._instead(part, then)

        self._background.run(read, show, self._failed)

    def _instead(self, part: Part, then: Callable[[], None] | None) -> None:
        """Show a part; one that is open is put back first."""
        if self._part is not None:
            self.done(lambda: self._instead(part, then), self._describe)
            return
        if self.wholes.of(part.of.image) is not part.of:
            self._describe()
            return

        def wanted() -> bool:
            return self.viewer is not None and self._part is part and not part.closing

        def shown() -> None:
            self._busy = False
            if wanted():
                part.shown, self._state.image = True, part.images[0]
                if then is not None:
                    then()
            self._describe()

        self._part, self._busy = part, True
        by_turns(self._background.post, put_in(part, self.viewer.layers, self._masks, wanted), shown)

    def _closed_part(self, part: Part) -> None:
        """A part is in the mask of the whole, and its layers are gone."""
        part.closing, self._part = False, None
        if self.wholes.of(part.of.image) is not part.of:
            self.wholes.leave(part.of)
        self._image_picked()
        for then, _failed in part.afterwards:
            then()

    def _image_picked(self) -> None:
        """Look whether there is a mask of a large image that was made before, and show it."""
        image = self._state.image
        if image is not None and is_large(image):
            self._look(image)
        self._describe()

    def _look(self, image: Image) -> None:
        def found(large: LargeMask | None, said: str) -> None:
            if large is not None:
                self._state.image = image
                if not large.folder.outside:
                    said = f"The mask of '{image.name}' is as it was left. {said}".strip()
                if large.folder.patch is not None and self._state.segmenting is None:
                    self._open(image, large.folder.patch, self._look_at_part, reopened=True)
            self._state.notice = said or self._state.notice
            self._describe()

        self.wholes.look(image, found, self._failed)

    def _look_at_part(self) -> None:
        if self._part is not None:
            look_at(self.viewer, self._part.images[0])

    def _draft_offered(self) -> None:
        """An offer stands until it is taken or discarded; it is only out of sight while another image is chosen."""
        part, draft = self._part, self._state.draft
        if part is not None and draft is not None and draft.image in part.images:
            part.offered = True
        elif part is not None and self._state.image in part.images:
            part.offered = False

    def _project_opened(self) -> None:
        """The masks of large images belong to the project before; those of this one are looked for."""
        if self.wholes.leave_project():
            self._state.notice = OTHER_PROJECT
        self._image_picked()

    def _accepted(self, mask: Mask) -> None:
        """What is in the ledger is put back, too."""
        if self._part is not None and mask.image is self._part.images[0] and mask.accepted:
            self.done()

    def _moved(self) -> None:
        """Whoever looks at another place is done with the part, unless something of it waits for the user."""
        part, state = self._part, self._state
        working = state.tool_working is not None or state.accepting or state.segmenting is not None
        if part is None or part.closing or part.offered or working or state.draft is not None:
            return
        mask = self._back.mask_of(part)
        untouched = mask is None or not mask.changes
        if not (part.reopened and untouched) and is_far(self.viewer, part.of.image, part.box):
            self.done()

    def _removed(self, event: Any) -> None:
        layer, part = event.value, self._part
        if part is not None and not part.closing and (layer in part.images or layer is part.of.image):
            self._back.start(part)
        known = self.wholes.closed(layer) if isinstance(layer, Image) else None
        if known is not None and (part is None or part.of is not known):
            self.wholes.leave(known)

    def chosen(self) -> LargeMask | None:
        """The mask of the large image that is chosen, or of which a part is; None if it has none."""
        whole = self.image
        return None if whole is None else self.wholes.of(whole)

    @property
    def image(self) -> Image | None:
        """The large image that is chosen, or of which a part is; None if another one is."""
        return self._whole_of(self._state.image)

    def _whole_of(self, image: Any) -> Image | None:
        """The large image that is chosen, or a part of which is."""
        if image is None:
            return None
        if self._part is not None and image in self._part.images:
            return self._part.of.image
        return image if is_large(image) else None

    def _failed(self, reason: str) -> None:
        self._busy = False
        self._state.problem = reason
        self._describe()

    def _describe(self) -> None:
        image, part = self._state.image, self._part
        whole = self._whole_of(image)
        self._state.large, self._state.large_mask = whole is not None, self.chosen() is not None
        in_part = part is not None and part.shown and whole is part.of.image
        self._state.in_part = in_part
        awaited = whole is not None and self.wholes.awaited(whole)
        self._state.part_busy = self._busy or awaited or (part is not None and part.closing)
        if whole is None:
            self._state.large_about = ""
        elif part is not None and in_part:
            top, left = (side.start for side in part.box[-2:])
            height, width = (side.stop - side.start for side in part.box[-2:])
            self._state.large_about = f"{height} x {width} pixels from row {top}, column {left}. {IN_PART}"
        else:
            self._state.large_about = IN_FILE.format(" x ".join(map(str, mask_shape(whole))))
