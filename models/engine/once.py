"""Things that a process makes once, when they are first needed, by whichever of its threads needs them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


def once(make: Callable[[], Made]) -> Callable[[], Made]:
    """`make`, called at the first call only; threads that come meanwhile wait for it.

    `functools.lru_cache` would let each of them make one of its own. What fails is tried again at the next call.
    """
    lock, made = threading.Lock(), list[Made]()

    @functools.wraps(make)
    def given() -> Made:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return given
