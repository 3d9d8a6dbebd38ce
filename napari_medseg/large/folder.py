"""Where the mask of a large image lives on the disk: the labels, and what has to be known to go on with them."""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_medseg.models.durable import WriteError, write
from napari_medseg.models.errors import ImageError

from ..editing.holding import hold, is_held, let_go, lock_of
from ..editing.identity import Identity, Kinship, salted
from ..project_places import ABOUT, LARGE

_log = logging.getLogger(__name__)

_LABELS, _FORMAT = "mask.ome.zarr", 1

Box = tuple[slice, ...]


@dataclass(eq=False)
class MaskFolder:
    """A folder with a mask; `new_folder` makes one, `kept_folder` finds it again. One window at a time has it.

    Attributes:
        path: the folder.
        salt: of what is kept sealed.
        image: what the image is told by, sealed.
        shape: of the mask.
        model: that made it; None if nobody but the user did.
        answer: what the model answered with, or a file holds: "instances" or "mask"; "" if that is not known.
        whole: whether the model, or the copy of a file, came to the end.
        largest: label of the whole mask; None if nobody has looked yet.
        edited: parts that were corrected.
        patch: the part that is open for correction; None if none is.
        outside: salted hash of where the labels are, if they are not in the folder; b"" if they are.
        written: how often parts were put back by this window.
    """

    path: Path
    salt: bytes
    image: dict[str, bytes]
    shape: tuple[int, ...]
    model: str | None = None
    answer: str = ""
    whole: bool = False
    largest: int | None = 0
    edited: list[Box] = field(default_factory=list)
    patch: Box | None = None
    outside: bytes = b""
    written: int = 0
    _elsewhere: Path | None = None
    _lock: FileLock | None = None
    _lock_beside: FileLock | None = None  # of labels that lie elsewhere, for windows that have other projects open

    @property
    def labels(self) -> Path:
        """Where the labels are, see `models.label_store`."""
        return self._elsewhere or self.path / _LABELS

    def note(self) -> None:
        """Have what the attributes say on the disk.

        Raises:
            WriteError: no permission, no space, ...
        """
        said = {
            "format": _FORMAT,
            "salt": self.salt.hex(),
            **{name: said.hex() for name, said in self.image.items()},
            "shape": self.shape,
            "model": self.model,
            "answer": self.answer,
            "whole": self.whole,
            "largest": self.largest,
            "edited": [_pairs(box) for box in self.edited],
            "patch": None if self.patch is None else _pairs(self.patch),
            "outside": self.outside.hex(),
        }
        write(self.path / ABOUT, json.dumps(said).encode())

    def hold(self) -> None:
        """Have it for this window.

        Raises:
            ImageError: another window has it.
            WriteError: no permission, no space, ...
        """
        self._lock = self._lock or lock_of(self.path / ABOUT)
        try:
            hold(self._lock)
            self._hold_beside()
        except Timeout as error:
            self.let_go()
            raise ImageError(
                "Another window works on the mask of this image. Close the image there first; nothing was changed."
            ) from error

    def let_go(self) -> None:
        """Let another window have it."""
        if self._lock_beside is not None:
            self._lock_beside.release()
            with contextlib.suppress(OSError):
                Path(self._lock_beside.lock_file).unlink(missing_ok=True)
        if self._lock is not None:
            let_go(self._lock, self.path / ABOUT)

    def _hold_beside(self) -> None:
        """Have labels that lie elsewhere, too; where no lock can be written, no window can write labels either."""
        if self._elsewhere is None:
            return
        lock = self._lock_beside or FileLock(
            self._elsewhere.with_name(f".{self._elsewhere.name}.lock"), thread_local=False
        )
        with contextlib.suppress(WriteError):
            hold(lock)
            self._lock_beside = lock

    def remove(self) -> None:
        """Have it no more; what cannot be removed stays and is found no more. Labels outside of it stay, too."""
        with contextlib.suppress(OSError):
            (self.path / ABOUT).unlink()
        self.let_go()
        shutil.rmtree(self.path, ignore_errors=True)


