"""What a worker's threads import, one thread at a time.

Modules of large libraries import each other in circles. Two threads that enter a circle at different places would wait
for each other, so Python hands one of them a module that is only half there, and its import fails.
"""

from __future__ import annotations

import importlib
import threading
from importlib.metadata import entry_points
from typing import Any

ALONE = threading.RLock()
"""Held by whoever imports libraries in a worker."""


def named(name: str) -> Any:
    """What "package.module:name" names; the module is imported if need be.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has nothing of that name.
    """
    module, _, within = name.partition(":")
    with ALONE:
        return getattr(importlib.import_module(module), within)


def load_declared(group: str, role: str) -> None:
    """Import what installed packages declare as entry points of a group, under the name of a role."""
    with ALONE:
        for declared in entry_points(group=group, name=role):
            declared.load()
