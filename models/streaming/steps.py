"""How far a segmentation is; and what goes first, and whether it is to stop."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import CancelledError

CANCELLED = "The segmentation was cancelled; the image and its mask are as they were."


class Steps:
    """Counts tiles: reports progress, gives way, and stops when asked to.

    Args:
        progress: called with the share done, which only rises.
        cancel: asked before each step.
        give_way: called before each step; may take its time.
        cancelled: what to say when it stops.
    """

    def __init__(
        self,
        progress: Callable[[float], None] | None = None,
        cancel: Callable[[], bool] | None = None,
        give_way: Callable[[], object] | None = None,
        cancelled: str = CANCELLED,
    ) -> None:
        self._progress, self._cancel, self._give_way = progress, cancel, give_way
        self._cancelled = cancelled
        self._total, self._done, self._told = 1, 0, 0.0

    def start(self, total: int, done: int = 0) -> None:
        """There are so many steps, of which some were done earlier."""
        self._total, self._done = max(1, total), done

    def check(self) -> None:
        """Give way.

        Raises:
            CancelledError: it is to stop.
        """
        if self._give_way:
            self._give_way()
        if self._cancel and self._cancel():
            raise CancelledError(self._cancelled)

    def advance(self, steps: int = 1) -> None:
        """So many steps are done."""
        self._done += steps
        if self._progress and (share := min(1.0, self._done / self._total)) > self._told:
            self._told = share
            self._progress(share)
