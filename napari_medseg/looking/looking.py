"""From one doubtful place of the mask to the next one, the worst first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_medseg.models.doubt import DoubtfulPlace, doubtful_places

from ..background import Background
from ..editing import Editing
from ..masks import Mask, Masks
from ..on_top import reveal
from ..state import PanelState
from .camera import look_at
from .doubts import Doubt, Doubts
from .frame import Frame

COMPARED = 2**20
"""Pixels of a place up to which it is remembered how they were; in a larger one any change counts as a correction."""

NO_IMAGE = "Open an image first."
NO_MASK = "There is no mask yet: segment the image, then go through the places that the model is unsure of."
NO_ANSWER = "No model has answered for this image, so nobody doubts its mask. Segment the image (S) to know."
SEARCHING = "Looking for doubtful places ..."
NOT_SEARCHED = "Go to the next doubtful place to see what the network was unsure of."
NOTHING = "Nothing stands out: the model is as sure as it can be, and nobody need look anywhere."
ALL_DONE = "All {} doubtful places were looked at or corrected."


@dataclass(eq=False)
class _Stop:
    """A place on the way.

    Attributes:
        place: it.
        before: pixels of the mask in its box when it was found; None if they are too many.
        looked: whether somebody was there.
        corrected: whether its pixels are others now.
    """

    place: DoubtfulPlace
    before: npt.NDArray[Any] | None
    looked: bool = False
    corrected: bool = False

    @property
    def done(self) -> bool:
        """Whether it is ticked off."""
        return self.looked or self.corrected


@dataclass(eq=False)
class _Way:
    """All places of one mask; which one is looked at; and whether the doubt has changed since they were found."""

    stops: list[_Stop] = field(default_factory=list)
    at: int = -1
    stale: bool = False


class Looking:
    """Finds the doubtful places of the current mask and brings them into view, one after the other.

    Args:
        viewer: napari's.
        state: what the panel shows.
        masks: in work.
        editing: tells what is corrected.
        doubts: of the networks.
        background: where places are searched for.
    """

    looked = Signal()
    """A place has come into view, with a frame around it."""

    def __init__(
        self, viewer: Any, state: PanelState, masks: Masks, editing: Editing, doubts: Doubts, background: Background
    ) -> None:
        self.viewer, self._state, self._masks, self._editing = viewer, state, masks, editing
        self._doubts, self._background = doubts, background
        self._ways: dict[Mask, _Way] = {}
        self._searching: Mask | None = None
        self._changes: list[tuple[Mask, tuple[slice, ...]]] = []
        self.frame = Frame(viewer)
        editing.changed.connect(self._corrected)
        doubts.changed.connect(self._told)
        masks.gone.connect(self._forget)
        state.events.mask.connect(self._mask_changed)
        state.events.image.connect(self._show)
        self._mask_changed()

    def close(self) -> None:
        """Look no more."""
        self._editing.changed.disconnect(self._corrected)
        self._doubts.changed.disconnect(self._told)
        self._masks.gone.disconnect(self._forget)
        self._state.events.mask.disconnect(self._mask_changed)
        self._state.events.image.disconnect(self._show)
        self.frame.hide()
        self._ways.clear()
        self.viewer = self.frame.viewer = None

    def next(self) -> None:
        """Bring the next place into view that is not ticked off; after the last one, begin with those left out."""
        self._go(_following)

    def previous(self) -> None:
        """Bring the place before into view, ticked off or not."""
        self._go(lambda way: (way.at - 1) % len(way.stops) if way.at >= 0 else len(way.stops) - 1)

    def _go(self, choose: Callable[[_Way], int | None]) -> None:
        mask = self._current()
        if mask is None or self._doubt_of(mask) is None or self._searching is mask:
            self._show()
            return
        way = self._ways.get(mask)
        if way is None or way.stale:
            self._search(mask, lambda: self._go(choose))
            return
        number = choose(way) if way.stops else None
        if number is None:
            self._state.notice = ALL_DONE.format(len(way.stops)) if way.stops else NOTHING
            return
        way.at = number
        way.stops[number].looked = True
        place = way.stops[number].place
        reveal(self.viewer, mask.image, mask.layer)
        look_at(self.viewer, mask.layer, place.box, place.centre)
        self.frame.show(mask.layer, place.box, place.centre)
        self._show()
        self.looked.emit()

    def _search(self, mask: Mask, then: Callable[[], object] | None = None) -> None:
        """Find the places of a mask; what was ticked off stays so."""
        doubt = self._doubt_of(mask)
        if doubt is None or not isinstance(mask.layer.data, np.ndarray):
            self._show()
            return
        self._searching = mask
        self._show()
        pixels = mask.layer.data

        def found(stops: list[_Stop]) -> None:
            self._searching = None
            if not self._masks.holds(mask) or mask.layer.data is not pixels:
                self._show()
                return
            old = self._ways.get(mask, _Way())
            for stop in stops:
                stop.looked = any(one.looked and _within(stop.place, one.place) for one in old.stops)
                stop.corrected = _differs(mask, stop)  # meanwhile
            self._ways[mask] = _Way(stops)
            self._show()
            if then is not None:
                then()

        self._background.run(partial(_found, doubt, pixels), found, self._failed)

    def _doubt_of(self, mask: Mask) -> Doubt | None:
        """What is known about a mask; None too if it has another size than what that was told for."""
        doubt = self._doubts.of(mask.image)
        return doubt if doubt is not None and doubt.pixels.shape == mask.layer.data.shape else None

    def _current(self) -> Mask | None:
        return self._masks.current() if self._state.mask is not None else None

    def _told(self, image: Any, whole: bool) -> None:
        """Somebody's doubt about an image is another one."""
        for known, way in self._ways.items():
            if known.image is image:
                way.stale = True
        mask = self._current()
        if whole and mask is not None and mask.image is image:
            self._ways.pop(mask, None)
            self._search(mask)
            return
        if mask is not None and mask.image is image and self._searching is not mask:
            self._ways.setdefault(mask, _Way(stale=True))
        self._show()

    def _corrected(self, mask: Mask, region: tuple[slice, ...]) -> None:
        """Pixels were changed, or are about to be: napari tells of some strokes before it paints them."""
        if mask in self._ways:
            if not self._changes:
                self._background.post(self._tick_off)
            self._changes.append((mask, region))

    def _tick_off(self) -> None:
        """What lies where pixels were changed is ticked off; and not any more, if the change was undone."""
        changes, self._changes = self._changes, []
        for mask, region in changes:
            for stop in self._ways[mask].stops if mask in self._ways else ():
                if _meet(stop.place.box, region):
                    stop.corrected = stop.before is None or _differs(mask, stop)
        self._show()

    def _mask_changed(self) -> None:
        mask = self._current()
        if mask is not None and mask not in self._ways and self._searching is None:
            self._search(mask)
        else:
            self._show()

    def _forget(self, mask: Mask) -> None:
        self._ways.pop(mask, None)

    def _failed(self, reason: str) -> None:
        self._searching = None
        self._state.problem = reason
        self._show()

    def _show(self) -> None:
        mask = self._current()
        way = self._ways.get(mask) if mask is not None else None
        self._state.can_look = way is not None and (bool(way.stops) or way.stale)
        self._state.looking = self._said(mask, way)

    def _said(self, mask: Mask | None, way: _Way | None) -> str:
        if mask is None:
            return NO_IMAGE if self._state.image is None else NO_MASK
        if self._searching is mask:
            return SEARCHING
        if self._doubt_of(mask) is None:
            return NO_ANSWER
        if way is None:
            return "This mask is not in memory; duplicate its layer to go through its doubtful places."
        if not way.stops:
            return NOT_SEARCHED if way.stale else NOTHING
        done = sum(stop.done for stop in way.stops)
        ticked = f" {done} ticked off." if done else ""
        if way.at < 0:
            return f"{_count(len(way.stops))}, the worst first.{ticked}"
        stop = way.stops[way.at]
        inside = f", in {self._called(stop.place.label)}" if stop.place.label else ""
        corrected = " Corrected." if stop.corrected else ""
        return f"{way.at + 1} of {len(way.stops)}{inside}: {stop.place.why}.{corrected}{ticked}"

    def _called(self, label: int) -> str:
        name = "" if self._state.own_labels else self._state.labels.get(label, "")
        return name or f"object {label}"


def _found(doubt: Doubt, pixels: npt.NDArray[Any]) -> list[_Stop]:
    places = doubtful_places(255 - doubt.pixels, pixels, doubt.told_for())
    return [_Stop(place, _remembered(pixels[place.box])) for place in places]


def _remembered(pixels: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    return pixels.copy() if pixels.size <= COMPARED else None


def _differs(mask: Mask, stop: _Stop) -> bool:
    return stop.before is not None and not np.array_equal(mask.layer.data[stop.place.box], stop.before)


def _following(way: _Way) -> int | None:
    """The next place that is not ticked off, from where one is to the end and on from the beginning."""
    count = len(way.stops)
    ahead = (number % count for number in range(way.at + 1, way.at + 1 + count))
    return next((number for number in ahead if not way.stops[number].done), None)


def _meet(one: tuple[slice, ...], other: tuple[slice, ...]) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def _within(place: DoubtfulPlace, other: DoubtfulPlace) -> bool:
    return all(side.start <= at < side.stop for at, side in zip(place.centre, other.box, strict=True))


def _count(places: int) -> str:
    return "1 doubtful place" if places == 1 else f"{places} doubtful places"
