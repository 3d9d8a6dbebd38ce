"""How often to do what is done beside the training, such as writing checkpoints, so that the training gets its time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Pace:
    """When it is time to do something again.

    Args:
        every: seconds from its end to its next beginning, at least.
        share: of all the time since this object was made, what it may take; a large network's checkpoint takes seconds.
        free: seconds that it may take in all before the share counts.
    """

    def __init__(self, *, every: float = 0.0, share: float, free: float) -> None:
        self._every, self._share, self._free = every, share, free
        self._begun = self._last = time.monotonic()
        self.spent = 0.0

    def due(self) -> bool:
        """Whether to do it now."""
        now = time.monotonic()
        return now - self._last > self._every and self.spent <= self._free + self._share * (now - self._begun)

    @contextlib.contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time that is spent in this block."""
        began = time.monotonic()
        yield
        self._last = time.monotonic()
        self.spent += self._last - began
