"""How large the objects were that prompts have made lately: the next one of the kind is probably about as large."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from napari_medseg.models.prompts.prompts import Sizes

from .object_in_work import ObjectInWork

LAST = 8
"""Objects of a kind that count; earlier ones are forgotten."""


class SizesSeen:
    """Remembers objects of this session, whichever image they were in: sizes are kept in the layers' units."""

    def __init__(self) -> None:
        self._seen: dict[int, deque[float]] = {}  # by label, or 0 where each object has a label of its own

    def add(self, work: ObjectInWork, layer: Any) -> None:
        """An object is done.

        Args:
            work: it; what was only picked and got no prompt does not count, nor does one that is gone.
            layer: the mask that it is in.
        """
        across = _across(layer)
        sides = [
            max((side.stop - side.start) * across[axis] for axis, side in enumerate(known.own(layer.data[plane]).box))
            for plane, known in work.planes.items()
            if known.answers
        ]
        if sides and max(sides) > 0:
            self._seen.setdefault(_kind(work.label, work.alone), deque(maxlen=LAST)).append(max(sides))

    def clear(self) -> None:
        """Another project, whose labels mean other things."""
        self._seen.clear()

    def of(self, label: int, alone: bool, layer: Any) -> Sizes | None:
        """Those of a kind, in pixels of a layer; None if there were none yet.

        Args:
            label: of the object that begins.
            alone: whether each object has a label of its own, so that all are of one kind.
            layer: the image or mask that it begins in.
        """
        if not (seen := self._seen.get(_kind(label, alone))):
            return None
        pixel = float(_across(layer).mean())
        return min(seen) / pixel, max(seen) / pixel


def _kind(label: int, alone: bool) -> int:
    return 0 if alone else label


def _across(layer: Any) -> np.ndarray[Any, Any]:
    """Height and width of a pixel."""
    return np.abs(np.asarray(layer.scale, float)[-2:])
