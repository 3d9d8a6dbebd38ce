"""Where slow work asks whether it shall stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from .errors import CancelledError

Cancel = Callable[[], bool]

Item = TypeVar("Item")


def stop_if(cancel: Cancel | None, what: str = "Writing") -> None:
    """Do nothing, unless the user wants it to stop.

    Args:
        cancel: asked; None for work that nobody stops.
        what: is under way, and has changed nothing so far.

    Raises:
        CancelledError: it answered True.
    """
    if cancel is not None and cancel():
        raise CancelledError(f"{what} was stopped; nothing was changed.")


def each_unless(cancel: Cancel | None, items: Iterable[Item], what: str = "Writing") -> Iterator[Item]:
    """The items one by one, with a look at `cancel` before each and after the last; see `stop_if`."""
    for item in items:
        stop_if(cancel, what)
        yield item
    stop_if(cancel, what)
