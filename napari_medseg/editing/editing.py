"""The one way in which masks are changed, so that everything can be undone in one order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from psygnal import Signal

from napari_medseg.models.errors import ImageError
from napari_medseg.models.prompts import Prompts

from ..background import Background
from ..masks import Mask, Masks
from ..state import PanelState
from .boxes import Array, Box, sides, whole
from .change import Change
from .difference import Difference
from .draft import Draft
from .history import History, Step
from .keeping import Keeping
from .packing import Packed, compared
from .recording import Recording
from .repaint import repaint
from .widening import held, widen_for
from .written_into import WrittenInto

_AT_ONCE = 2**22
"""Pixels up to which two masks are compared in the window's thread; larger ones are by the journal."""


@dataclass(eq=False)
class _Work:
    """What is kept beside a mask: its history, its prompts, and the array that its layer had last."""

    recording: Recording
    array: Any
    history: History = field(default_factory=History)
    prompts: Prompts = field(default_factory=Prompts)
    waiting: list[bool] = field(default_factory=list)
    """Whether back, of each undo and redo asked for before it was known what a step had changed."""


class Editing:
    """Undo and redo over prompts, answers of models, mask tools and napari's own brush alike, for each mask.

    Every step is told to the journal, which has it on the disk within a second.

    Args:
        state: what the panel shows.
        masks: the masks in work.
        background: brings what the journal's thread has to say to the window's.
    """

    changed = Signal(object, object)
    """Pixels were changed, by whomever: the mask, and the box as a tuple of slices."""

    prompts_changed = Signal(object)
    """The prompts of this mask's object are others now."""

    travelled = Signal(object, str, object, bool)
    """A step was undone or done again: the mask, its name, the box that it changed or None, and whether undone."""

    left = Signal()
    """A mask that lost its size has left its draft, which somebody may go on with."""

    def __init__(self, state: PanelState, masks: Masks, background: Background) -> None:
        self._state, self._masks, self._background = state, masks, background
        self.keeping = Keeping(state.project, lambda said: background.post(lambda: self._report(said)))
        self._written_into = WrittenInto(self.keeping, background, self._drawing, self._written)
        self._works: dict[Mask, _Work] = {}
        self._read: dict[Mask, Draft] = {}  # masks about to be shown that were read from the disk
        self._own = False  # whether it is us who give a layer another array
        masks.begun.connect(self._follow)
        masks.leaving.connect(self.flush)
        masks.turned_to.connect(self._end_strokes)
        masks.gone.connect(self._forget)
        masks.in_ledger.connect(self._saved)
        state.events.mask.connect(self._show)
        for mask in masks.all():
            self._follow(mask)

    def close(self, *, lose: bool = False) -> None:
        """Leave the layers to napari; what was not accepted is kept for the next time, unless it is to be lost."""
        for work in self._works.values():
            work.recording.flush()  # a stroke may be under way
        self._masks.begun.disconnect(self._follow)
        self._masks.leaving.disconnect(self.flush)
        self._masks.turned_to.disconnect(self._end_strokes)
        self._masks.gone.disconnect(self._forget)
        self._masks.in_ledger.disconnect(self._saved)
        self.keeping.close([] if lose else self._masks.unsaved())
        for work in self._works.values():
            work.recording.let_go()
        self._works.clear()

    def change(
        self, mask: Mask, region: Box, after: Array, name: str, *, prompts: Prompts | None = None, merge: Any = None
    ) -> None:
        """Write pixels into a mask, in place, as one step that can be undone.

        Args:
            mask: whose.
            region: where: for each axis, from where to where.
            after: all pixels of the region, as they shall be; a type that holds larger labels widens the mask's own
                if such labels are there, and it stays wide.
            name: what the step is called: "Fill holes".
            prompts: what the prompts of the object are from now on; None: as they are.
            merge: steps with an equal token that follow each other become one.

        Raises:
            ImageError: the mask is not in work any more, or the pixels do not fit the region; nothing was changed.
        """
        work = self._works.get(mask)
        if work is None or not self._masks.holds(mask):
            raise ImageError(f"The mask '{mask.layer.name}' was deleted meanwhile, so it was not changed.")
        box = tuple(slice(*axis.indices(side)[:2]) for axis, side in zip(region, mask.layer.data.shape, strict=True))
        after = np.asarray(after)
        if after.shape != sides(box):
            raise ImageError(f"Pixels of shape {after.shape} do not fit a region of shape {sides(box)}.")
        if after.dtype.kind not in "uib":
            raise ImageError(f"Pixels of type {after.dtype} are no labels; whole numbers are needed.")
        work.recording.flush()
        changes = []
        if after.size:
            after = self._held(mask, after)
            before = np.array(mask.layer.data[box])
            if after.size > _AT_ONCE or not np.array_equal(before, after):
                mask.layer.data[box] = after
                changes.append(Change(box, before, after))
        both = None if prompts is None else (work.prompts, prompts)
        if changes or (both is not None and both[0] != both[1]):
            self._did(mask, Step(name, Difference(changes), both, merge))

    def flush(self, mask: Mask) -> None:
        """Note what is painted already of a stroke whose mouse button is still down."""
        if work := self._works.get(mask):
            work.recording.flush()

    def set_prompts(self, mask: Mask, prompts: Prompts, name: str, *, merge: Any = None) -> None:
        """A step in which only the prompts change; see `change`."""
        work = self._works.get(mask)
        if work is not None and prompts != work.prompts:
            work.recording.flush()
            self._did(mask, Step(name, Difference([]), (work.prompts, prompts), merge))

    def prompts(self, mask: Mask) -> Prompts:
        """The prompts of the object in work."""
        work = self._works.get(mask)
        return work.prompts if work else Prompts()

    def since_first_prompt(self, mask: Mask) -> list[Step] | None:
        """The steps since the object in work got its first prompt; None if that is forgotten."""
        work = self._works.get(mask)
        if work is None:
            return None
        work.recording.flush()
        return work.history.since_first_prompt()

    @property
    def can_undo(self) -> str:
        """Name of the step that `undo` takes back; "" if there is none."""
        work = self._current()
        return work.history.can_undo if work else ""

    @property
    def can_redo(self) -> str:
        """Name of the step that `redo` does again; "" if there is none."""
        work = self._current()
        return work.history.can_redo if work else ""

    def undo(self) -> None:
        """Take back the last step of the current mask."""
        if mask := self._masks.current():
            self._travel(mask, back=True)

    def redo(self) -> None:
        """Do again what was undone last in the current mask."""
        if mask := self._masks.current():
            self._travel(mask, back=False)

    def undo_own(self, mask: Mask, token: Any) -> None:
        """Take the last step of a mask back if it is the one with this token; otherwise others came after it."""
        work = self._works.get(mask)
        if work is None:
            return
        work.recording.flush()
        if work.history.done and work.history.done[-1].merge is token:
            self._travel(mask, back=True)

    def hold(self, mask: Mask, label: int) -> None:
        """Give a mask a wider type if it cannot hold a label that is about to be drawn."""
        if label > np.iinfo(mask.layer.data.dtype).max:
            self._held(mask, np.array([label]))

    def go_on(self, mask: Mask, draft: Draft) -> bool:
        """Show a mask that was read from the disk, with its history; False if its image is gone or has changed."""
        self._read[mask] = draft
        shown = self._masks.show(mask)
        self._read.pop(mask, None)
        return shown

    def _current(self) -> _Work | None:
        mask = self._masks.current()
        return None if mask is None else self._works.get(mask)

    def _follow(self, mask: Mask) -> None:
        recording = Recording(
            mask.layer,
            lambda changes, name, stroke: self._did(mask, Step(name, Difference(changes), merge=stroke), by_hand=True),
            lambda: self._replaced(mask),
            lambda: self._refreshed(mask),
            lambda: self._travel(mask, back=True),
            lambda: self._travel(mask, back=False),
            self._background.post_after,
        )
        work = self._works[mask] = _Work(recording, mask.layer.data)
        draft = self._read.pop(mask, None)
        if draft is None:
            self.keeping.begin(mask)
        else:
            work.history = History(draft.content.history.done, draft.content.history.undone)
            work.prompts = draft.content.prompts
            self.keeping.go_on(mask, draft)

    def _forget(self, mask: Mask) -> None:
        if work := self._works.pop(mask, None):
            work.recording.let_go()
            self.keeping.end(mask)
        self._show()

    def _saved(self, mask: Mask) -> None:
        if mask in self._works:
            self.keeping.saved(mask)

    def _did(self, mask: Mask, step: Step, *, by_hand: bool = False) -> None:
        """Something was done: remember it, keep it, and tell."""
        work = self._works[mask]
        work.waiting.clear()  # an undo that was asked for before this must not take this back
        counted = bool(work.history.done) and work.history.done[-1].difference.box is not None
        joined = work.history.add(step)
        self._limit(mask)
        if step.difference.box is not None:
            self._masks.touched(mask, edit=not (joined and counted), by_hand=by_hand)
        self.keeping.step(mask, step, work.history)
        self._tell(mask, step, back=False)

    def _travel(self, mask: Mask, *, back: bool) -> None:
        work = self._works.get(mask)
        if work is None:
            return
        work.recording.flush()
        if not all(step.difference.known for step in work.history.done):
            work.waiting.append(back)
            return
        steps = work.history.done if back else work.history.undone
        if not steps:
            return
        self._own = True
        try:
            widen_for(mask.layer, steps[-1].difference)
        finally:
            self._own = False
        step = (work.history.undo if back else work.history.redo)(mask.layer.data)
        assert step is not None
        self._state.notice = ""  # what was said of the mask before is no longer so
        if step.difference.box is not None:
            self._masks.touched(mask)
        self.keeping.travel(mask, back=back)
        self._tell(mask, step, back=back)
        self.travelled.emit(mask, step.name, step.difference.box, back)

    def _tell(self, mask: Mask, step: Step, *, back: bool) -> None:
        work, box = self._works[mask], step.difference.box
        if box is not None:
            repaint(mask.layer, box)
        self._show()
        if step.prompts is not None:
            before, work.prompts = work.prompts, step.prompts[0 if back else 1]
            if work.prompts != before:
                self.prompts_changed.emit(mask)
        if box is not None:
            self.changed.emit(mask, box)

    def _replaced(self, mask: Mask) -> None:
        """Somebody gave the layer other pixels, or says so."""
        work = self._works[mask]
        old, new = work.array, mask.layer.data
        work.array = new
        if self._own:
            return
        if old.shape != new.shape:
            work.history.clear()
            work.waiting.clear()
            mask.predicted = mask.model = None
            kept = mask.unsaved
            self._masks.touched(mask)
            self.keeping.begin_again(mask, (lambda: self._background.post(self.left.emit)) if kept else None)
            self._show()
            if work.prompts:
                work.prompts = Prompts()
                self.prompts_changed.emit(mask)
            self._state.notice = (
                f"'{mask.layer.name}' has another size now; what was done before cannot be undone"
                f"{', but is kept, and you can go on with it' * kept}."
            )
        elif old is not new and new.size <= _AT_ONCE:
            difference = Difference(compared(np.asarray(old), np.asarray(new)))
            if difference.box is not None:
                self._did(mask, Step("Replace the mask", difference))
            self._written_into.look(mask)  # into the old array, before it was replaced
            return
        else:
            step = Step("Replace the mask", Difference())
            work.history.add(step)
            self._masks.touched(mask)
            self.keeping.replaced(
                mask,
                None if old is new else old,
                np.array(new),
                step,
                work.history,
                lambda: self._background.post(lambda: self._noted(mask, step)),
            )
            self._show()
        self.changed.emit(mask, whole(new.shape))

    def _noted(self, mask: Mask, step: Step) -> None:
        """It is known what a step changed, or never will be; whoever wanted to undo it meanwhile waits no longer."""
        work = self._works.get(mask)
        if work is None:
            return
        waiting, work.waiting = work.waiting, []
        if not step.difference.known:
            work.history.forget_until(step)
            self._state.notice = (
                f"What '{step.name}' changed cannot be told any more, so neither it nor what came before it can be "
                "undone. The mask is as you see it."
            )
            self._show()
            return
        self._limit(mask)
        for back in waiting:
            self._travel(mask, back=back)

    def _end_strokes(self, layer: Any) -> None:
        """A stroke belongs to its layer: what is drawn there later is a step of its own."""
        for mask, work in list(self._works.items()):
            if mask.layer is not layer:
                work.recording.end_stroke()

    def _drawing(self, mask: Mask) -> bool:
        work = self._works.get(mask)
        return work is not None and work.recording.drawing

    def _refreshed(self, mask: Mask) -> None:
        """Somebody had the layer shown anew; before `layer.data` tells of another array, napari does, too."""
        if mask.layer.data is self._works[mask].array:
            self._written_into.look(mask)

    def _written(self, mask: Mask, written: list[Packed]) -> None:
        if mask in self._works:
            self._did(mask, Step("Change", Difference(written)))

    def _limit(self, mask: Mask) -> None:
        history = self._works[mask].history
        if history.forget_oldest() and len(history.done) == 1:
            self._state.notice = (
                f"'{history.can_undo}' changed so much that the steps before it cannot be undone any more."
            )

    def _held(self, mask: Mask, after: Array) -> Array:
        self._own = True
        try:
            return np.array(held(mask.layer, after))
        finally:
            self._own = False

    def _report(self, said: str) -> None:
        self._state.unsafe = said

    def _show(self) -> None:
        self._state.undo, self._state.redo = self.can_undo, self.can_redo
