"""After a crash, or after a window was closed over unfinished work: going on exactly there."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from napari.layers import Image, Labels

from ..background import Background
from ..effort import EffortClock
from ..image_layers import mask_layer_settings, mask_shape
from ..masks import Mask
from ..project_places import DRAFT, DRAFTS
from ..state import KeptDraft, PanelState
from .all_drafts import remove
from .boxes import Array
from .draft import Draft
from .editing import Editing
from .holding import held, is_held, let_go
from .identity import Kinship, identity_of
from .keeping import new_path
from .restoring import kinship_of, read_draft, refuse

INCOMPLETE = "before the window ended: what was kept last is damaged and cannot be read"


@dataclass(frozen=True, eq=False)
class _Read:
    """A draft, read away from the window's thread: the file, and the arrays for the window."""

    draft: Draft
    pixels: Array
    predicted: Array | None


class Recovery:
    """Offers, of each image that is chosen, the mask that was not accepted when its window ended.

    Args:
        state: what the panel shows; `draft` is the offer.
        editing: where a mask goes on.
        background: where files are looked for and read.
    """

    def __init__(self, state: PanelState, editing: Editing, background: Background) -> None:
        self._state, self._editing, self._background = state, editing, background
        state.events.image.connect(self.look)
        state.events.project.connect(self.look)
        editing.left.connect(self.look)
        self.look()

    def look(self) -> None:
        """Look whether there is something to go on with for the chosen image."""
        state, image = self._state, self._state.image
        state.draft = None
        if image is None:
            return
        folder, shown = state.project / DRAFTS, image.data

        def found(draft: KeptDraft | None) -> None:
            if state.image is image and image.data is shown and folder.parent == state.project:
                state.draft = draft

        self._background.run(lambda: _newest(folder, image), found)

    def go_on(self) -> None:
        """Show the mask as it was, with its prompts and its history."""
        offer = self._state.draft
        if offer is None:
            return
        self._state.draft, self._state.problem = None, ""
        self._background.run(lambda: _read(offer), lambda read: self._show(offer, read), self._failed)

    def discard(self) -> None:
        """Have it no more; of what may be another image's, only the offer."""
        offer = self._state.draft
        if offer is not None:
            self._state.draft = None
            self._background.run(
                lambda: remove(offer.path) if offer.own else _refuse(offer),
                lambda _: self.look(),
                self._failed,
                finish=True,
            )

    def _show(self, offer: KeptDraft, read: _Read) -> None:
        content, image = read.draft.content, offer.image
        layer = Labels(read.pixels, name=f"{image.name} mask", **mask_layer_settings(image))
        clock = EffortClock()
        clock.restart(seconds=content.effort.seconds, edits=content.effort.edits)
        changes = content.effort.changes
        mask = Mask(image, layer, read.predicted, content.model, clock, changes, unsaved=changes > 0)
        self._state.notice = ""
        if self._editing.go_on(mask, read.draft):
            when = "when the window ended" if content.complete else INCOMPLETE
            self._state.notice = f"'{layer.name}' is as it was {when}. {self._state.notice}".strip()
            if offer.own:
                self.look()
            else:
                self._background.run(lambda: self._copied(offer), lambda _: self.look(), self._failed)
        else:
            read.draft.close()
            self._state.notice = "The image was closed or changed meanwhile; open it again to go on with its mask."

    def _copied(self, offer: KeptDraft) -> None:
        """Once the copy is on the disk, its original is there for the image that it is of, and not offered here."""
        if self._editing.keeping.wait():
            _refuse(offer)

    def _failed(self, reason: str) -> None:
        self._state.problem = reason


def _newest(folder: Path, image: Image) -> KeptDraft | None:
    """The draft of an image that no other window has: its own if there is one, and the one changed last; or None."""
    times: dict[Path, float] = {}
    for path in folder.glob(f"*{DRAFT}"):
        with contextlib.suppress(OSError):  # another window has just removed it
            times[path] = path.stat().st_mtime
    identity = functools.cache(lambda: identity_of(image))
    found: dict[Kinship, Path] = {}
    for path in sorted(times, key=lambda path: times[path], reverse=True):
        kinship = kinship_of(path, mask_shape(image), identity)
        if kinship in (Kinship.OWN, Kinship.PERHAPS) and kinship not in found and not is_held(path):
            found[kinship] = path
    if not found:
        return None
    nearest = min(found)
    return KeptDraft(found[nearest], image, identity(), nearest is Kinship.OWN, times[found[nearest]])


def _read(offer: KeptDraft) -> _Read:
    lock = held(offer.path)
    try:
        content = read_draft(offer.path, offer.identity)
    except BaseException:
        let_go(lock, offer.path)
        raise
    predicted = None
    if content.predicted is not None:
        predicted = np.array(content.predicted.array())
        content.predicted.rest()
    if offer.own:
        draft = Draft(offer.path, content, lock)
    else:
        let_go(lock, offer.path)
        draft = Draft(new_path(offer.path.parent), content)
        draft.dirty = True
    return _Read(draft, np.array(content.pixels.array()), predicted)


def _refuse(offer: KeptDraft) -> None:
    lock = held(offer.path)
    try:
        refuse(offer.path, offer.identity)
    finally:
        let_go(lock, offer.path)
