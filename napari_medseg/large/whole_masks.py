"""Which large image has which mask: found on the disk, shown as a pyramid, and let go of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from napari.layers import Image

from napari_medseg.models.label_store import LabelStore

from ..background import Background
from ..project_places import LARGE
from ..state import PanelState
from .finding import Found, Given, find_mask, open_given
from .folder import MaskFolder
from .layers import channels_of, pyramid_layer, shown_levels
from .open_part import LargeMask


class WholeMasks:
    """One mask for each large image.

    Args:
        viewer: napari's.
        state: says which project is open.
        background: where masks are looked for.
    """

    def __init__(self, viewer: Any, state: PanelState, background: Background) -> None:
        self.viewer, self._state, self._background = viewer, state, background
        self._known: dict[Image, LargeMask | None] = {}  # None: there is none
        self._looking: dict[Image, list[Callable[[], None]]] = {}  # with what waits for the answer
        self._given: dict[Image, Given] = {}
        self._refused: dict[Image, str] = {}
        self._leaving: list[threading.Event] = []  # masks that are let go of as soon as they are exported

    def close(self) -> None:
        """Let go of all of them."""
        self._let_go_of_all()
        self.viewer = None

    def of(self, image: Image) -> LargeMask | None:
        """The mask of an image; None if it has none, or it was not found yet."""
        return self._known.get(image)

    def give(self, image: Image, given: Given) -> None:
        """This is the mask of an image that is not shown yet; what the project may have of it is not looked for."""
        self._given[image] = given

    def refused(self, image: Image) -> str:
        """Why a mask that was given is not shown; "" if it is, or none was."""
        return self._refused.get(image, "")

    def awaited(self, image: Image) -> bool:
        """Whether something waits until it is known if the image has a mask."""
        return bool(self._looking.get(image))

    def wait(self, image: Image, then: Callable[[], None]) -> bool:
        """Whether the mask of an image is still looked for; `then` is called when that is over."""
        waiting = self._looking.get(image)
        if waiting is None:
            return False
        waiting.append(then)
        return True

    def look(self, image: Image, found: Callable[[LargeMask | None, str], None], failed: Callable[[str], None]) -> None:
        """Look whether there is a mask of an image that was made before, and show it; once for each image.

        Args:
            image: a large one.
            found: called with the mask and with what the user should know, or "".
            failed: called with what is wrong with the image or the disk.
        """
        if image in self._known or image in self._looking:
            return
        waiting = self._looking[image] = []
        project, given, leaving = self._state.project, self._given.get(image), tuple(self._leaving)

        def find() -> Found:
            for left in leaving:  # it may be one of these, which is ours and no other window's
                left.wait()
            return open_given(project, image, given) if given else find_mask(project, image)

        def show(there: Found) -> None:
            if self._looking.get(image) is not waiting:  # the image was closed, or the project
                there.drop()
                return
            del self._looking[image]
            if given is not None and there.folder is None:
                self._refused[image] = there.said
            large = self._known.setdefault(image, None)
            if large is not None:  # it was segmented meanwhile
                there.drop()
            elif there.folder is not None and there.store is not None:
                large = self.show(image, there.folder, there.store)
            found(large, there.said)
            for call in waiting:
                call()

        def give_up(reason: str) -> None:
            if self._looking.get(image) is waiting:
                del self._looking[image]
                failed(reason)

        self._background.run(find, show, give_up)

    def show(self, image: Image, folder: MaskFolder, store: LabelStore) -> LargeMask | None:
        """The pyramid of a mask, above its image, in place of an earlier one; None if the image is gone."""
        layers = self.viewer.layers
        if image not in layers:
            folder.let_go()
            self._known.pop(image, None)
            return None
        earlier = self._known.get(image)
        kept = earlier is not None and self._give_way(earlier, folder)
        large = LargeMask(image, folder, store, pyramid_layer(image, shown_levels(store)))
        if earlier is not None and kept:
            large.instead_of = earlier.folder.labels
        self._known[image] = large
        if folder.model is None and folder.answer:  # what it is tells no model that is picked
            self._state.own_labels = folder.answer == "instances"
        above = max(layers.index(layer) for layer in channels_of(image, layers))
        layers.insert(above + 1, large.layer)
        return large

    def closed(self, image: Any) -> LargeMask | None:
        """An image was closed: its mask, which is not let go of yet; None if it had none."""
        self._looking.pop(image, None)
        self._given.pop(image, None)
        self._refused.pop(image, None)
        return self._known.pop(image, None)

    def leave(self, large: LargeMask) -> None:
        """Let another window have a mask: at once, or when what is read of it unchanged, for an export, is read."""
        if large.store.free:
            large.folder.let_go()
            return
        left = threading.Event()
        self._leaving.append(left)

        def wait() -> None:
            try:
                with large.store.unchanged():
                    large.folder.let_go()
            finally:
                left.set()

        self._background.run(wait, lambda _: self._leaving.remove(left), finish=True)

    def leave_project(self) -> bool:
        """Another project is open: take away what is shown of the one before; whether anything was."""
        layers = self.viewer.layers
        shown = [large.layer for large in self._known.values() if large is not None and large.layer in layers]
        self._let_go_of_all()
        for layer in shown:
            layers.remove(layer)
        return bool(shown)

    def _let_go_of_all(self) -> None:
        for large in self._known.values():
            if large is not None:
                self.leave(large)
        self._known.clear()
        self._looking.clear()

    def _give_way(self, earlier: LargeMask, new: MaskFolder) -> bool:
        """Whether an earlier mask stays, hidden and on the disk: one that was corrected, or is of another project.

        So does what a model made if a mask from a file comes in its place: it took its time. Another one goes.
        """
        layers, folder = self.viewer.layers, earlier.folder
        corrected = bool(folder.edited) or folder.patch is not None
        opened = folder.model is not None and new.model is None
        if corrected or opened or folder.path.parent != self._state.project / LARGE:
            earlier.layer.visible = False
            self.leave(earlier)
            return True
        if earlier.layer in layers:
            layers.remove(earlier.layer)
        self._background.run(lambda: _remove(earlier))
        return False


def _remove(large: LargeMask) -> None:
    """Have a mask no more; one that is being exported is, to its end: what is gone would be background in the file."""
    with large.store.unchanged():
        large.folder.remove()
