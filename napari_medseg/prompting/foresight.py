"""A click is answered while the button is still held, so that its answer is there when the button is let go."""

from __future__ import annotations

import contextlib
from typing import Any

from napari_medseg.models.engine.region import NOTHING, Region
from napari_medseg.models.errors import MedSegError
from napari_medseg.models.prompts.prompts import Point, Prompts

from ..editing import Editing
from ..masks import Mask, Masks
from ..state import PanelState
from .asking import Asking
from .objects import Objects


class Foresight:
    """Has the predictor answer what may be about to be asked; it remembers the answer, and nothing is written.

    Args:
        state: what the panel shows.
        masks: in work.
        editing: where the prompts are.
        objects: which object a prompt is about.
        asking: the line to the predictor.
    """

    def __init__(self, state: PanelState, masks: Masks, editing: Editing, objects: Objects, asking: Asking) -> None:
        self._state, self._masks, self._editing = state, masks, editing
        self._objects, self._asking = objects, asking
        self._looking = False

    def look(self, image: Any, click: Point) -> None:
        """Ask what a click would come to, unless that cannot be told yet, or the last question is still open."""
        if self._looking or image is not self._state.image:
            return
        with contextlib.suppress(IndexError, TypeError, ValueError, MedSegError):  # the click itself will say it
            mask = self._masks.current()
            asked, now = self._first(image, click) if mask is None else self._next(mask, click)
            self._asking.prompt(image, click.plane, asked, now, self._seen, self._seen)
            self._looking = True

    def _first(self, image: Any, click: Point) -> tuple[Prompts, Region]:
        """What to ask, where the click would begin the mask of an image."""
        return self._objects.beginning(image).asked(Prompts((click,))), NOTHING

    def _next(self, mask: Mask, click: Point) -> tuple[Prompts, Region]:
        """What to ask, and the object that the click would add to.

        Raises:
            MedSegError: it takes a search to know that, or the click means nothing.
        """
        before, work, known = self._objects.foreseen(mask, click)
        now = known.now(mask.layer.data[click.plane], work.asked(before.on(click.plane)))
        return work.asked(before.add(click).on(click.plane)), now

    def _seen(self, answer: Any) -> None:
        """The predictor has answered, or cannot; either way the click itself asks again."""
        self._looking = False
