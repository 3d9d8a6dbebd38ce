"""Whether an image can be held at all: asked before it is read, because afterwards nobody can answer."""

from __future__ import annotations

import psutil

from .errors import ImageError


def check_fits_in_memory(size: int, called: str) -> None:
    """Refuse pixels that this computer cannot hold.

    Args:
        size: bytes needed.
        called: what the user calls it.

    Raises:
        ImageError: more than the memory that is free now.
    """
    free = psutil.virtual_memory().available
    if size > free:
        raise ImageError(
            f"'{called}' needs {_readable(size)} of memory, but only {_readable(free)} are free. "
            "Close other programs, or save the part you need, or a smaller copy, as a file of its own."
        )


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
