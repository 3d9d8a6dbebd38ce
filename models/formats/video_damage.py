"""Frames of a video that cannot be decoded or are missing, and how they are told."""

from __future__ import annotations

from collections.abc import Iterable, Set
from pathlib import Path

from ..errors import ImageError
from .video_matroska import Missing

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
        if not self._numbers:
            return ()
        are = "They are" if len(self._numbers) > 1 else "It is"
        which = _named(self._numbers)
        return (f"{which} cannot be decoded: the file is damaged there. {are} black; all others are at their times.",)


def said_missing(missing: Missing, lost: Set[int]) -> tuple[str, ...]:
    """What to tell of frames that are not in the file at all; () if none is missing.

    Args:
        missing: what is missing in it.
        lost: numbers of the frames that are, counted from 0.
    """
    if missing.unplaced:
        return (
            "The file is damaged, and frames are missing in it. The time between frames varies, so where they were "
            "cannot be told: later frames have moved up.",
        )
    if not lost:
        return ()
    are, it = ("are", "They are") if len(lost) > 1 else ("is", "It is")
    if missing.after or missing.untrue:
        return (
            f"{_named(lost)} {are} not in the file, which is damaged there. {it} black; all others are at their times.",
        )
    return (
        f"{_named(lost)} {are} not in the file: lost before, or left out by the recording. {it} black; all others are "
        "at their times. Those right behind may be smeared, if some were lost.",
    )


def _named(numbers: Set[int]) -> str:
    """Frames as people count them: "Frames 3, 7 to 12"."""
    starts = [number for number in sorted(numbers) if number - 1 not in numbers]
    ends = [number for number in sorted(numbers) if number + 1 not in numbers]
    runs = [f"{a + 1}" if a == b else f"{a + 1} to {b + 1}" for a, b in zip(starts, ends, strict=True)]
    named = ", ".join(runs[:_NAMED]) + (f" and {len(runs) - _NAMED} more pieces" if len(runs) > _NAMED else "")
    return f"Frames {named}" if len(numbers) > 1 else f"Frame {named}"


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
