"""The steps that can be undone and redone in one mask. Without Qt and without napari."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from napari_medseg.models.prompts.prompts import Prompt, Prompts

from .boxes import Array
from .difference import Difference

STEPS = 500
"""Steps that are kept at most."""

BYTES = 256 * 2**20
"""Bytes that the steps of one mask may take, compressed; the last one is kept even if it takes more."""

WAITING = 2**30
"""Bytes that steps may take which the journal has not compressed yet, as it does within a second."""


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
        nbytes: how many bytes they may take together, compressed.
        waiting: how many bytes those may take that are not compressed yet.
    """

    def __init__(
        self,
        done: Iterable[Step] = (),
        undone: Iterable[Step] = (),
        *,
        steps: int = STEPS,
        nbytes: int = BYTES,
        waiting: int = WAITING,
    ) -> None:
        self.done, self.undone = list(done), list(undone)
        self._steps, self._nbytes, self._waiting = steps, nbytes, waiting
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
        """Forget what is over the limits, the last step never; returns how many steps that were.

        A step is counted as it is kept, compressed: a tool that changes a few pixels all over a volume has two copies
        of the volume in hand for a moment, and takes some kilobytes afterwards.
        """
        sizes = [(step.difference.packed, step.difference.nbytes) for step in (*self.done, *self.undone)]
        kept = sum(nbytes for packed, nbytes in sizes if packed)
        waiting = sum(nbytes for packed, nbytes in sizes if not packed)
        gone = 0
        while len(self.done) - gone > 1 and (
            kept > self._nbytes or waiting > self._waiting or len(self.done) - gone > self._steps
        ):
            packed, nbytes = sizes[gone]
            kept -= nbytes * packed
            waiting -= nbytes * (not packed)
            gone += 1
        del self.done[:gone]
        return gone

    def forget_until(self, step: Step) -> None:
        """Forget a step of which nobody knows what it changed, and all before it, which lead to it."""
        if step in self.done:
            del self.done[: self.done.index(step) + 1]
        self._closed = True

    def since_first_prompt(self) -> list[Step] | None:
        """The steps since the object in work got its first prompt, that one included; None if it is forgotten."""
        ours: set[Prompt] = set()
        for number in range(len(self.done) - 1, -1, -1):
            step = self.done[number]
            if not step.difference.known:
                return None
            if step.prompts is not None:
                before, after = (set(prompts) for prompts in step.prompts)
                ours |= after
                if not before & ours:
                    return self.done[number:] if ours else None
        return None

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
