"""Undo and redo tell where they changed a mask, if that is not where the user looks."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_medseg.models.errors import MedSegError
from napari_medseg.models.image import PLANE_CALLED

from ..image_layers import axes_of
from ..masks import Mask
from ..state import PanelState
from .boxes import Box
from .editing import Editing


class Elsewhere:
    """Follows what is undone and done again.

    Args:
        viewer: napari's; tells what is shown.
        state: what the panel shows.
        editing: tells of undo and redo.
    """

    def __init__(self, viewer: Any, state: PanelState, editing: Editing) -> None:
        self._viewer, self._state, self._editing = viewer, state, editing
        editing.travelled.connect(self._travelled)

    def close(self) -> None:
        """Tell no more."""
        self._editing.travelled.disconnect(self._travelled)

    def _travelled(self, mask: Mask, name: str, box: Box | None, back: bool) -> None:
        where = None if box is None else _out_of_sight(self._viewer, mask, box)
        if where is not None:
            done = "Taken back" if back else "Done again"
            self._state.notice = f"{done} on {where}, which you do not see now: {name}."


def _out_of_sight(viewer: Any, mask: Mask, box: Box) -> str | None:
    """Which slices a box is on, in words; None if it reaches the shown one."""
    layer, dims = mask.layer, viewer.dims
    beyond, at = dims.ndim - layer.ndim, np.round(layer.world_to_data(dims.point))
    try:
        axes = axes_of(mask.image)
    except MedSegError:
        axes = ""
    for axis in (axis - beyond for axis in dims.not_displayed if axis >= beyond):
        side = box[axis]
        if not side.start <= at[axis] < side.stop:
            called = PLANE_CALLED.get(axes[axis] if len(axes) == layer.ndim else "", "plane")
            first, last = side.start, side.stop - 1
            return f"{called} {first}" if first == last else f"{called}s {first} to {last}"
    return None
