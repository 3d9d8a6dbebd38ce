"""An object carried from slice to slice, or frame to frame, shown as it comes, until there is a reason to look."""

from __future__ import annotations

from typing import Any

from napari_medseg.models.engine.client import Engine
from napari_medseg.models.engine.region import Region
from napari_medseg.models.errors import MedSegError, PromptError
from napari_medseg.models.image import PLANE_CALLED
from napari_medseg.models.prompts.propagation import Followed

from ..background import Background
from ..editing import Editing
from ..engine_link import EngineLink
from ..image_layers import axes_of, channel_siblings, in_order, mask_shape
from ..looking import Doubts
from ..looking.camera import go_to
from ..masks import Masks
from ..on_top import reveal
from ..prompting.aiming import shown_plane
from ..prompting.limits import image_limits
from ..prompting.plane_image import plane_image
from ..state import PanelState
from .ready import Ready, made_ready, region_of
from .run import Run

FORWARD, BACKWARD, BOTH = (1,), (-1,), (1, -1)
"""Ways to go."""

JOB = "napari_medseg.models.engine.propagator:follow"
KNOWN = "napari_medseg.models.engine.propagator:known"

CONFIRMED = 4
"""Slices at most that are taken to show how the object looks: the shown one, and those behind it that have it."""

NO_IMAGE = "Open an image first."
FLAT = "This image is a single plane; there are no other slices or frames to propagate to."
NO_MASK = "There is no mask yet: draw the object on one slice or frame, with a prompt or the brush."


