"""Whether there is a screen to open a window on."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

_PATIENCE = 2.0  # s


def has_display() -> bool:
    """Whether a window could be seen here. Qt ends the process without a word if it cannot, so ask beforehand."""
    if sys.platform in ("win32", "darwin", "cygwin"):
        return True
    if wayland := os.environ.get("WAYLAND_DISPLAY"):
        folder = Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere"))
        if _answers(socket.AF_UNIX, str(folder / wayland)):  # an absolute path stands for itself
            return True
    found = re.fullmatch(r"(?:unix/?)?([^:]*):(\d+)(?:\.\d+)?", os.environ.get("DISPLAY", ""))
    if found is None:
        return False
    host, number = found[1], int(found[2])
    if host:
        return _answers(socket.AF_INET, (host, 6000 + number))
    place = f"/tmp/.X11-unix/X{number}"  # noqa: S108 (where X servers listen)
    return _answers(socket.AF_UNIX, place) or _answers(socket.AF_UNIX, f"\0{place}")


def _answers(family: int, address: str | tuple[str, int]) -> bool:
    with socket.socket(family) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(address)
        except OSError:
            return False
        return True
