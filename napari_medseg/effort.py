"""How much work a correction is."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE = 30.0
"""Seconds without a sign of life after which the user counts as away."""


class EffortClock:
    """Seconds of work and number of edits since the last `restart`.

    Args:
        now: a clock that never goes back, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.restart()

    def restart(self, seconds: float = 0.0, edits: int = 0) -> None:
        """Begin at nothing, or at what was counted before."""
        self.edits = edits
        self._seconds = seconds
        self._seen = self._now()

    def touch(self, *, edit: bool = False) -> None:
        """The user did something: painted (an edit), looked elsewhere, moved a slider."""
        now = self._now()
        self._seconds += min(now - self._seen, PAUSE)
        self._seen = now
        self.edits += edit

    @property
    def seconds(self) -> float:
        """Time at work, pauses longer than `PAUSE` counted as that long."""
        return self._seconds + min(self._now() - self._seen, PAUSE)
