"""The way of a part back into the mask of the whole: its labels first, then its layers, whatever is done meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..background import Background
from ..masks import Mask, Masks
from ..state import PanelState
from .open_part import Part, put_back
from .showing import by_turns, take_out

EXPORTED = "The mask is being exported. This part is put back right after that; Cancel under Export stops the export."


class PuttingBack:
    """Puts a part back, once more if it was painted on meanwhile.

    Args:
        viewer: napari's.
        state: what the panel shows.
        masks: the mask of a part is one of them.
        background: where the labels are written.
        flush: has it noted what is painted already of a stroke that is not at its end, see `Editing.flush`.
        changed: called when a part is on its way.
        closed: called with a part that is in the mask of the whole, and whose layers are gone.
        failed: called with the reason why a part stays open.
    """

    def __init__(
        self,
        viewer: Any,
        state: PanelState,
        masks: Masks,
        background: Background,
        *,
        flush: Callable[[Mask], None],
        changed: Callable[[], None],
        closed: Callable[[Part], None],
        failed: Callable[[str], None],
    ) -> None:
        self.viewer, self._state, self._masks, self._background = viewer, state, masks, background
        self._flush, self._changed, self._closed, self._failed = flush, changed, closed, failed

    def close(self) -> None:
        """Show nothing any more; what is on its way is written to the end."""
        self.viewer = None

    def start(self, part: Part) -> None:
        """Put a part back as it is now."""
        mask = self.mask_of(part)
        if mask is not None:
            self._flush(mask)
        labels = part.before if mask is None else np.array(mask.layer.data)
        changes = 0 if mask is None else mask.changes
        folder = part.of.folder
        objects = self._state.own_labels if folder.model is None else folder.answer == "instances"
        part.closing = True
        self._changed()

        def painted() -> bool:
            if mask is not None and self._masks.holds(mask):
                self._flush(mask)
            return mask is not None and mask.changes != changes

        def write() -> None:
            if not part.of.store.free:
                self._background.post(lambda: setattr(self._state, "notice", EXPORTED))
            put_back(part, labels, objects=objects)

        def written(_: None) -> None:
            self._waited()
            if painted():  # meanwhile
                self.start(part)
            elif self.viewer is not None:
                steps = take_out(part, self.viewer.layers, self._masks, self._state, painted)
                by_turns(self._background.post, steps, closed)

        def closed() -> None:
            if painted():
                self.start(part)
                return
            if mask is not None:
                mask.unsaved = False  # it is in the mask of the whole now
            self._closed(part)

        def failed(reason: str) -> None:
            self._waited()
            part.stays()
            self._failed(f"{reason} The part stays open, and nothing is lost.")

        self._background.run(write, written, failed, finish=True)

    def mask_of(self, part: Part) -> Mask | None:
        """What was made of a part: its mask, or one with unsaved work whose layer was deleted."""
        mask = self._masks.of(part.images[0])
        if mask is not None:
            return mask
        deleted = [mask for mask in self._masks.unsaved() if mask.image is part.images[0]]
        return deleted[-1] if deleted else None

    def _waited(self) -> None:
        """What is exported is waited for no longer."""
        if self._state.notice == EXPORTED:
            self._state.notice = ""
