"""Masks of large images: shown from the disk as pyramids, and corrected in one part at a time, which is in memory."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels

from napari_medseg.models.errors import PromptError
from napari_medseg.models.label_store import LabelStore

from ..background import Background
from ..editing.identity import digest_of
from ..image_layers import LARGE, is_large, mask_shape
from ..masks import Mask, Masks
from ..state import PanelState
from .folder import MaskFolder, kept_folders, new_folder
from .layers import channels_of, part_images, part_pixels, part_settings, pyramid_layer, shown_levels
from .open_part import LargeMask, Part, begun, meet, put_back
from .part import Box, is_far, part_in_view

ZOOM_IN = "Zoom in to where the mask is wrong and press Edit here: that part can be painted on, and given prompts."
IN_PART = "This part is corrected as any mask is. Done, or Accept, puts it back into the mask of the whole image."

FRAME = "#ffd34d"


class LargeMasks:
    """Which large image has which mask, and which part of one is open.

    A part is an image of its own with a mask of its own, so prompts, mask tools, the brush, undo and the journal do
    with it what they do with any. The folder of the large mask notes which part is open, so that after a crash the
    same part is opened again, and its journal found.

    Args:
        viewer: napari's.
        state: what the panel shows.
        masks: the mask of a part is one of them.
        background: where pixels are read and written.
    """

    def __init__(self, viewer: Any, state: PanelState, masks: Masks, background: Background) -> None:
        self.viewer, self._state, self._masks, self._background = viewer, state, masks, background
        self._known: dict[Image, LargeMask | None] = {}  # None: it is being looked for, or there is none
        self._part: Part | None = None
        self._busy = False
        state.events.image.connect(self._image_picked)
        masks.in_ledger.connect(self._accepted)
        viewer.camera.events.center.connect(self._moved)
        viewer.layers.events.removed.connect(self._removed)
        self._image_picked()

    def close(self) -> None:
        """Let go of everything; a part that is open is found again as it is."""
        self._state.events.image.disconnect(self._image_picked)
        self._masks.in_ledger.disconnect(self._accepted)
        self.viewer.camera.events.center.disconnect(self._moved)
        self.viewer.layers.events.removed.disconnect(self._removed)
        for known in self._known.values():
            if known is not None:
                known.folder.let_go()
        self.viewer = None

    def folder_for(self, image: Image, model: str, answer: str) -> MaskFolder:
        """Where a model shall put its labels: where it was interrupted, or a new place. For any thread.

        Raises:
            WriteError: no permission, no space, ...
        """
        shape, project = mask_shape(image), self._state.project
        for folder in kept_folders(project, shape, lambda: digest_of(image, LARGE)):
            if not folder.whole and (folder.model, folder.answer) == (model, answer):
                folder.hold()
                return folder
        return new_folder(project, digest_of(image, LARGE), shape, model, answer)

    def segmented(self, image: Image, folder: MaskFolder, largest: int) -> None:
        """A model's labels, of which this is the largest, are in the folder: show them.

        An earlier mask that nobody corrected gives way.
        """

        def look() -> LabelStore:
            folder.whole, folder.largest = True, largest
            folder.note()
            return LabelStore.open(folder.labels)

        def show(store: LabelStore) -> None:
            self._show(image, folder, store)

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
            and not part.closing
            and not is_far(self.viewer, image, part.box)
        ):
            self._state.image = part.images[0]
            return False
        self.edit_here(again)
        return True

    def edit_here(self, then: Callable[[], None] | None = None) -> None:
        """Open the part that is in the view for correction; one that is open already is put back first."""
        image = self._whole_of(self._state.image)
        if image is None or self._busy:
            return
        try:
            box = part_in_view(self.viewer, image)
        except PromptError as error:
            self._state.notice = str(error)
            return
        self._state.notice = self._state.problem = ""
        self.done(lambda: self._open(image, box, then))

    def done(self, then: Callable[[], None] | None = None) -> None:
        """Put the open part back into the mask of the whole image."""
        part = self._part
        if part is None:
            if then is not None:
                then()
            return
        if then is not None:
            part.afterwards.append(then)
        if part.closing:
            return
        mask = self._masks.of(part.images[0])
        shown = mask is not None and mask.layer in self.viewer.layers
        labels = np.array(mask.layer.data) if mask is not None and shown else part.before
        changes = mask.changes if mask is not None else 0
        folder = part.of.folder
        objects = folder.answer == "instances" or (folder.model is None and self._state.own_labels)
        part.closing = True
        self._describe()

        def written(_: None) -> None:
            part.closing = False
            if mask is not None and shown and mask.changes != changes:  # painted on meanwhile
                self.done()
                return
            self._close_part(part)
            for call in part.afterwards:
                call()

        def failed(reason: str) -> None:
            part.closing = False
            part.afterwards.clear()
            self._failed(f"{reason} The part stays open, and nothing is lost.")

        self._background.run(lambda: put_back(part, labels, objects=objects), written, failed, finish=True)

    def _open(self, image: Image, box: Box, then: Callable[[], None] | None) -> None:
        known, layers = self._known.get(image), channels_of(image, self.viewer.layers)
        self._busy = True
        self._describe()

        def read() -> tuple[MaskFolder, LabelStore, list[Any], npt.NDArray[Any]]:
            importlib.import_module("pandas")  # or napari's first mask does, for a second, in the window's thread

            if known is not None:
                folder, store = known.folder, known.store
            else:
                folder, store = begun(self._state.project, image)
            pixels = [part_pixels(layer, box) for layer in layers]
            labels = store.read(box)
            folder.patch = box
            folder.note()
            return folder, store, pixels, labels

        def show(found: tuple[MaskFolder, LabelStore, list[Any], npt.NDArray[Any]]) -> None:
            folder, store, pixels, labels = found
            self._busy = False
            large = known if known is not None else self._show(image, folder, store)
            if large is None or not all(layer in self.viewer.layers for layer in layers):
                self._describe()
                return
            self._show_part(Part(large, box, part_images(layers, pixels, box), labels))
            if then is not None:
                then()

        self._background.run(read, show, self._failed)

    def _show_part(self, part: Part) -> None:
        """The layers of a part, above the mask of the whole, which leaves the place to them."""
        large, layers = part.of, self.viewer.layers
        self._part = part
        if large.layer in layers:
            large.layer.data = shown_levels(large.store, without=part.box)
            at = layers.index(large.layer) + 1
        else:
            at = len(layers)
        for offset, image in enumerate(part.images):
            layers.insert(at + offset, image)
        folder = large.folder
        untouched = folder.model is not None and not any(meet(part.box, box) for box in folder.edited)
        labels = Labels(
            np.array(part.before), name=f"{large.image.name} part mask", **part_settings(large.image, part.box)
        )
        mask = Mask(part.images[0], labels, part.before if untouched else None, folder.model if untouched else None)
        self._masks.show(mask)
        frame = labels.bounding_box
        frame.visible, frame.points, frame.line_color = True, False, FRAME
        self._describe()

    def _close_part(self, part: Part) -> None:
        layers, large = self.viewer.layers, part.of
        self._part = None
        if large.image in layers:
            self._state.image = large.image
        for mask in [mask for mask in self._masks.all() if mask.image in part.images]:
            mask.unsaved = False  # it is in the mask of the whole now
            if mask.layer in layers:
                layers.remove(mask.layer)
        for image in part.images:
            if image in layers:
                layers.remove(image)
        if large.layer in layers:
            large.layer.data = shown_levels(large.store)
        if large.image not in layers:
            large.folder.let_go()
        self._image_picked()

    def _image_picked(self) -> None:
        """Look whether there is a mask of a large image that was made before, and show it."""
        image = self._state.image
        self._describe()
        if image is None or not is_large(image) or image in self._known:
            return
        self._known[image] = None
        project, shape = self._state.project, mask_shape(image)

        def look() -> tuple[MaskFolder, LabelStore] | None:
            whole = [folder for folder in kept_folders(project, shape, lambda: digest_of(image, LARGE)) if folder.whole]
            if not whole:
                return None
            whole[0].hold()
            return whole[0], LabelStore.open(whole[0].labels)

        def show(found: tuple[MaskFolder, LabelStore] | None) -> None:
            if found is None or self._known.get(image) is not None:
                return
            self._show(image, *found)
            self._state.notice = f"The mask of '{image.name}' is as it was left."
            if found[0].patch is not None:
                self._open(image, found[0].patch, None)

        self._background.run(look, show, self._failed)

    def _show(self, image: Image, folder: MaskFolder, store: LabelStore) -> LargeMask | None:
        """The pyramid of a mask, above its image; None if that is gone."""
        layers = self.viewer.layers
        if image not in layers:
            folder.let_go()
            self._known.pop(image, None)
            return None
        earlier = self._known.get(image)
        if earlier is not None:
            self._give_way(earlier)
        large = LargeMask(image, folder, store, pyramid_layer(image, shown_levels(store)))
        self._known[image] = large
        above = max(layers.index(layer) for layer in channels_of(image, layers))
        layers.insert(above + 1, large.layer)
        self._state.image = image
        self._describe()
        return large

    def _give_way(self, earlier: LargeMask) -> None:
        """A mask that was corrected stays, hidden and on the disk; another one goes."""
        layers = self.viewer.layers
        if earlier.folder.edited:
            earlier.layer.visible = False
            earlier.folder.let_go()
            return
        if earlier.layer in layers:
            layers.remove(earlier.layer)
        self._background.run(earlier.folder.remove)

    def _accepted(self, mask: Mask) -> None:
        """What is in the ledger is put back, too."""
        if self._part is not None and mask.image is self._part.images[0] and mask.accepted:
            self.done()

    def _moved(self) -> None:
        """Whoever looks at another place is done with the part."""
        part = self._part
        working = self._state.tool_working is not None or self._state.accepting or self._state.segmenting is not None
        if part is not None and not part.closing and not working and is_far(self.viewer, part.of.image, part.box):
            self.done()

    def _removed(self, event: Any) -> None:
        layer, part = event.value, self._part
        if part is not None and not part.closing and (layer in part.images or layer is part.of.image):
            self.done()
        known = self._known.pop(layer, None) if isinstance(layer, Image) else None
        if known is not None and (part is None or part.of is not known):
            known.folder.let_go()

    def chosen(self) -> LargeMask | None:
        """The mask of the large image that is chosen, or of which a part is; None if it has none."""
        whole = self._whole_of(self._state.image)
        return None if whole is None else self._known.get(whole)

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
        self._state.large = whole is not None
        in_part = part is not None and whole is part.of.image
        self._state.in_part = in_part
        self._state.part_busy = self._busy or (part is not None and part.closing)
        if whole is None:
            self._state.large_about = ""
        elif part is not None and in_part:
            top, left = (side.start for side in part.box[-2:])
            height, width = (side.stop - side.start for side in part.box[-2:])
            self._state.large_about = f"{height} x {width} pixels from row {top}, column {left}. {IN_PART}"
        else:
            self._state.large_about = ZOOM_IN
