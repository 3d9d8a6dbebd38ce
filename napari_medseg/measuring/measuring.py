"""What is measured of the chosen image's mask: kept up to date away from the window's thread."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_medseg.models.durable import write
from napari_medseg.models.errors import CancelledError
from napari_medseg.models.measuring import LabelMeasures, csv_file, measure, measure_planes

from ..background import Background
from ..editing import Editing
from ..image_layers import channel_siblings, medical_image
from ..looking.camera import look_at
from ..masks import Mask, Masks
from ..state import PanelState

AT_ONCE = 2**24
"""Pixels of a mask up to which it is measured again after each change; a larger one when asked."""

NO_MASK = "There is no mask yet: segment the image, or draw a mask in a new Labels layer."
LARGE = "The mask of a whole large image is measured with 'medseg export'; a part that is open is measured here."
CHANGED = "The mask has changed since it was measured."
EMPTY = "The mask is empty."
MEASURING = "Measuring ..."

Rows = tuple[LabelMeasures, ...]


class Measuring:
    """Measures of the mask in work, label by label.

    Args:
        viewer: napari's.
        state: what the panel shows.
        masks: in work.
        editing: tells of changes.
        background: where it is measured.
    """

    changed = Signal()
    """The rows, or what is to be said about them, are others."""

    outdated = Signal()
    """The rows are not those of the mask any more; whoever shows them calls `refresh` soon."""

    def __init__(self, viewer: Any, state: PanelState, masks: Masks, editing: Editing, background: Background) -> None:
        self.viewer, self._state, self._masks, self._editing = viewer, state, masks, editing
        self._background = background
        self._measured: Mask | None = None
        self._stop = threading.Event()
        self._running = False
        self._by_plane = False
        self._names: dict[int, str] = {}
        self.rows: Rows = ()
        self.stale = True
        """Whether the rows are not those of the mask as it is."""
        editing.changed.connect(self._edited)
        state.events.mask.connect(self._outdate)
        state.events.labels.connect(self._renamed)

    def close(self) -> None:
        """Measure no more."""
        self._stop.set()
        self._editing.changed.disconnect(self._edited)
        self._state.events.mask.disconnect(self._outdate)
        self._state.events.labels.disconnect(self._renamed)
        self.viewer = None

    @property
    def by_plane(self) -> bool:
        """Whether each slice or frame is measured on its own."""
        return self._by_plane

    @by_plane.setter
    def by_plane(self, on: bool) -> None:
        if on != self._by_plane:
            self._by_plane = on
            self._outdate()
            self.refresh()

    @property
    def has_planes(self) -> bool:
        """Whether there is more than one plane to measure."""
        mask = self._mask()
        return mask is not None and mask.layer.ndim > 2

    @property
    def at_once(self) -> bool:
        """Whether the mask is measured again by itself after each change."""
        mask = self._mask()
        return mask is not None and mask.layer.data.size <= AT_ONCE

    @property
    def said(self) -> str:
        """What is to be said about the rows, in words."""
        mask = self._mask()
        if mask is None:
            return LARGE if self._state.large and not self._state.in_part else NO_MASK
        if self._running and not self.rows:
            return MEASURING
        if self.stale and not self.at_once and not self._running:
            return f"{CHANGED} Press Measure." if self.rows else "Press Measure."
        if not self.rows:
            return EMPTY
        count = len({row.label for row in self.rows})
        pieces = sum(row.pieces for row in self.rows)
        labels = "1 label" if count == 1 else f"{count} labels"
        parts = f", {pieces} pieces" if pieces != len(self.rows) and not self._by_plane else ""
        unit = "" if self.rows[0].unit != "pixel" else "; the length of a pixel is not known"
        return f"{labels}{parts}{unit}"

    def refresh(self) -> None:
        """Measure the mask as it is; an earlier measurement that is still under way is dropped."""
        mask = self._mask()
        self._stop.set()
        if mask is None:
            self._show((), None)
            return
        stop = self._stop = threading.Event()
        self.stale, self._running = False, True
        if self._measured is not mask:
            self.rows = ()
        self.changed.emit()
        siblings = channel_siblings(mask.image, self.viewer.layers)
        names = self._names = label_names(self._state)
        # The pixels are read while the user may paint on: what changes meanwhile is measured again.
        pixels, each = mask.layer.data, measure_planes if self._by_plane else measure

        def work() -> Rows:
            try:
                return each(pixels, medical_image(mask.image, siblings), names=names, cancel=stop.is_set)
            except CancelledError:
                return ()

        def done(rows: Rows) -> None:
            if self._stop is stop and not stop.is_set():
                self._show(rows, mask)

        def failed(reason: str) -> None:
            if self._stop is stop and not stop.is_set():
                self._state.problem = reason
                self._show((), mask)

        self._background.run(work, done, failed)

    def select(self, row: LabelMeasures) -> None:
        """Have napari's brush draw the label of a row, and bring it into view."""
        mask = self._mask()
        if mask is None or mask is not self._measured or self.viewer is None:
            return
        layer = mask.layer
        if len(row.box) != layer.ndim or any(
            stop > side for (_, stop), side in zip(row.box, layer.data.shape, strict=True)
        ):
            return  # the layer was given other pixels meanwhile
        layer.visible = True
        layer.selected_label = row.label
        self.viewer.layers.selection.active = layer
        look_at(self.viewer, layer, tuple(slice(*side) for side in row.box), row.centre)

    def save(self, path: Path) -> None:
        """Write the rows as CSV; the end is told in the panel."""
        rows = self.rows

        def saved(_: None) -> None:
            self._state.notice = f"{len(rows)} {'line was' if len(rows) == 1 else 'lines were'} written to {path}."

        self._state.problem = self._state.notice = ""
        self._background.run(partial(write, path, csv_file(rows)), saved, self._failed, finish=True)

    def _mask(self) -> Mask | None:
        return self._masks.current() if self._state.mask is not None and self.viewer is not None else None

    def _edited(self, mask: Mask, _region: Any) -> None:
        if mask is self._mask():
            self._outdate()

    def _renamed(self) -> None:
        if label_names(self._state) != self._names:
            self._outdate()

    def _outdate(self) -> None:
        self.stale = True
        if self._mask() is not self._measured:
            self.rows, self._measured = (), None
        self.changed.emit()
        self.outdated.emit()

    def _show(self, rows: Rows, mask: Mask | None) -> None:
        self._running = False
        self.rows, self._measured = rows, mask
        self.changed.emit()

    def _failed(self, reason: str) -> None:
        self._state.problem = reason


def label_names(state: PanelState) -> dict[int, str]:
    """What the labels of the mask are called; objects that are numbered one by one have no names."""
    if state.own_labels:
        return {}
    return {label: name for label, name in state.labels.items() if name != f"label {label}"}
