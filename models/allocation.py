"""What becomes of memory that was freed: kept for what comes next, or given back to the system. On Linux with glibc.

The maps of a network are made and freed hundreds of times a second, always in the same sizes. Kept, they cost nothing;
given back, each is asked for and filled with zeros again, which takes as long as the convolutions themselves.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

KEPT = 2**25
"""Bytes of freed blocks that are kept at the end of the heap."""

APART = 6 * 2**20
"""Bytes from which a block lies apart from the heap, and goes back to the system at once when it is freed.

The few largest maps of a network would else leave holes as large as themselves, in which smaller blocks settle. With
large pages, getting them anew costs nothing that could be measured.
"""

_TRIM, _MMAP, _HEAPS = -1, -3, -8
"""Numbers of what can be set, in glibc's malloc.h."""


def keep_freed() -> None:
    """Keep freed blocks of less than `APART` bytes in this process; larger ones go back to the system at once.

    All threads share one heap, so that what one of them freed serves the others; else each keeps what it ever needed.

    Does nothing where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP, APART)
        library.mallopt(_TRIM, KEPT)
        library.mallopt(_HEAPS, 1)


def give_back() -> None:
    """Give back to the system what is free between blocks in use; it takes a few milliseconds, and so does asking anew.

    In work that lasts, blocks of all sizes come and go, and the holes between those in use become more.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def use_large_pages() -> None:
    """Have torch ask for its memory in pages of 2 MB, of which fewer have to be asked for; before torch is imported."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
