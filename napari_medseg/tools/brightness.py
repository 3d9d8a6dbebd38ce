"""A brush that keeps to pixels of some brightness."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image, Labels

from napari_medseg.models.mask_tools import MaskToolError, in_range


class LimitedBrush:
    """Has brush, eraser, fill and polygon of a mask change only pixels whose image lies between two values.

    The stroke is cut before it is written, so napari's history, ours and the journal know nothing but the cut one.
    napari has no public hook for that; where the private one is missing, `hold` says so.
    """

    def __init__(self) -> None:
        self._layer: Labels | None = None
        self.image: Image | None = None
        self.limits: tuple[float, float] = (0.0, 0.0)

    def hold(self, layer: Labels, image: Image, limits: tuple[float, float]) -> None:
        """Limit the strokes on a layer from now on, and those on no other.

        Raises:
            MaskToolError: this napari paints in another way.
        """
        self.limits = limits
        if layer is self._layer:
            return
        self.let_go()
        paint: Callable[..., None] | None = getattr(layer, "_paint_region_with_mask", None)
        if paint is None:
            raise MaskToolError("This version of napari cannot limit its brush; napari 0.8 and 0.9 can.")

        def limited(slice_key: Any, mask: Any, new_label: int, dims_to_paint: Any, *rest: Any, **options: Any) -> None:
            inside = in_range(_pixels(image, slice_key), *self.limits, colours=image.rgb)
            flat = tuple(axis for axis in range(inside.ndim) if axis not in dims_to_paint)
            mask = mask & inside.squeeze(flat)
            if mask.any():
                paint(slice_key, mask, new_label, dims_to_paint, *rest, **options)

        layer._paint_region_with_mask = limited
        self._layer, self.image = layer, image

    def let_go(self) -> None:
        """Limit no strokes any more."""
        if self._layer is not None:
            with contextlib.suppress(AttributeError):
                del self._layer._paint_region_with_mask  # the class's own is behind it
        self._layer = self.image = None


def shown_brightness(image: Image) -> tuple[float, float]:
    """The values that are shown black and white; no pixel is read."""
    if image.rgb:
        kind = np.dtype(image.dtype)
        return 0.0, float(np.iinfo(kind).max) if kind.kind in "ui" else 1.0
    low, high = image.contrast_limits
    return float(low), float(high)


def _pixels(image: Image, box: Any) -> Any:
    """The image under a box of the mask; of a lazy one, only that is read."""
    data = image.data[0] if image.multiscale else image.data
    return np.asarray(data[tuple(box)])