class Propagating:
    """One run at a time; each slice is drawn by itself, and all of a run can be undone in one step.

    Args:
        viewer: napari's, or its model without a window.
        state: what the panel shows.
        masks: whose objects are propagated.
        editing: how they are drawn.
        link: to the engine.
        doubts: told how unsure the network was.
        background: where pixels are read and answers awaited.
    """

    def __init__(
        self,
        viewer: Any,
        state: PanelState,
        masks: Masks,
        editing: Editing,
        link: EngineLink,
        doubts: Doubts,
        background: Background,
    ) -> None:
        self.viewer, self._state, self._masks, self._editing = viewer, state, masks, editing
        self._link, self._doubts, self._background = link, doubts, background
        self._run: Run | None = None
        self._steps = tuple(viewer.dims.current_step)
        viewer.dims.events.current_step.connect(self._slid)
        for changed in (state.events.image, state.events.mask, state.events.image_usable):
            changed.connect(self._describe)
        self._describe()

    def close(self) -> None:
        """Stop, and look no more."""
        self.cancel()
        self._run = None
        self.viewer.dims.events.current_step.disconnect(self._slid)
        self.viewer = None

    def start(self, steps: tuple[int, ...]) -> None:
        """Carry the picked label of the shown slice on.

        Args:
            steps: FORWARD, BACKWARD or BOTH.
        """
        if self._run is not None:
            self._state.notice = "It is propagating already; wait for it, or cancel it."
            return
        self._state.problem = self._state.notice = ""
        try:
            self._run = self._begun(steps)
        except MedSegError as error:
            self._state.notice = str(error)
            return
        self._next(self._run)

    def cancel(self) -> None:
        """Stop at once; the slices that are drawn stay, and can be undone in one step."""
        run = self._run
        if run is None:
            return
        run.cancelled = True
        if run.job is not None:
            self._background.run(run.job.cancel)
        self._end(run, "Propagating was cancelled.")

    def along(self) -> tuple[str, ...]:
        """The axes of the chosen image that one can go along: "T", "Z", both or none."""
        image = self._state.image
        if image is None or not self._state.image_usable:
            return ()
        return tuple(axes_of(image)[:-2])

    def _begun(self, steps: tuple[int, ...]) -> Run:
        """What is shown, as a run that has not gone anywhere yet.

        Raises:
            PromptError: it cannot be propagated; says why.
        """
        image, mask, label = self._state.image, self._masks.current(), self._state.label
        if self._state.propagate_blocked or mask is None:
            raise PromptError(self._state.propagate_blocked or NO_MASK)
        if mask.layer.data.shape != mask_shape(image):
            raise PromptError(
                f"'{image.name}' has another size than its mask '{mask.layer.name}' now, so nothing was drawn. Delete "
                "that mask to begin a new one."
            )
        plane = shown_plane(self.viewer, image)
        axes = self.along()
        axis = axes.index(self._state.propagate_along)
        called = PLANE_CALLED[axes[axis]]
        begun = region_of(mask.layer.data[plane] == label)
        if not begun.bits.any():
            raise PromptError(
                f"Label {label} is not on {called} {plane[axis]}: draw it here, or go to a {called} that has it. "
                "Pick another label under Prompts if that one is not meant."
            )
        reveal(self.viewer, image, mask.layer)
        siblings = channel_siblings(image, self.viewer.layers)
        state = self._state
        return Run(
            mask,
            siblings,
            label,
            axis,
            called,
            plane,
            begun,
            list(steps),
            most=state.propagate_most,
            over=state.overwrite,
            replace=state.propagate_replace,
        )

    def _next(self, run: Run) -> None:
        """Ask for the next slice, unless there is a reason not to."""
        if why := self._obstacle(run):
            self._stop(run, why)
            return
        self._state.propagating = f"{run.place.capitalize()} ... {run.drawn} drawn."
        plane, before, start, step = run.next, run.own, run.plane, run.steps[0]

        def work(engine: Engine) -> None:
            leading = mask_shape(run.mask.image)[:-2]
            if run.limits is None:
                run.limits = image_limits(in_order(run.mask.image, run.siblings))
            if run.known is None:
                seen = _seen(run)
                images = [plane_image(run.mask.image, run.siblings, at) for at, _ in seen]
                objects = [own for _, own in seen]
                run.known = run.begun_known = engine.submit("predictor", KNOWN, images, objects, run.limits).result()
            image = plane_image(run.mask.image, run.siblings, plane)
            about = (leading, start, step, run.axis, before, run.limits, run.known, run.called)
            run.job = engine.submit("predictor", JOB, image, *about)
            if run.cancelled:
                run.job.cancel()
            followed: Followed = run.job.result()
            ready = made_ready(
                run.mask.layer.data[plane], followed.proposal, run.label, over=run.over, replace=run.replace
            )
            self._background.post(lambda: self._arrived(run, followed, ready))

        self._link.use(work, lambda reason: self._failed(run, reason))

    def _obstacle(self, run: Run) -> str:
        """Why the next slice is not to be drawn; "" if it is."""
        if run.mask.image not in self.viewer.layers or not self._masks.holds(run.mask):
            return "The image or its mask was closed meanwhile."
        if not run.is_intact():
            return f"Stopped, since {run.called} {run.plane[run.axis]} was changed meanwhile."
        if run.most and run.done >= run.most:
            return f"Went {run.done} {run.called}{'s' * (run.done > 1)} far, as asked for."
        at, count = run.next[run.axis], run.mask.layer.data.shape[run.axis]
        if not 0 <= at < count:
            return f"It reached the {'last' if at > 0 else 'first'} {run.called}."
        if not run.replace and (run.mask.layer.data[run.next] == run.label).any():
            return f"Stopped at {run.place}, which has this label already."
        return ""

    def _arrived(self, run: Run, followed: Followed, ready: Ready) -> None:
        if run is not self._run:
            return
        if followed.reason:
            self._stop(run, followed.reason)
            return
        if self._obstacle(run):
            self._next(run)  # which says it
            return
        plane, mask = run.next, run.mask
        if not (mask.layer.data[plane][ready.box] == ready.before).all():
            self._next(run)  # somebody drew there while it was asked for
            return
        if not ready.own.bits.any():
            self._stop(run, f"Stopped at {run.place}: other labels lie there, which are kept.")
            return
        region = (*(slice(at, at + 1) for at in plane), *ready.box)
        after = ready.after.reshape((1,) * len(plane) + ready.after.shape)
        try:
            self._editing.change(mask, region, after, "Propagate", merge=run.token)
        except MedSegError as error:
            self._failed(run, str(error))
            return
        self._doubts.proposed(mask, plane, followed.proposal)
        if self._shows(run, run.plane):
            go_to(self.viewer, mask.layer, (*plane, 0, 0))
        run.plane, run.own, run.known = plane, ready.own, followed.known
        run.done, run.drawn = run.done + 1, run.drawn + 1
        self._next(run)

    def _shows(self, run: Run, plane: tuple[int, ...]) -> bool:
        """Whether a slice is shown: the view goes along, unless the user has gone to look at another one."""
        if run.mask.layer not in self.viewer.layers:
            return False
        try:
            return shown_plane(self.viewer, run.mask.image) == plane
        except PromptError:
            return False

    def _stop(self, run: Run, why: str) -> None:
        """This direction is done; show where, and go the other way if that is wanted."""
        run.said.append(why)
        along = self._shows(run, run.plane)
        asked_for = bool(run.most) and run.done >= run.most
        if along and not asked_for and 0 <= run.next[run.axis] < mask_shape(run.mask.image)[run.axis]:
            go_to(self.viewer, run.mask.layer, (*run.next, 0, 0))
        run.steps.pop(0)
        if not run.steps:
            self._end(run, " ".join(run.said))
            return
        run.turn_back()
        if along:
            go_to(self.viewer, run.mask.layer, (*run.start, 0, 0))
        self._next(run)

    def _failed(self, run: Run, reason: str) -> None:
        if run is self._run:
            self._end(run, "")
            self._state.problem = f"{reason} {_drawn(run)}".strip()

    def _end(self, run: Run, said: str) -> None:
        self._run = None
        self._state.propagating = ""
        self._state.notice = f"{said} {_drawn(run)}".strip() if said else ""

    def _slid(self) -> None:
        """The slider that was moved last is the way to go."""
        steps = tuple(self.viewer.dims.current_step)
        moved = [axis for axis, (old, new) in enumerate(zip(self._steps, steps, strict=False)) if old != new]
        same, self._steps = len(self._steps) == len(steps), steps
        image, axes = self._state.image, self.along()
        if same and len(moved) == 1 and image is not None and len(axes) > 1:
            axis = moved[0] - (len(steps) - image.ndim)
            if 0 <= axis < len(axes):
                self._state.propagate_along = axes[axis]

    def _describe(self) -> None:
        axes = self.along()
        if axes and self._state.propagate_along not in axes:
            self._state.propagate_along = axes[-1]
        if self._state.image is None:
            self._state.propagate_blocked = NO_IMAGE
        elif not axes:
            self._state.propagate_blocked = FLAT if self._state.image_usable else self._state.image_about
        else:
            self._state.propagate_blocked = NO_MASK if self._state.mask is None else ""


def _seen(run: Run) -> list[tuple[tuple[int, ...], Region]]:
    """The object on the slice that it begins on, and on those just behind it that have the label, too.

    Who goes on from there has seen these, and left them as they are.
    """
    found = [(run.start, run.begun)]
    one_way = len(run.steps) == 1
    for away in range(1, CONFIRMED if one_way else 1):
        at = run.start[run.axis] - away * run.steps[0]
        here = (*run.start[: run.axis], at, *run.start[run.axis + 1 :])
        if not 0 <= at < run.mask.layer.data.shape[run.axis]:
            break
        own = region_of(run.mask.layer.data[here] == run.label)
        if not own.bits.any():
            break
        found.append((here, own))
    return found


def _drawn(run: Run) -> str:
    if not run.drawn:
        return "Nothing was drawn."
    back = "it" if run.drawn == 1 else "all"
    return f"{run.drawn} {run.called}{'s' * (run.drawn > 1)} drawn; Undo takes {back} back."
