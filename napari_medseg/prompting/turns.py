"""What the user did with the mouse, done one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from napari_medseg.models.prompts.prompts import Prompt

from ..background import in_words


@dataclass(frozen=True, eq=False)
class Turn:
    """Something to be done when all before it is.

    Attributes:
        begin: does it; has to lead to `Turns.done`.
        token: of two that wait with the same token only the newer one is done; None: it is done in any case.
        prompt: that is shown while it waits.
    """

    begin: Callable[[], None]
    token: Any = None
    prompt: Prompt | None = None


class Turns:
    """One is under way, the others wait: a click is never lost, and of a pull only the newest answer is wanted.

    Args:
        ended: called after each.
        failed: called with a sentence, if one ended in a way that nobody thought of.
    """

    def __init__(self, ended: Callable[[], None], failed: Callable[[str], None]) -> None:
        self._ended, self._failed = ended, failed
        self._waiting: list[Turn] = []
        self._under_way: Turn | None = None

    def add(self, turn: Turn) -> None:
        """Do it as soon as those before it are done; at once if there are none."""
        self.drop(turn.token)
        self._waiting.append(turn)
        self._go_on()

    def guarded(self, call: Callable[..., None]) -> Callable[..., None]:
        """A part of the turn under way: if it fails, the turn has ended, and the next one can begin."""

        def part(*args: Any) -> None:
            try:
                call(*args)
            except Exception as error:
                self._failed(in_words(error))
                self.done()

        return part

    def done(self) -> None:
        """The one under way is done."""
        self._under_way = None
        self._ended()
        self._go_on()

    def drop(self, token: Any) -> None:
        """Forget what waits with this token."""
        self._waiting = [turn for turn in self._waiting if token is None or turn.token is not token]

    def clear(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return self._under_way is None

    def prompts(self) -> Iterator[Prompt]:
        """Those that wait to be answered."""
        return (turn.prompt for turn in self._waiting if turn.prompt is not None)

    def _go_on(self) -> None:
        while self._under_way is None and self._waiting:
            self._under_way = self._waiting.pop(0)
            self.guarded(self._under_way.begin)()