def new_folder(
    project: Path,
    image: Identity,
    shape: Sequence[int],
    model: str | None,
    answer: str,
    labels: Path | None = None,
    *,
    whole: bool | None = None,
) -> MaskFolder:
    """A folder for a mask of an image, held, without labels yet.

    Args:
        project: folder of the project.
        image: what the image is told by; it is kept sealed.
        shape: of the mask.
        model: that will make it; None for the user alone.
        answer: "instances" or "mask".
        labels: where they are already; None for in the folder. Only a salted hash of it is kept.
        whole: whether nothing has to come yet; by default so without a model.

    Raises:
        WriteError: no permission, no space, ...
    """
    salt = secrets.token_bytes(16)
    path = project / LARGE / secrets.token_hex(8)
    made = MaskFolder(path, salt, image.sealed(salt), tuple(shape), model, answer)
    made.whole = model is None if whole is None else whole
    if labels is not None:
        made.outside, made._elsewhere, made.whole, made.largest = _place(labels, salt), labels, True, None
    try:
        made.hold()
        made.note()
    except BaseException:
        made.remove()
        raise
    return made


def kept_folders(project: Path, shape: Sequence[int], identity: Callable[[], Identity]) -> list[MaskFolder]:
    """The folders with masks of an image that no other window has, the newest first.

    Args:
        project: folder of the project.
        shape: of the mask.
        identity: gives that of the image; called only if a shape fits.
    """
    folders = _folders(project, shape, identity)
    return [folder for folder in folders if not folder.outside and not is_held(folder.path / ABOUT)]


def kept_outside(
    project: Path, shape: Sequence[int], identity: Callable[[], Identity], labels: Path
) -> MaskFolder | None:
    """The folder of a mask that lies elsewhere, not held yet; None if it was never opened in this project.

    Args:
        project: folder of the project.
        shape: of the mask.
        identity: see `kept_folders`.
        labels: where the mask is.
    """
    for folder in _folders(project, shape, identity):
        if folder.outside and hmac.compare_digest(_place(labels, folder.salt), folder.outside):
            folder._elsewhere = labels
            return folder
    return None


def is_elsewhere(project: Path, shape: Sequence[int], identity: Callable[[], Identity]) -> bool:
    """Whether another window has a whole mask of an image; see `kept_folders`."""
    return any(
        folder.whole and not folder.outside and is_held(folder.path / ABOUT)
        for folder in _folders(project, shape, identity)
    )


def _folders(project: Path, shape: Sequence[int], identity: Callable[[], Identity]) -> list[MaskFolder]:
    """First those that are certainly of the image, then those that may be; of each, the newest first."""
    found: dict[Kinship, list[MaskFolder]] = {Kinship.OWN: [], Kinship.PERHAPS: [], Kinship.ANOTHERS: []}
    times: dict[Path, float] = {}
    for path in (project / LARGE).glob(f"*/{ABOUT}"):
        with contextlib.suppress(OSError):  # another window has just removed it
            times[path] = path.stat().st_mtime
    for path in sorted(times, key=lambda path: times[path], reverse=True):
        folder = _read(path)
        if folder is None or folder.shape != tuple(shape):
            continue
        kinship = identity().kinship(folder.image, folder.salt)
        if kinship is not None:
            found[kinship].append(folder)
    return [*found[Kinship.OWN], *found[Kinship.PERHAPS]]


def _read(path: Path) -> MaskFolder | None:
    """What such a file says; None if it is damaged, as masks are never thrown away for that."""
    try:
        said: dict[str, Any] = json.loads(path.read_bytes())
        if said["format"] != _FORMAT:
            raise ValueError(f"format {said['format']}")
        return MaskFolder(
            path.parent,
            bytes.fromhex(said["salt"]),
            {name: bytes.fromhex(said.get(name, "")) for name in ("image", "place", "file")},
            tuple(map(int, said["shape"])),
            said["model"],
            str(said["answer"]),
            bool(said["whole"]),
            None if said["largest"] is None else int(said["largest"]),
            [_box(pairs) for pairs in said["edited"]],
            None if said["patch"] is None else _box(said["patch"]),
            bytes.fromhex(said.get("outside", "")),
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.warning("%s cannot be read", path, exc_info=error)
        return None


def _place(labels: Path, salt: bytes) -> bytes:
    return salted(os.fsencode(labels.absolute()), salt)


def _pairs(box: Box) -> list[tuple[int, int]]:
    return [(side.start, side.stop) for side in box]


def _box(pairs: Sequence[Sequence[int]]) -> Box:
    return tuple(slice(int(start), int(stop)) for start, stop in pairs)
