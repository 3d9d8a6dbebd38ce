"""Memory and disk, and whether the folders that MedSeg writes into can be written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from ..sizes import in_bytes
from .finding import Finding, fine, note, wrong

LITTLE_MEMORY = 2e9
"""Bytes: what an engine with a network and a window take together."""

LITTLE_DISK, NO_DISK = 2e9, 2e8
"""Bytes: some fine-tunings and masks of volumes fit; a single one may not."""


def memory() -> Iterator[Finding]:
    """How much is free."""
    found, swap = psutil.virtual_memory(), psutil.swap_memory()
    details = {"memory": in_bytes(found.total), "swap": f"{in_bytes(swap.free)} of {in_bytes(swap.total)} free"}
    free = f"{in_bytes(found.available)} of {in_bytes(found.total)} of memory are free"
    if found.available < LITTLE_MEMORY:
        yield note(
            f"Only {free}; a network may not fit beside the window.",
            "Close other programs, or use a computer with more memory.",
            details=details,
        )
    else:
        yield fine(f"{free[0].upper()}{free[1:]}.", details=details)


def folders(places: Mapping[str, Path]) -> Iterator[Finding]:
    """Whether each can be written, and how much room is on its disk. None of them is made, nothing is written.

    Args:
        places: by what a sentence calls them.
    """
    closed = {called: place for called, place in places.items() if not _writable(place)}
    room = {called: shutil.disk_usage(_there(place)).free for called, place in places.items()}
    details: dict[str, list[str]] = {}  # folders by the room on their disk: mostly there is but one
    for called, free in room.items():
        details.setdefault(f"{in_bytes(free)} free", []).append(called)
    names = {called: str(place) for called, place in places.items()}
    for called, place in closed.items():
        yield wrong(
            f"Nothing can be written into {called}.",
            "Ask for write permission there, or choose another folder"
            + ("." if called not in _OVERRIDES else f": set {_OVERRIDES[called]} to a folder of your own."),
            names={called: str(place)},
        )
    for called, free in room.items():
        if free < NO_DISK:
            found, remedy = f"The disk of {called} is full: {in_bytes(free)} are free.", "Free some space now."
            yield wrong(f"{found} What you do may not be kept.", remedy, names={called: names[called]})
    if closed or min(room.values()) < NO_DISK:
        return
    scarce = [called for called, free in room.items() if free < LITTLE_DISK]
    if scarce:
        yield note(
            f"Only {in_bytes(min(room.values()))} are free on the disk of {' and '.join(scarce)}.",
            "Free some space before you go on with large images or fine-tunings.",
            details=details,
            names=names,
        )
    else:
        what = "All folders" if len(places) > 1 else f"The folder of {next(iter(places))}"
        smallest = in_bytes(min(room.values()))
        yield fine(f"{what} can be written, and {smallest} of disk are free.", details=details, names=names)


def temporary() -> Path:
    """The folder for what is needed for a moment only."""
    return Path(tempfile.gettempdir())


_OVERRIDES = {
    "the default project": "MEDSEG_PROJECT",
    "the engine's folder": "MEDSEG_RUNTIME",
    "temporary files": "TMPDIR",
}


def _there(place: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    place = place.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def _writable(place: Path) -> bool:
    nearest = _there(place)
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
