"""From the window's thread to the journal's: what is told of each mask, and when."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from ..masks import Mask
from ..project_places import DRAFT, DRAFTS
from .boxes import Array
from .content import Content, Effort
from .draft import Draft
from .history import History, Step
from .identity import identity_of
from .journal import Journal
from .known_pixels import KnownPixels
from .packing import Packed, compared


class Keeping:
    """Has the changes of all masks in work written to the disk.

    Args:
        project: folder of the project.
        report: called, from the journal's thread, with what is wrong with the disk, or "".
    """

    def __init__(self, project: Path, report: Callable[[str], None]) -> None:
        self._folder = project / DRAFTS
        self._journal = Journal(report)
        self._masks: set[Mask] = set()

    @property
    def failing(self) -> bool:
        """Whether what is done now would not survive a crash."""
        return self._journal.failing

    def begin(self, mask: Mask) -> None:
        """Keep a mask as it is now, and every change of it."""
        # The prediction is written by nobody; what the user drew is copied, since it may be painted on at once.
        pixels: Any = mask.predicted
        if pixels is None or mask.changes:
            pixels = _copy(mask.layer.data)
        path, image, predicted, model = self._new_path(), mask.image, mask.predicted, mask.model

        def make() -> Draft:
            known = KnownPixels.of(np.asarray(pixels))
            proposed = None
            if predicted is not None:
                same = predicted is pixels
                proposed = known.copy() if same else KnownPixels.of(predicted)
            return Draft(path, Content(identity_of(image), known, proposed, model))

        self._masks.add(mask)
        self._journal.begin(mask, make)

    def go_on(self, mask: Mask, draft: Draft) -> None:
        """Keep a mask that was read from a draft, in the same draft."""
        self._masks.add(mask)
        self._journal.begin(mask, lambda: draft)

    def step(self, mask: Mask, step: Step, history: History) -> None:
        """Something was done, and is in the history already."""
        kept, effort = tuple(history.done), effort_of(mask)

        def lost() -> None:
            kept[-1].difference.pack()  # which the draft would have done

        self._journal.tell(mask, lambda draft: draft.step(step, effort, kept=kept), lost)

    def replaced(
        self, mask: Mask, before: Any, pixels: Array, step: Step, history: History, then: Callable[[], None]
    ) -> None:
        """The same, but the step does not know yet what it changed.

        Args:
            mask: whose pixels were replaced.
            before: the mask until then; None if nobody but the journal has it.
            pixels: the mask now, a copy.
            step: to be told what changed.
            history: it is in there already.
            then: called, in the journal's thread, when the step knows, or when it is certain that it never will.
        """
        kept, effort = tuple(history.done), effort_of(mask)

        def do(draft: Draft) -> None:
            draft.replaced(pixels, step, effort, kept=kept)
            then()

        def lost() -> None:
            try:
                if before is not None:
                    step.difference.fill(compared(np.asarray(before), pixels))
            finally:
                then()

        self._journal.tell(mask, do, lost)

    def compare(self, mask: Mask, array: Array, then: Callable[[list[Packed]], None]) -> None:
        """Find out what is different in a mask from what was told of it.

        Args:
            mask: whose.
            array: its pixels; they may be written into meanwhile.
            then: called, in the journal's thread, with what is; with nothing if nobody can tell.
        """
        self._journal.tell(mask, lambda draft: then(draft.compared_with(array)), lambda: then([]))

    def travel(self, mask: Mask, *, back: bool) -> None:
        """A step was undone, or done again."""
        effort = effort_of(mask)
        self._journal.tell(mask, lambda draft: draft.travel(effort, back=back))

    def saved(self, mask: Mask) -> None:
        """The mask is in the ledger, perhaps without its latest changes."""
        effort = effort_of(mask)
        if mask.unsaved:
            self._journal.tell(mask, lambda draft: draft.spent(effort))
        else:
            self._journal.tell(mask, lambda draft: draft.accepted())

    def begin_again(self, mask: Mask, left: Callable[[], object] | None) -> None:
        """The mask has another shape now: keep it as it is.

        Args:
            mask: it.
            left: what was before is kept, too, to be gone on with; called, in the journal's thread, when it can be.
                None: it is not needed any more.
        """
        effort = effort_of(mask)
        if left is None:
            self._journal.end(mask)
        else:
            self._journal.leave(mask, left)
        self.begin(mask)
        self._journal.tell(mask, lambda draft: draft.spent(effort))

    def end(self, mask: Mask) -> None:
        """Keep a mask no more."""
        self._masks.discard(mask)
        self._journal.end(mask)

    def move(self, project: Path) -> None:
        """Keep everything in another project from now on."""
        self._folder = project / DRAFTS
        for mask in self._masks:
            self._journal.tell(mask, functools.partial(Draft.move, path=self._new_path()))

    def wait(self, seconds: float = 30) -> bool:
        """Wait until all of it is on the disk; whether it is."""
        return self._journal.wait(seconds)

    def close(self, keep: Collection[Mask]) -> None:
        """Write everything to the end; only the drafts of `keep` stay."""
        self._journal.close(keep)

    def _new_path(self) -> Path:
        return new_path(self._folder)


def new_path(folder: Path) -> Path:
    """Where another draft may be written; its name says nothing."""
    return folder / f"{secrets.token_hex(8)}{DRAFT}"


def _copy(labels: Any) -> Any:
    """What a mask is now. An empty volume takes its memory, and the time for that, only when something is written."""
    if not isinstance(labels, np.ndarray):
        return labels  # in a file, where nobody paints
    return np.array(labels) if labels.any() else np.zeros(labels.shape, labels.dtype)


def effort_of(mask: Mask) -> Effort:
    """What was spent on a mask so far."""
    return Effort(mask.clock.seconds, mask.clock.edits, mask.changes)
