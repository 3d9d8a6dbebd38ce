"""The steps that can be undone and redone in one mask. Without Qt and without napari."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from napari_medseg.models.prompts import Prompts

from .boxes import Array
from .difference import Difference

STEPS = 500
"""Steps that are kept at most."""

BYTES = 256 * 2**20
"""Bytes that the steps of one mask may take; the last one is kept even if it takes more."""


@dataclass(frozen=True, eq=False)
class Step:
    """Something that the user did, or had done.

    Attributes:
        name: what it was, for people: "Fill holes".
        difference: what it changed in the pixels; perhaps nothing.
        prompts: the object's prompts before and after; None if they were not touched.
        merge: steps with an equal token that follow each other are one; None for never.
    """

    name: str
    difference: Difference
    prompts: tuple[Prompts, Prompts] | None = None
    merge: Any = None

    def then(self, later: Step) -> Step:
        """This and what followed it as one."""
        if self.prompts is None or later.prompts is None:
            prompts = self.prompts or later.prompts
        else:
            prompts = (self.prompts[0], later.prompts[1])
        return replace(self, name=later.name, difference=self.difference.then(later.difference), prompts=prompts)


class History:
    """Steps done, and steps undone, of one mask.

    Args:
        done: oldest first.
        undone: the one that was undone last is the last one.
        steps: how many are kept at most.
        nbytes: how many bytes they may take together.
    """

    def __init__(
        self, done: Iterable[Step] = (), undone: Iterable[Step] = (), *, steps: int = STEPS, nbytes: int = BYTES
    ) -> None:
        self.done, self.undone = list(done), list(undone)
        self._steps, self._nbytes = steps, nbytes
        self._closed = True  # whether the last step is merged with no other any more

    @property
    def can_undo(self) -> str:
        """Name of the step that `undo` would take back; "" if there is none."""
        return self.done[-1].name if self.done else ""

    @property
    def can_redo(self) -> str:
        """Name of the step that `redo` would do again; "" if there is none."""
        return self.undone[-1].name if self.undone else ""

    def merges(self, step: Step) -> bool:
        """Whether a step would become one with the last one."""
        if self._closed or not self.done or step.merge is None or self.done[-1].merge != step.merge:
            return False
        return self.done[-1].difference.known

    def add(self, step: Step, *, join: bool | None = None) -> bool:
        """A step was done; what was undone before is gone.

        Args:
            step: it.
            join: whether it is one with the last one; None: if they have one token.

        Returns:
            Whether it became one with the last one.
        """
        joins = self.merges(step) if join is None else join and bool(self.done)
        if joins:
            self.done[-1] = self.done[-1].then(step)
        else:
            self.done.append(step)
        self.undone.clear()
        self._closed = False
        return joins

    def forget_oldest(self) -> int:
        """Forget what is over the limits, the last step never; returns how many steps that were."""
        sizes = [step.difference.nbytes for step in self.done]
        total, gone = sum(sizes) + sum(step.difference.nbytes for step in self.undone), 0
        while len(self.done) - gone > 1 and (total > self._nbytes or len(self.done) - gone > self._steps):
            total -= sizes[gone]
            gone += 1
        del self.done[:gone]
        return gone

    def undo(self, pixels: Array) -> Step | None:
        """Take the last step back, in the pixels too; None if there is none."""
        if not self.done:
            return None
        self.done[-1].difference.revert(pixels)
        return self.travel(back=True)

    def redo(self, pixels: Array) -> Step | None:
        """Do the step again that was undone last, in the pixels too; None if there is none."""
        if not self.undone:
            return None
        self.undone[-1].difference.apply(pixels)
        return self.travel(back=False)

    def travel(self, *, back: bool) -> Step:
        """The last step counts as undone, or the last undone one as done; there must be one."""
        source, target = (self.done, self.undone) if back else (self.undone, self.done)
        target.append(source.pop())
        self._closed = True
        return target[-1]

    def clear(self) -> None:
        """Forget everything."""
        self.done.clear()
        self.undone.clear()
        self._closed = True
