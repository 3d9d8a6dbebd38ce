"""How large the objects were that prompts have made lately: the next one of the kind is probably about as large."""

from __future__ import annotations

import math
import weakref
from collections import deque
from typing import Any

import numpy as np

from napari_medseg.models.prompts.prompts import Sizes

from .object_in_work import ObjectInWork, PlaneInWork

LAST = 8
"""Objects of a kind that count; earlier ones are forgotten."""


class SizesSeen:
    """Remembers objects of this session, whichever image they were in: sizes are kept in the layers' units."""

    def __init__(self) -> None:
        # By label, or 0 where each object has a label of its own.
        self._seen: dict[int, deque[tuple[weakref.ref[ObjectInWork], float]]] = {}

    def add(self, work: ObjectInWork, layer: Any) -> None:
        """An object is done, for now: it counts once, as it was when it was left last.

        Args:
            work: it; what was only picked and got no prompt does not count, nor does one that is gone.
            layer: the mask that it is in.
        """
        kind = _kind(work.label, work.alone)
        others = [(other, side) for other, side in self._seen.pop(kind, ()) if other() is not work]
        side = max((_side(known, plane, layer) for plane, known in work.planes.items() if known.answers), default=0.0)
        if side > 0:
            others.append((weakref.ref(work), side))
        if others:
            self._seen[kind] = deque(others, maxlen=LAST)

    def clear(self) -> None:
        """Another project, whose labels mean other things."""
        self._seen.clear()

    def of(self, label: int, alone: bool, layer: Any) -> Sizes | None:
        """Those of a kind, in pixels of a layer; None if there were none yet, or its pixels have no size.

        Args:
            label: of the object that begins.
            alone: whether each object has a label of its own, so that all are of one kind.
            layer: the image or mask that it begins in.
        """
        sides = [side for _, side in self._seen.get(_kind(label, alone), ())]
        pixel = float(_across(layer).mean())
        if not sides or not 0 < pixel < math.inf:
            return None
        return min(sides) / pixel, max(sides) / pixel


def _kind(label: int, alone: bool) -> int:
    return 0 if alone else label


def _side(known: PlaneInWork, plane: tuple[int, ...], layer: Any) -> float:
    """The longer side of an object on a plane; 0 if it is gone, or the mask was given pixels of another shape."""
    if layer.data.ndim != len(plane) + 2 or any(at >= n for at, n in zip(plane, layer.data.shape, strict=False)):
        return 0.0
    pixels = layer.data[plane]
    if any(side.stop > length for side, length in zip(known.box, pixels.shape, strict=True)):
        return 0.0
    sides = [side.stop - side.start for side in known.own(pixels).box]
    longer = float(np.max(sides * _across(layer)))
    return longer if math.isfinite(longer) else 0.0


def _across(layer: Any) -> np.ndarray[Any, Any]:
    """Height and width of a pixel."""
    return np.abs(np.asarray(layer.scale, float)[-2:])
