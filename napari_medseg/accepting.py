"""From a corrected mask to a line in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg.models.errors import ImageError
from napari_medseg.trainer.ledger import AlreadyAccepted, CorrectionRecord, Effort, Ledger

from .background import Background
from .image_layers import channel_siblings, medical_image, noted_of
from .masks import Masks
from .state import PanelState


class Accepting:
    """Writes the mask of the chosen image to the ledger; it says "accepted" only once it is on the disk.

    Args:
        viewer: whose layers hold image and mask.
        state: what the panel shows.
        masks: knows which mask belongs to the image.
        background: where the writing is done.
        ledger: where it goes.
        accepted: called with each new correction, in the window's thread.
    """

    def __init__(
        self,
        viewer: Any,
        state: PanelState,
        masks: Masks,
        background: Background,
        ledger: Ledger,
        accepted: Callable[[CorrectionRecord], None],
    ) -> None:
        self.viewer, self._state, self._masks = viewer, state, masks
        self._background, self.ledger, self._accepted = background, ledger, accepted

    def start(self) -> None:
        """Accept the mask as it is at this moment; what is painted from now on is another correction."""
        layer, mask = self._state.image, self._masks.current()
        if self._state.accepting:
            return
        if layer is None or mask is None or self._state.mask is None:
            self._state.problem = (
                "There is no mask to accept yet. Segment the image, or draw a mask in a new Labels layer."
            )
            return
        self._state.problem = self._state.notice = ""
        self._state.accepting = True
        pixels = np.array(mask.layer.data)
        changes, edits, seconds = mask.changes, mask.clock.edits, mask.clock.seconds
        data = layer.data
        siblings = channel_siblings(layer, self.viewer.layers)
        name, ledger = layer.name, self.ledger
        group = self._state.group.strip() or origin_of(layer)

        def write() -> tuple[CorrectionRecord | None, str]:
            image = medical_image(layer, siblings)
            if layer.data is not data and not layer.multiscale:
                raise ImageError("The image was exchanged while it was accepted. Nothing was kept; accept again.")
            try:
                record = ledger.add(
                    image,
                    pixels,
                    predicted=mask.predicted,
                    model=mask.model,
                    group=group,
                    effort=Effort(seconds, edits),
                )
            except AlreadyAccepted as known:
                return None, str(known)
            return record, f"'{name}' is accepted as case {record.id}: it is on the disk."

        def written(answer: tuple[CorrectionRecord | None, str]) -> None:
            record, said = answer
            self._state.accepting = False
            self._state.notice = said
            if self.ledger is not ledger:
                return  # another project is open by now, which has not got it
            self._masks.saved(mask, changes)
            if record is not None:
                self._accepted(record)

        def failed(reason: str) -> None:
            self._state.accepting = False
            self._state.problem = reason

        self._background.run(write, written, failed, finish=True)


def origin_of(layer: Any) -> str:
    """What stands for the patient if nobody says more: the patient of a DICOM image, the file, or the layer's name.

    The whole path, since files of two patients may have one name; the ledger keeps a salted hash of it alone.
    """
    if patient := noted_of(layer).get("patient"):
        return str(patient)
    path = _path_of(layer)
    return str(Path(path).absolute()) if path else str(layer.name)


def file_of(layer: Any) -> str:
    """The same, in short, to be shown."""
    if noted_of(layer).get("patient"):
        return "the patient of the file"
    path = _path_of(layer)
    return Path(path).name if path else str(layer.name)


def _path_of(layer: Any) -> str | None:
    noted = noted_of(layer).get("path")
    return noted or getattr(layer.source, "path", None)
