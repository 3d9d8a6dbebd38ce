"""A disk that is full, as the files of one process see it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def no_file_may_be_larger_than(size: int) -> Iterator[None]:
    """What a quota does: whoever writes beyond so many bytes of a file gets an error of the system.

    Python ignores the signal that comes with it. Only the limit that can be raised again is lowered.
    """
    resource = pytest.importorskip("resource", reason="limits of a process are Unix's")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
