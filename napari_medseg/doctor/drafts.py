"""Masks that were not accepted: drafts of images, and masks of large ones. They are read, never held or changed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from ..editing.holding import is_in_work
from ..editing.journal_file import MAGIC, payloads, size_of
from ..project_places import ABOUT, DRAFT, DRAFTS, LARGE
from ..sizes import in_bytes
from .finding import Finding, fine, note, wrong

_OLD = 30.0
"""Days after which whoever left a mask has most likely forgotten it."""

_ROOM = 2**30
_DAY = 86400.0


def drafts(project: Path, seconds: float) -> Iterator[Finding]:
    """How many masks wait to be accepted, since when, and whether they can be read.

    Args:
        project: its folder.
        seconds: that may be spent on reading.
    """
    end, now = time.monotonic() + seconds, time.time()
    found = {path: about for path in (project / DRAFTS).glob(f"*{DRAFT}") if (about := _about(path))}
    working = [path for path in found if is_in_work(path)]
    unreadable, torn = [], []
    for path in found:
        if path not in working and time.monotonic() < end:
            records, read = _read(path)
            if is_in_work(path) or not path.exists():  # a window has just gone on with it, or it was accepted
                continue
            if not records:
                unreadable.append(path.name)
            elif read < found[path][1]:
                torn.append(path.name)
    waiting = [about for path, about in found.items() if path not in working]
    oldest = max((now - changed) / _DAY for changed, _ in waiting) if waiting else 0.0
    size = sum(size for _, size in found.values())
    locks = sum(1 for lock in (project / DRAFTS).glob("*.lock") if not lock.with_suffix(DRAFT).exists())
    details: dict[str, int | str] = {
        "waiting": len(waiting),
        "in a window now": len(working),
        "size": in_bytes(size) if found else 0,
        "days of the oldest": round(oldest),
        "cut off by a crash": len(torn),
        "locks of windows that ended": locks,
    }
    if unreadable:
        yield wrong(
            f"{len(unreadable)} of {len(found)} masks that were not accepted cannot be read any more.",
            "Copy the project's folder before you remove them (Masks not accepted ... under Project): somebody may "
            "be able to save them. Look after the disk.",
            details=details,
            names={"drafts": unreadable},
        )
    if waiting and (oldest > _OLD or size > _ROOM):
        yield note(
            f"{_masks(len(waiting))} not accepted, {in_bytes(size)}; the oldest for {oldest:.0f} days.",
            "Open the image, and the panel offers to go on; or remove what nobody needs: Masks not accepted ... under "
            "Project.",
            details=details,
        )
    elif not unreadable:
        said = f"{_masks(len(waiting))} not accepted yet, {in_bytes(size)}; nothing of them is lost." if waiting else ""
        yield fine(said or "No mask waits to be accepted.", details=details)
    yield from _large(project)


def _large(project: Path) -> Iterator[Finding]:
    """Whether the masks of large images still say whose they are."""
    folders = [path for path in (project / LARGE).glob("*") if path.is_dir()]
    damaged = [path.name for path in folders if not _says_what_it_is(path / ABOUT)]
    if damaged:
        yield wrong(
            f"{len(damaged)} of {len(folders)} masks of large images do not say any more whose they are, so the panel "
            "does not find them.",
            "Open the image, and then the mask with Open mask folder ...; --verbose names the folders.",
            details={"masks of large images": len(folders)},
            names={"folders": [f"{LARGE}/{name}" for name in damaged]},
        )
    elif folders:
        yield fine(f"{_masks(len(folders))} kept of large images.")


def _read(path: Path) -> tuple[int, int]:
    """Records of a draft that are whole, and the bytes that they take with the beginning of the file."""
    records, read = 0, len(MAGIC)
    try:
        for payload in payloads(path):
            records, read = records + 1, read + size_of(payload)
    except OSError:
        return 0, 0
    return records, read


def _about(path: Path) -> tuple[float, int] | None:
    """When it was changed, and its size; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime, found.st_size


def _says_what_it_is(about: Path) -> bool:
    try:
        said = json.loads(about.read_bytes())
        return isinstance(said, dict) and {"format", "salt", "shape"} <= said.keys()
    except (OSError, ValueError):
        return False


def _masks(count: int) -> str:
    return "1 mask is" if count == 1 else f"{count} masks are"
