"""Frames of a video that cannot be decoded, and how they are told."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import ImageError

_NAMED = 5
"""Pieces of a damaged film that are named."""


class Damage:
    """The frames, of those that were looked at, that cannot be decoded. They are black, and others keep their times."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    def note(self, numbers: Iterable[int]) -> None:
        """These cannot be decoded; counted from 0."""
        self._numbers.update(numbers)

    def said(self) -> tuple[str, ...]:
        """A sentence that names them, counted from 1; () for none."""
        numbers = sorted(self._numbers)
        starts = [number for number in numbers if number - 1 not in self._numbers]
        ends = [number for number in numbers if number + 1 not in self._numbers]
        runs = [f"{a + 1}" if a == b else f"{a + 1} to {b + 1}" for a, b in zip(starts, ends, strict=True)]
        if not runs:
            return ()
        named = ", ".join(runs[:_NAMED]) + (f" and {len(runs) - _NAMED} more pieces" if len(runs) > _NAMED else "")
        which, are = (f"Frames {named}", "They are") if len(numbers) > 1 else (f"Frame {named}", "It is")
        return (f"{which} cannot be decoded: the file is damaged there. {are} black; all others are at their times.",)


def check_unchanged(path: Path, size: int) -> None:
    """Raise where it may not be the frame that is damaged, but the disk that is gone.

    Args:
        path: of the video.
        size: that it had, in bytes, when it was opened.
    """
    try:
        with path.open("rb") as file:
            file.seek(-1, 2)
            there = bool(file.read(1)) and file.tell() == size
    except OSError:
        there = False
    if not there:
        raise ImageError(
            f"'{path.name}' cannot be read any more, or was changed since it was opened. Is its disk still connected? "
            "Open it again."
        )
