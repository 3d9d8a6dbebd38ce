"""Which object of each mask the prompts are about: begun, picked, or found again after an undo."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from napari_medseg.models.errors import PromptError
from napari_medseg.models.prompts.prompts import Box, Lasso, Point, Position, Prompt, Prompts, Scribble
from napari_medseg.models.prompts.rastering import pixels_of

from ..background import Background
from ..editing import Editing
from ..masks import Mask, Masks
from ..state import PanelState
from .object_in_work import ObjectInWork, PlaneInWork
from .picking import next_label, object_at
from .restoring import restored
from .sizes_seen import SizesSeen

REMEMBERED = 500
"""Objects of earlier steps that are known again when those are undone; the history is not much longer."""

Plane = tuple[int, ...]
Found = Callable[[ObjectInWork, bool], None]
"""Called with the object that a prompt is about, and whether the prompt is to be answered: picking it was not all."""


class Objects:
    """The object in work of each mask.

    Args:
        state: what the panel shows.
        masks: in work.
        editing: tells when somebody else changes pixels or prompts.
        background: where objects are looked for.
        guarded: makes a function that ends its turn, whatever goes wrong in it.
    """

    def __init__(
        self,
        state: PanelState,
        masks: Masks,
        editing: Editing,
        background: Background,
        guarded: Callable[[Callable[..., None]], Callable[..., None]],
    ) -> None:
        self._state, self._masks, self._editing, self._background = state, masks, editing, background
        self._guarded = guarded
        self._in_work: dict[Mask, ObjectInWork] = {}
        self._earlier: OrderedDict[tuple[Mask, Prompts], ObjectInWork] = OrderedDict()
        self._highest: dict[Mask, int] = {}
        self._sizes = SizesSeen()
        self._new_label: tuple[int, int] | None = None  # picked before an object began, and the label that it has
        self.ours = False  # whether it is ourselves who change the mask
        masks.gone.connect(self.forget)
        editing.changed.connect(self._changed)
        editing.prompts_changed.connect(self._prompts_changed)
        state.events.project.connect(self._sizes.clear)

    def close(self) -> None:
        """Look no more."""
        self._masks.gone.disconnect(self.forget)
        self._editing.changed.disconnect(self._changed)
        self._editing.prompts_changed.disconnect(self._prompts_changed)
        self._state.events.project.disconnect(self._sizes.clear)

    def of(self, mask: Mask) -> ObjectInWork | None:
        """The object in work."""
        return self._in_work.get(mask)

    def remember(self, mask: Mask, prompts: Prompts) -> None:
        """The object in work has these prompts: if they come back, it does."""
        if prompts and mask in self._in_work:
            self._earlier[mask, prompts] = self._in_work[mask]
            while len(self._earlier) > REMEMBERED:
                self._earlier.popitem(last=False)

    def leave(self, mask: Mask) -> None:
        """No object is in work any more."""
        if work := self._in_work.pop(mask, None):
            self._sizes.add(work, mask.layer)

    def resume(self, mask: Mask, work: ObjectInWork) -> None:
        """An earlier object is in work again."""
        self._in_work[mask] = work
        for plane, known in work.planes.items():
            known.changed(mask.layer.data[plane], known.box)
        self._state.label = work.label

    def pick_label(self) -> None:
        """Pick the label of the object that began last, unless another one was picked meanwhile.

        Not when it begins: napari draws the image anew for that, and takes the processor from the answer.
        """
        if self._new_label is not None:
            (before, label), self._new_label = self._new_label, None
            if self._state.label == before:
                self._state.label = label

    def wrote(self, mask: Mask, label: int) -> None:
        """The mask has this label now."""
        if mask in self._highest:
            self._highest[mask] = max(self._highest[mask], label)

    def about(self, mask: Mask | None) -> str:
        """What is in work, in words."""
        work = self._in_work.get(mask) if mask else None
        given = len(self._editing.prompts(mask)) if mask else 0
        if work is None and not given:
            return "No object in work: click on one, or on the background for a new one."
        prompts = "no prompts yet" if not given else "1 prompt" if given == 1 else f"{given} prompts"
        return f"{self.called(work) if work else 'The object that was in work'}: {prompts}."  # not yet known again

    def called(self, work: ObjectInWork) -> str:
        """An object in words: by its number, or by its class."""
        name = "Object" if work.alone else self._state.labels.get(work.label, "")
        named = name if name and name != f"label {work.label}" else "Label"
        return f"{named} {work.label}"

    def for_prompt(self, mask: Mask, prompt: Prompt, token: Any, found: Found, failed: Callable[[str], None]) -> None:
        """Find, pick or begin the object that a prompt is about.

        A prompt belongs to the object in work, with two exceptions. A click or scribble on another object picks that
        one, unless the label in work may take its pixels. A box or lasso around nothing of the object begins a new one.

        Args:
            mask: that the object is in.
            prompt: given in the shown image.
            token: of the step that it is part of.
            found: called with the answer, now or soon.
            failed: called with a sentence if the prompt means nothing.
        """
        work, pixels = self._in_work.get(mask), mask.layer.data[prompt.plane]
        row, column = first_cut(prompt, pixels) if work is None else rounded(prompt.path[0])
        label = int(pixels[row, column]) if isinstance(prompt, Point | Scribble) else 0
        if work is None and self._editing.prompts(mask):
            self.restore(mask, lambda: self.for_prompt(mask, prompt, token, found, failed), failed)
        elif label and self._picks(work, prompt, label, pixels, row, column):
            only_picks = isinstance(prompt, Point) and prompt.positive
            self._pick(mask, prompt.plane, (row, column), label, token, lambda it: found(it, not only_picks), failed)
        elif work is not None and self.concerns(mask, work, prompt):
            found(work, True)
        elif not prompt.positive:
            failed("There is no object here that something could be taken away from.")
        else:
            self._finish(mask, token)
            self._begin(mask, lambda it: found(it, True), failed)

    def beginning(self, layer: Any) -> ObjectInWork:
        """The object that would begin in the layer of an image, or of a mask, if its label was not taken."""
        return self._new(self._state.label, self._state.own_labels, layer)

    def foreseen(self, mask: Mask, click: Point) -> tuple[Prompts, ObjectInWork, PlaneInWork]:
        """What `for_prompt` would come to, without doing it.

        Returns:
            The prompts there are, the object, and what is known of it on that plane.

        Raises:
            PromptError: the click means nothing, or it takes a search to know what it means.
        """
        work, pixels, given = self._in_work.get(mask), mask.layer.data[click.plane], self._editing.prompts(mask)
        row, column = rounded(click.at)
        label = int(pixels[row, column])
        picks = label and self._picks(work, click, label, pixels, row, column)
        if picks or (work is None and (given or not click.positive)):
            raise PromptError("Which object this click is about is not known yet.")
        if work is None:
            work = self.beginning(mask.layer)
        return given, work, work.planes.get(click.plane) or PlaneInWork(work.label, work.alone)

    def concerns(self, mask: Mask, work: ObjectInWork, prompt: Prompt) -> bool:
        """Whether a prompt can be about the object in work: a box or lasso around nothing of it cannot."""
        if not isinstance(prompt, Box | Lasso):
            return True
        given = [one for one in self._editing.prompts(mask).on(prompt.plane) if one.positive]
        pixels = mask.layer.data[prompt.plane]
        known = work.on(prompt.plane)
        inside = box_of(prompt, pixels.shape)
        if not given and not known.below.size:
            return False
        return any(_holds(inside, one) for one in given) or known.reaches(pixels, inside)

    def free_label(self, mask: Mask, then: Callable[[int], None], failed: Callable[[str], None]) -> None:
        """The next number that no object has; looked for in a thread if it is not known."""
        if mask in self._highest:
            then(self._highest[mask] + 1)
            return

        def known(number: int) -> None:
            self._highest[mask] = number - 1
            then(number)

        data = mask.layer.data
        self._background.run(lambda: next_label(np.asarray(data)), self._guarded(known), failed)

    def _picks(self, work: ObjectInWork | None, prompt: Prompt, label: int, pixels: Any, row: int, column: int) -> bool:
        """Whether a prompt on a label means that object, rather than the one in work."""
        if work is None:
            return True
        if label == work.label:
            if prompt.plane not in work.planes:
                return True
            return not work.on(prompt.plane).owns(pixels, row, column)
        return not prompt.positive or not self._state.overwrite

    def _pick(
        self,
        mask: Mask,
        plane: Plane,
        at: tuple[int, int],
        label: int,
        token: Any,
        then: Callable[[ObjectInWork], None],
        failed: Callable[[str], None],
    ) -> None:
        alone = self._state.own_labels
        pixels = mask.layer.data[plane]

        def picked(begun: Any) -> None:
            work = self._in_work.get(mask)
            if work is None or work.label != label or plane in work.planes:
                self._finish(mask, token)
                work = self._in_work[mask] = ObjectInWork(label, alone)
            work.planes[plane] = PlaneInWork.picked(label, alone, mask.layer.data[plane], begun)
            self._state.label = label
            then(work)

        self._background.run(lambda: object_at(np.asarray(pixels), *at, alone=alone), self._guarded(picked), failed)

    def _begin(self, mask: Mask, then: Callable[[ObjectInWork], None], failed: Callable[[str], None]) -> None:
        def begin(label: int, *, alone: bool) -> None:
            work = self._in_work[mask] = self._new(label, alone, mask.layer)
            self._new_label = self._state.label, label
            then(work)

        if self._state.own_labels:
            self.free_label(mask, lambda label: begin(label, alone=True), failed)
        else:
            begin(self._state.label, alone=False)

    def _new(self, label: int, alone: bool, layer: Any) -> ObjectInWork:
        return ObjectInWork(label, alone, self._sizes.of(label, alone, layer))

    def _finish(self, mask: Mask, token: Any = None) -> None:
        """Leave an object for another one."""
        if self._editing.prompts(mask):
            self.remember(mask, self._editing.prompts(mask))
            self.ours = True
            self._editing.set_prompts(mask, Prompts(), "Pick object", merge=token)
            self.ours = False
        self.leave(mask)

    def restore(self, mask: Mask, then: Callable[[], None], failed: Callable[[str], None]) -> None:
        """Have the object in work again that prompts are about which are older than this panel, then go on.

        If it cannot be told which one that was, its prompts go.

        Args:
            mask: with prompts, and without an object in work.
            then: called with the object in work, or with none and no prompts.
            failed: called with a sentence.
        """
        prompts, steps = self._editing.prompts(mask), self._editing.since_first_prompt(mask)
        data, alone = mask.layer.data, self._state.own_labels

        def known(work: ObjectInWork | None) -> None:
            if self._editing.prompts(mask) == prompts:
                if work is None:
                    self._finish(mask)
                else:
                    self.resume(mask, work)
                    self.remember(mask, prompts)
            then()

        self._background.run(lambda: restored(data, prompts, steps, alone=alone), self._guarded(known), failed)

    def forget(self, mask: Mask) -> None:
        """It was closed, and nothing of it has to be kept."""
        self._in_work.pop(mask, None)
        self._highest.pop(mask, None)
        for key in [key for key in self._earlier if key[0] is mask]:
            del self._earlier[key]

    def _changed(self, mask: Mask, region: tuple[slice, ...]) -> None:
        if self.ours:
            return
        self._highest.pop(mask, None)
        if work := self._in_work.get(mask):
            for plane, known in work.planes.items():
                if all(side.start <= at < side.stop for side, at in zip(region, plane, strict=False)):
                    known.changed(mask.layer.data[plane], (region[-2], region[-1]))

    def _prompts_changed(self, mask: Mask) -> None:
        """Somebody undid or redid a step, and the object of then is in work again."""
        if self.ours:
            return
        prompts, work = self._editing.prompts(mask), self._in_work.get(mask)
        if not prompts:
            if work is not None and work.is_new:
                self.leave(mask)
            return
        earlier = self._earlier.get((mask, prompts))
        if earlier is None or earlier is work:
            if earlier is None:
                self.leave(mask)
            return
        self.resume(mask, earlier)


def rounded(at: Position) -> tuple[int, int]:
    """The pixel at a position."""
    row, column = (round(x) for x in at)
    return row, column


def first_cut(prompt: Prompt, pixels: Any) -> tuple[int, int]:
    """The pixel of a mask (Y, X) where a prompt begins; of a line that takes away, where it comes to an object."""
    if isinstance(prompt, Scribble) and not prompt.positive:
        rows, columns = pixels_of(prompt, pixels.shape)
        labelled = np.flatnonzero(pixels[rows, columns])
        if labelled.size:
            return int(rows[labelled[0]]), int(columns[labelled[0]])
    return rounded(prompt.path[0])


def box_of(prompt: Prompt, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The pixels (rows, columns) of a plane that a box or a lasso goes around."""
    rows, columns = (
        slice(max(0, math.floor(min(along))), min(side, math.ceil(max(along)) + 1))
        for along, side in zip(zip(*prompt.path, strict=True), shape, strict=True)
    )
    return rows, columns


def _holds(box: tuple[slice, slice], prompt: Prompt) -> bool:
    return any(all(side.start <= x < side.stop for side, x in zip(box, at, strict=True)) for at in prompt.path)
