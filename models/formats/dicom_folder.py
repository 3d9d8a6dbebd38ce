"""The DICOM images below a folder: one pass over the headers, the same for a list of contents and for one file."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError
from .dicom_frames import Frame, frames_of
from .dicom_header import NoPixelsError, read_header
from .dicom_stacks import stacks
from .dicom_tolerance import as_it_is
from .kinds import content_kind

_log = logging.getLogger(__name__)

Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, eq=False)
class Found:
    """What is in a folder, or in a file.

    Attributes:
        stacks: planes that belong together, by the key of the part that they are.
        notices: what was left out, and why. Sentences.
    """

    stacks: dict[str, list[Frame]]
    notices: tuple[str, ...]


def found_in(path: Path) -> Found:
    """The images of a file, of a folder and all below it, or of a medium whose list of contents is given.

    Raises:
        ImageError: there is none; the text says what there is.
    """
    with as_it_is():
        return _found_in(path)


def _found_in(path: Path) -> Found:
    if path.is_dir() or path.name.upper() == "DICOMDIR":
        folder = path if path.is_dir() else path.parent
        return _in_folder(folder, _signature(folder))
    header = read_header(path)
    split, _ = stacks(frames_of(header))
    return Found({"": split[0]} if len(split) == 1 else _keyed(split), ())


@functools.lru_cache(maxsize=2)  # it is asked for its parts first, and then for one of them
def _in_folder(folder: Path, signature: Signature) -> Found:
    frames: list[Frame] = []
    others: Counter[str] = Counter()
    unreadable: list[ImageError] = []
    for name, _, _ in signature:
        try:
            if content_kind(folder / name) == "dicom":
                frames.extend(frames_of(read_header(folder / name)))
            else:
                others["of another format"] += 1
        except NoPixelsError as error:
            others[error.what] += 1
        except ImageError as error:
            _sort_out(folder / name, error, others, unreadable)
    if not frames:
        raise _nothing(folder, others, unreadable)
    split, copies = stacks(frames)
    notices = []
    if unreadable:
        notices.append(f"{_files(len(unreadable))} left out, damaged or incomplete. The log says which, and why.")
    if others:
        notices.append(f"{_files(others.total())} left out, without an image in DICOM: {_counted(others)}.")
    if copies:
        notices.append(f"{_files(copies, 'image')} left out, copies of others.")
    return Found(_keyed(split), tuple(notices))


def _sort_out(file: Path, error: ImageError, others: Counter[str], unreadable: list[ImageError]) -> None:
    """Whether a file that cannot be read is a DICOM file at all."""
    _log.info("%s left out: %s", file.name, error)
    try:
        strange = file.stat().st_size == 0 or (os.access(file, os.R_OK) and content_kind(file) != "dicom")
    except ImageError:
        strange = True
    except OSError:
        strange = False
    if strange:
        others["of another format"] += 1
    else:
        unreadable.append(error)


def _nothing(folder: Path, others: Counter[str], unreadable: list[ImageError]) -> ImageError:
    if unreadable:
        return ImageError(
            f"None of the {len(unreadable)} DICOM images in '{folder.name}' can be read. The first: {unreadable[0]}"
        )
    what = _counted(others) or "no file"
    return ImageError(f"'{folder.name}' holds no DICOM image ({what}). Choose the folder with the images.")


def _signature(folder: Path) -> Signature:
    """Every file below a folder with its size and time: what tells whether it is still the same."""
    return tuple(sorted(_files_below(folder)))


def _files_below(folder: Path) -> Iterator[tuple[str, int, int]]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            file = Path(where, name)
            if name.startswith("."):
                continue
            try:
                status = file.stat()
            except OSError:
                continue
            yield str(file.relative_to(folder)), status.st_size, status.st_mtime_ns


def _keyed(split: list[list[Frame]]) -> dict[str, list[Frame]]:
    keyed: dict[str, list[Frame]] = {}
    for stack in sorted(split, key=lambda stack: min((frame.times, frame.number, frame.index) for frame in stack)):
        key = _key(stack)
        again = sum(known.startswith(key) for known in keyed)
        keyed[f"{key}-{again + 1}" if again else key] = stack
    return keyed


def _key(stack: list[Frame]) -> str:
    """A hash of what its planes share: stays the same when files are renamed or others are added."""
    first = min(stack, key=lambda frame: (frame.header.instance, frame.index))
    header, place = first.header, first.place
    alone = header.pixels.frames > 1 or place is None
    facing = () if place is None else tuple(round(float(v), 2) + 0.0 for v in (*place.along_x, *place.along_y))
    space = (facing, first.distance.yx, first.stack)
    own = (first.header.instance, first.index) if alone or len(stack) == 1 else (first.kinds, first.acquisition)
    return hashlib.sha256(repr((header.series, header.pixels.shape, space, own)).encode()).hexdigest()[:16]


def _counted(others: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in others.most_common())


def _files(count: int, what: str = "file") -> str:
    return f"1 {what} was" if count == 1 else f"{count} {what}s were"
