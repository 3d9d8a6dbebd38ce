"""Who goes first in the predictor: somebody who clicks, before an image that is being segmented."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LINGER = 0.2
"""Seconds after a prompt in which another one is likely to come: the mouse still moves."""

LONGEST = 2.0
"""Seconds after which a segmentation takes its next step all the same, so that it never stands still."""


class Gate:
    """Closed while a prompt is answered; a segmentation waits at it between two steps.

    Args:
        linger: how long it stays closed after a prompt, in seconds.
        longest: how long anybody waits at it at most, in seconds.
    """

    def __init__(self, linger: float = LINGER, longest: float = LONGEST) -> None:
        self._linger, self._longest = linger, longest
        self._changed = threading.Condition()
        self._inside = 0
        self._last = -float("inf")

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Closed for others from now until the block ends, and a moment longer."""
        with self._changed:
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._last = time.monotonic()
                self._changed.notify_all()

    def wait(self) -> None:
        """Return when it is open, at the latest after the longest time that it may be closed for one."""
        deadline = time.monotonic() + self._longest
        with self._changed:
            while (left := min(self._closed_for(), deadline - time.monotonic())) > 0:
                self._changed.wait(left)

    def _closed_for(self) -> float:
        return float("inf") if self._inside else self._last + self._linger - time.monotonic()


GATE = Gate()
"""The predictor's own."""
