"""A mask tool at work: away from the window's thread, and never over newer strokes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_medseg.models.errors import CancelledError
from napari_medseg.models.mask_tools import Change, Selection, plane_by_plane

from ..background import Background, in_words
from ..editing import Editing
from ..masks import Mask
from ..state import PanelState
from .catalogue import Tool, Values
from .kept_boxes import KeptBoxes
from .place import Place, plane, stack, volume

TRIES = 3
"""Times that a tool looks at the mask, if that is changed under it."""

TELLING = 0.1
"""Seconds between two reports of how far a tool is."""


@dataclass(frozen=True, eq=False)
class Order:
    """What was asked of a tool.

    Attributes:
        tool: which.
        mask: what it works on.
        values: what was chosen for it.
        label: the one to work on; None for all.
        extent: "volume", "slice" for the shown one alone, or "each" for every slice on its own.
        done: called with the place when the mask is as it was asked for, also if it was so before.
    """

    tool: Tool
    mask: Mask
    values: Values
    label: int | None
    extent: str
    done: Callable[[Place], None]

    def place(self, viewer: Any) -> Place:
        """Where that is now.

        Raises:
            MedSegError: nowhere; says why.
        """
        if self.tool.kind == "stack":
            return stack(self.mask, viewer)
        return (plane if self.extent == "slice" else volume)(self.mask, viewer)

    @property
    def cancelled(self) -> str:
        """What to say if it was stopped."""
        return f"'{self.tool.title}' was cancelled; the mask is as it was."


class Running:
    """One tool at a time.

    A tool reads the mask in a background thread: numpy, scipy and scikit-image leave the interpreter to the window
    while they work. What it found is written in the window's thread, if the pixels there are still those it was
    found for; else it is found anew.

    Args:
        viewer: tells what is shown.
        state: what the panel shows.
        editing: through which masks are changed.
        background: where tools run.
    """

    def __init__(self, viewer: Any, state: PanelState, editing: Editing, background: Background) -> None:
        self.viewer, self._state = viewer, state
        self._editing, self._background = editing, background
        self._boxes = KeptBoxes()
        self._order: Order | None = None
        self._cancelled = False
        editing.changed.connect(self._boxes.changed)

    def start(self, order: Order) -> None:
        """Begin; while another tool is at work, only say so."""
        if self._order is not None:
            self._state.notice = f"'{self._order.tool.title}' is still at work; wait for it, or cancel it."
            return
        self._state.problem = self._state.notice = ""
        self._order, self._cancelled = order, False
        self._state.tool_working = 0.0
        self._look(order, TRIES)

    def cancel(self) -> None:
        """Stop the tool as soon as it looks up; the mask stays as it is."""
        self._cancelled = True

    def close(self) -> None:
        """Let go of the viewer and of the arrays."""
        self._cancelled = True
        self._editing.changed.disconnect(self._boxes.changed)
        self._boxes.forget()
        self.viewer = None

    def _look(self, order: Order, tries: int) -> None:
        try:
            place = order.place(self.viewer)
            selected = Selection(None if order.label is None else (order.label,), boxes=self._boxes.of(place))
        except Exception as error:  # whatever it is, the next tool can be used
            self._end(problem=in_words(error))
            return
        told = time.monotonic()

        def progress(share: float) -> None:
            nonlocal told
            if self._cancelled:
                raise CancelledError(order.cancelled)
            if time.monotonic() - told > TELLING:
                told = time.monotonic()
                self._background.post(lambda: self._tell(order, share))

        self._background.run(
            lambda: _made(order, place, selected, progress),
            lambda change: self._write(order, place, change, tries - 1),
            lambda said: self._end(problem=said),
        )

    def _tell(self, order: Order, share: float) -> None:
        if self._order is order:
            self._state.tool_working = share

    def _write(self, order: Order, place: Place, change: Change, tries: int) -> None:
        """Put the new pixels where the tool found the old ones; if those are there no more, look again."""
        region, layer = place.region(change), order.mask.layer
        same = layer.data is place.data and np.array_equal(place.data[region], place.in_mask(change.before))
        if self._cancelled:
            self._end(problem=order.cancelled)
        elif not same and tries > 0:
            self._look(order, tries)
        elif not same:
            self._end(problem=f"The mask was changed while '{order.tool.title}' was at work, so it did nothing.")
        elif not change:
            self._end(notice=change.said)
            order.done(place)
        else:
            try:
                self._editing.change(order.mask, region, place.in_mask(change.after), order.tool.title)
            except Exception as error:  # whatever it is, the next tool can be used
                self._end(problem=in_words(error))
                return
            self._end(notice=change.said)
            order.done(place)

    def _end(self, *, notice: str = "", problem: str = "") -> None:
        self._order = None
        self._state.tool_working = None
        if self._cancelled:
            notice, problem = notice or problem, ""
        self._state.notice, self._state.problem = notice, problem


def _made(order: Order, place: Place, selected: Selection, progress: Callable[[float], None]) -> Change:
    work, across = order.tool.work, place.across
    assert work is not None
    if order.tool.kind != "shape" or order.extent != "each" or across is None:
        return work(place, selected, order.values, progress)
    spacing = (*place.spacing[:across], *place.spacing[across + 1 :])

    def on_plane(pixels: Any, here: Selection) -> Change:
        slice_ = Place(place.mask, pixels, (slice(None),) * pixels.ndim, spacing, place.unit, None, 0)
        return work(slice_, here, order.values, None)

    return plane_by_plane(on_plane, place.pixels, selected, axis=across, progress=progress)
