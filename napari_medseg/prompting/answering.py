"""From a prompt to pixels: asked of the predictor, written into the mask, together one step that can be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psygnal import Signal

from napari_medseg.models.engine.region import Region
from napari_medseg.models.errors import MedSegError
from napari_medseg.models.prompts.prompts import Box, Lasso, Point, Prompt, Prompts, Scribble
from napari_medseg.models.prompts.proposal import Proposal

from ..editing import Editing
from ..image_layers import mask_shape
from ..masks import Mask, Masks
from ..state import PanelState
from .asking import Asking
from .mask_ahead import MaskAhead, empty_mask
from .object_in_work import ObjectInWork
from .objects import Objects
from .turns import Turns

NAMES: dict[type, str] = {Point: "Click", Scribble: "Scribble", Box: "Box", Lasso: "Lasso"}
"""What a step is called, for each prompt."""

APART = (
    "That piece lies apart from the rest, and is of object {} now. If it is another object: Undo, Next object (N), and "
    "click again."
)


@dataclass(eq=False)
class _Pull:
    """What a prompt, or a pull of the mouse, began with: each answer while it lasts replaces the one before.

    Attributes:
        token: of the step.
        mask: whose pixels change.
        work: the object.
        left: the object that was in work before, if it was left for this one.
        before: the prompts of the object without this one.
        now: the object without it.
        recorded: whether there is a step already, that would have to be undone.
    """

    token: Any
    mask: Mask
    work: ObjectInWork
    left: ObjectInWork | None
    before: Prompts
    now: Region
    recorded: bool


class Answering:
    """Does one turn after the other; each method here begins a turn and sees that it ends.

    Args:
        viewer: whose layers hold image and mask.
        state: what the panel shows.
        masks: in work.
        editing: where prompts and pixels are changed.
        objects: which object a prompt is about.
        asking: the line to the predictor.
        ahead: the layer that waits for the first answer.
        turns: told when a turn has ended.
    """

    answered = Signal(object, object, object)
    """An answer is in the mask: the mask, the plane and the proposal."""

    def __init__(
        self,
        viewer: Any,
        state: PanelState,
        masks: Masks,
        editing: Editing,
        objects: Objects,
        asking: Asking,
        ahead: MaskAhead,
        turns: Turns,
    ) -> None:
        self.viewer, self._state, self._masks, self._editing = viewer, state, masks, editing
        self._objects, self._asking, self._ahead, self._turns = objects, asking, ahead, turns
        self._pull: _Pull | None = None

    def give(self, image: Any, prompt: Prompt, token: Any, *, final: bool) -> None:
        """Answer a prompt.

        Args:
            image: the layer that it was given in.
            prompt: on a plane of it.
            token: the same for all answers to one pull of the mouse, which become one step.
            final: False while the mouse is still moving: the prompt itself is not kept yet.
        """
        mask = self._mask_of(image)
        if mask is None:
            self._failed(f"The {_name(prompt).lower()} was dropped: its image was closed, or another one is chosen.")
            return
        if mask.layer.data.shape != mask_shape(image):
            self._failed(
                f"The {_name(prompt).lower()} was dropped: '{image.name}' has another size than its mask "
                f"'{mask.layer.name}' now. Delete that mask to begin a new one."
            )
            return

        pull = self._pull if self._pull is not None and self._pull.token is token else None
        if pull is not None and pull.left is not None and self._objects.concerns(mask, pull.left, prompt):
            self.forget(token)  # the box has grown to the object that was left for it
            pull = None
        if pull is not None:
            self._ask(image, pull, prompt, final=final)
            return
        left, before = self._objects.of(mask), self._editing.prompts(mask)

        def found(work: ObjectInWork, answered: bool) -> None:
            if not answered:
                self._state.notice = (
                    f"{self._objects.called(work)} is picked: click beside it to add, right on it to remove."
                )
                self._end()
                return
            given = self._editing.prompts(mask)
            now = work.on(prompt.plane).now(mask.layer.data[prompt.plane], work.asked(given.on(prompt.plane)))
            self._pull = _Pull(token, mask, work, None if left is work else left, given, now, given != before)
            self._ask(image, self._pull, prompt, final=final)

        try:
            self._objects.for_prompt(mask, prompt, token, self._turns.guarded(found), self._failed)
        except (IndexError, TypeError, ValueError, MedSegError) as error:
            self._failed(f"This mask cannot be changed here ({error}).")

    def forget(self, token: Any) -> None:
        """A pull was given up: what it had written so far goes."""
        if self._pull is None or self._pull.token is not token:
            return
        pull, self._pull = self._pull, None
        if pull.recorded:
            self._editing.undo_own(pull.mask, pull.token)
        if pull.left is not None:
            self._objects.resume(pull.mask, pull.left)
        elif pull.work.is_new and not pull.before:
            self._objects.leave(pull.mask)

    def take_back(self, number: int) -> None:
        """Take away one prompt of the object in work; -1 is the newest."""
        mask = self._masks.current()
        given = self._editing.prompts(mask) if mask is not None else Prompts()
        work = None if mask is None else self._objects.of(mask)
        if mask is not None and work is None and given:
            self._objects.restore(mask, self._turns.guarded(lambda: self.take_back(number)), self._failed)
            return
        number += len(given) * (number < 0)
        if mask is None or work is None or not 0 <= number < len(given):
            self._failed("There is no prompt to be taken back.")
            return
        plane, left, token = given.items[number].plane, given.without(number), object()
        known, asked = work.on(plane), work.asked(left.on(plane))
        answer = known.answers.get(asked)
        self._set(mask, left, "Take back a prompt", token)
        own = known.own(mask.layer.data[plane])
        writing = _Writing(mask, work, plane, asked, left, "Take back a prompt", token, own, final=True)
        if not asked or answer is not None:
            self._write(writing, known.begun if answer is None else answer.proposed)
            return
        self._asking.prompt_anew(
            mask.image,
            plane,
            asked,
            known.begun,
            self._turns.guarded(lambda answer: self._write(writing, Region.of(answer.box, answer.mask), answer)),
            self._broke,
        )

    def leave_for_another_label(self) -> None:
        """A label was picked: the object in work keeps its own, and what comes next gets that one."""
        mask = self._masks.current()
        work = None if mask is None else self._objects.of(mask)
        if work is None or work.label == self._state.label:
            self._end()
        else:
            self.accept("Pick another label")

    def accept(self, name: str, *, advance: bool = False) -> None:
        """Leave the object in work as it is; `advance`: the brush and the next prompt get the next label."""
        mask = self._masks.current()
        if mask is None:
            self._end()
            return
        self._objects.remember(mask, self._editing.prompts(mask))
        self._set(mask, Prompts(), name, None)
        self._objects.leave(mask)
        if advance and self._state.own_labels:
            self._objects.free_label(mask, self._advance, self._failed)
        else:
            self._end()

    def _advance(self, label: int) -> None:
        self._state.label = label
        self._end()

    def _mask_of(self, image: Any) -> Mask | None:
        """The mask of an image, an empty one if it had none; None if the image is not the chosen one any more."""
        if self.viewer is None or image is not self._state.image or image not in self.viewer.layers:
            return None
        if self._state.mask is None:
            layer = self._ahead.take(image)
            if layer is None:
                layer = empty_mask(image, self._state, f"{image.name} mask")
                self.viewer.layers.insert(self.viewer.layers.index(image) + 1, layer)
            self.viewer.layers.selection.active = layer
            self._state.notice = ""
        return self._masks.current()

    def _ask(self, image: Any, pull: _Pull, prompt: Prompt, *, final: bool) -> None:
        plane, name = prompt.plane, _name(prompt)
        given = pull.before.add(prompt)
        asked = pull.work.asked(given.on(plane))
        if final:
            self._set(pull.mask, given, name, pull.token)
        expected = given if final else pull.before
        own = pull.work.on(plane).own(pull.mask.layer.data[plane])
        writing = _Writing(pull.mask, pull.work, plane, asked, expected, name, pull.token, own, final=final)
        self._asking.prompt(
            image,
            plane,
            asked,
            pull.now,
            self._turns.guarded(lambda answer: self._write(writing, Region.of(answer.box, answer.mask), answer)),
            self._broke if final else self._missed,
        )

    def _set(self, mask: Mask, prompts: Prompts, name: str, token: Any) -> None:
        self._objects.ours = True
        try:
            self._editing.set_prompts(mask, prompts, name, merge=token)
        finally:
            self._objects.ours = False
        self._objects.remember(mask, prompts)

    def _write(self, writing: _Writing, proposed: Region, answer: Proposal | None = None) -> None:
        """Write an answer, unless what it is about has changed meanwhile."""
        mask, known = writing.mask, writing.work.on(writing.plane)
        stale = not writing.final and (self._pull is None or self._pull.token is not writing.token)
        if not self._masks.holds(mask):
            self._pull = None if writing.final else self._pull
            if mask not in self._masks.all():  # it cannot be put back either
                self._objects.forget(mask)
            self._failed("The mask was deleted meanwhile, so the answer was dropped.")
            return
        if stale or self._editing.prompts(mask) != writing.expected or self._objects.of(mask) is not writing.work:
            self._end()  # undone, or given up
            return
        pixels = mask.layer.data[writing.plane]
        if not known.own(pixels).equals(writing.own):
            self._pull = None if writing.final else self._pull
            self._failed("The object was changed meanwhile, so the answer was dropped; the next prompt counts with it.")
            return
        box, after = known.to_write(pixels, proposed, overwrite=self._state.overwrite)
        pull, changes = self._pull, after.size > 0
        if changes:
            self._change(writing, box, after)
        if pull is not None and pull.token is writing.token:
            pull.recorded = changes = pull.recorded or changes
        if writing.final:
            known.remember(mask.layer.data[writing.plane], writing.asked, proposed)
            if answer is not None:
                self.answered.emit(mask, writing.plane, answer)
            self._pull = None
            nothing = not changes or not known.own(mask.layer.data[writing.plane]).bits.size
            apart = writing.work.alone and answer is not None and _began_apart(answer, writing.asked)
            self._state.notice = APART.format(writing.work.label) if apart else ""
            if nothing and writing.asked:
                self._state.notice = _why_nothing(proposed, writing.asked)
        self._end()

    def _change(self, writing: _Writing, box: tuple[slice, slice], after: Any) -> None:
        mask, plane = writing.mask, writing.plane
        region = (*(slice(at, at + 1) for at in plane), *box)
        self._objects.ours = True
        try:
            self._editing.change(
                mask, region, after.reshape((1,) * len(plane) + after.shape), writing.name, merge=writing.token
            )
        finally:
            self._objects.ours = False
        self._objects.wrote(mask, writing.work.label)

    def _failed(self, reason: str) -> None:
        """What was asked for means nothing here."""
        self._state.notice = reason
        self._end()

    def _broke(self, reason: str) -> None:
        """There is no answer; the prompt stays, and the next one is answered together with it."""
        self._pull = None
        self._state.problem = reason
        self._end()

    def _missed(self, reason: str) -> None:
        """There is no answer while the mouse is moving; the one at the end will say why, if it happens again."""
        self._end()

    def _end(self) -> None:
        self._turns.done()


@dataclass(frozen=True, eq=False)
class _Writing:
    """An answer that is awaited: where it goes, and under which conditions.

    Attributes:
        mask: whose pixels change.
        work: the object.
        plane: of the image.
        asked: the prompts on it that are answered.
        expected: what the object's prompts have to be when the answer comes.
        name: of the step.
        token: of the turn.
        own: the object as it was when that was asked.
        final: whether the prompts are kept.
    """

    mask: Mask
    work: ObjectInWork
    plane: tuple[int, ...]
    asked: Prompts
    expected: Prompts
    name: str
    token: Any
    own: Region
    final: bool


def _name(prompt: Prompt) -> str:
    return NAMES[type(prompt)]


def _began_apart(answer: Proposal, asked: Prompts) -> bool:
    """Whether the newest prompt has added a piece that lies apart from the rest."""
    return len(answer.pieces) > 1 and answer.pieces[-1].prompts.items == asked.items[-1:]


def _why_nothing(proposed: Region, asked: Prompts) -> str:
    if not proposed.bits.any() and not asked.items[-1].positive:
        return "Nothing is left of the object here. Click on what it is, or take the last prompt back."
    if not proposed.bits.any():
        return "Nothing was found there. Click elsewhere on the object, or draw a box around it."
    if not asked.items[-1].positive:
        return "That spot was not part of the object; nothing was changed."
    return "Nothing was changed: it is this object's already, or it is another's: pick that one, or use Overwrite."
