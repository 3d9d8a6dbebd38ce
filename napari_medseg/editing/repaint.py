"""Showing pixels of a mask that were changed in place, at the cost of their box."""

from __future__ import annotations

from typing import Any

import numpy as np

from .boxes import Box


def repaint(layer: Any, box: Box) -> None:
    """Have a Labels layer shown as its pixels are now; only the box is sent to the graphics card if that is enough.

    Sending the whole slice takes tens of milliseconds for one of 4,096 x 4,096 pixels. napari paints its own strokes
    box by box, but has no public name for it; where the private one is missing or does not fit, all is sent.
    """
    if not layer.visible:
        return
    try:
        shown = layer._slice.image.view
        partly = (
            layer._slice_input.ndisplay == 2
            and isinstance(layer.data, np.ndarray)
            and np.shares_memory(layer.data, shown)
            and layer._slicing_state.loaded
        )
        if partly and not _is_in_view(layer, box):
            return
        if partly:
            layer._accumulate_updated_slice(box)
            layer._partial_labels_refresh()
            return
    except (AttributeError, TypeError, IndexError, ValueError):
        pass  # another napari than those that this was written for
    layer.refresh(extent=False)


def _is_in_view(layer: Any, box: Box) -> bool:
    """Whether the shown plane goes through the box."""
    shown = layer._get_pt_not_disp()
    return all(box[axis].start <= int(at) < box[axis].stop for axis, at in shown.items())
