"""A mask of a large image that was made before: copied into the project piece by piece, and shown from there.

So the user's own file is only read, whatever is corrected.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari.layers import Image

from napari_medseg.models.errors import CancelledError

from ..background import Background
from ..large.finding import folder_to_copy_to
from ..large.folder import MaskFolder
from ..large.large_masks import LargeMasks
from ..state import PanelState
from .one_mask import OfImage

SEGMENTING = "The image is being segmented: wait until that is done, or cancel it, and open the mask then."
OPENING = "Another mask is being opened: wait until it is there, or cancel that, and open this one then."
CANCELLED = "The mask was not opened; nothing was changed."
GONE = "The image was closed while its mask was opened; the mask is not shown."
KINDS = {
    "": "It holds no labels.",
    "mask": "Its labels are taken as classes; if they are objects, tick 'A label for each object' in Prompts.",
    "instances": "Its labels are taken as objects; if they are classes, untick 'A label for each object' in Prompts.",
}
"""By what the labels are, as a folder has it."""


@dataclass(eq=False)
class _Copy:
    """A mask that is being copied."""

    image: Image
    path: Path
    stopped: threading.Event = field(default_factory=threading.Event)


class LargeMaskFile:
    """Opens one mask at a time.

    Args:
        viewer: whose layers hold the image.
        state: what the panel shows; `opening_share` says how far it is.
        large: shows the mask.
        background: where it is copied.
    """

    def __init__(self, viewer: Any, state: PanelState, large: LargeMasks, background: Background) -> None:
        self.viewer, self._state, self._large, self._background = viewer, state, large, background
        self._copy: _Copy | None = None
        viewer.layers.events.removed.connect(self._removed)

    def close(self) -> None:
        """Stop, and show nothing any more."""
        self.cancel()
        self.viewer.layers.events.removed.disconnect(self._removed)
        self.viewer = None

    def cancel(self) -> None:
        """Stop; what is copied already is removed, and the mask that is shown stays."""
        if self._copy is not None:
            self._copy.stopped.set()

    def open(self, path: Path) -> None:
        """Show the mask in a file or a folder on the large image that is chosen, or of which a part is.

        A part that is open is put back first. An earlier mask is hidden and kept if it was corrected or a model made
        it.
        """
        image, state = self._large.image, self._state
        if image is None:
            return
        if state.segmenting is not None or self._copy is not None:
            state.problem = OPENING if self._copy is not None else SEGMENTING
            return
        copy = self._copy = _Copy(image, path)
        of, project = OfImage.of(image), state.project
        state.opening, state.opening_share = f"Opening '{path.name}' ...", 0.0

        def work() -> tuple[MaskFolder, int] | None:
            try:
                return _copied(copy, of, project, self._report)
            except CancelledError:
                return None

        self._background.run(work, lambda made: self._copied(copy, made), self._failed)

    def _copied(self, copy: _Copy, made: tuple[MaskFolder, int] | None) -> None:
        self._ended()
        there = self.viewer is not None and copy.image in self.viewer.layers
        if made is None:
            self._state.notice = CANCELLED if there else GONE
            return
        folder, largest = made
        if copy.stopped.is_set() or not there:
            self._background.run(folder.remove)
            self._state.notice = CANCELLED if there else GONE
            return
        said = f"'{copy.path.name}' is the mask of '{copy.image.name}' now, and can be corrected."
        self._large.made(copy.image, folder, largest, f"{said} {KINDS[folder.answer]}")

    def _ended(self) -> None:
        self._copy = None
        self._state.opening, self._state.opening_share = "", None

    def _failed(self, reason: str) -> None:
        self._ended()
        self._state.problem = reason

    def _report(self, share: float) -> None:
        def show() -> None:
            if self._copy is not None:
                self._state.opening_share = share

        self._background.post(show)

    def _removed(self, event: Any) -> None:
        if self._copy is not None and event.value is self._copy.image:
            self._copy.stopped.set()


def _copied(copy: _Copy, of: OfImage, project: Path, report: Any) -> tuple[MaskFolder, int]:
    """A new folder with the mask, held, and the mask's largest label; nothing is left of it if that fails.

    Raises:
        ImageError: it does not lie on the image, is no mask, or is damaged.
        WriteError: no permission, no space, ...
        CancelledError: asked to stop.
    """
    from napari_medseg.models.mask_copy import copy_mask
    from napari_medseg.models.reading import lazy_mask_on

    values = of.read(copy.path, lazy_mask_on)
    folder = folder_to_copy_to(project, copy.image)
    try:
        asks = copy.stopped.is_set
        copied = copy_mask(values, folder.labels, of.grid, called=copy.path.name, progress=report, cancel=asks)
    except BaseException:
        folder.remove()
        raise
    if copied.largest:
        folder.answer = "instances" if copied.objects else "mask"
    return folder, copied.largest
