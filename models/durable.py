"""The one place where files of a project are written: all or nothing, also when the power fails.

A reader sees the old file or the new one, never half of one: the bytes go to a sibling with the ending
`.partial`, are forced to the disk, and only then take the name. Folders take their names with `exchange`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from .errors import MedSegError


class WriteError(MedSegError, OSError):
    """A file could not be written; what stood there before stands there still."""


_REMEDY = {
    errno.ENOSPC: "the disk is full. Free some space and try again",
    errno.EDQUOT: "your disk quota is used up. Free some space and try again",
    errno.EFBIG: "the file would be larger than this disk or account allows",
    errno.EACCES: "you may not write there. Choose another folder or ask for write permission",
    errno.EPERM: "you may not write there. Choose another folder or ask for write permission",
    errno.EROFS: "that disk is read-only. Choose another folder",
}


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` in this block into a `WriteError` that says what to do."""
    try:
        yield
    except WriteError:
        raise  # explained already
    except OSError as error:
        reason = _REMEDY.get(error.errno or 0, (error.strerror or str(error)).lower())
        raise WriteError(
            f"'{path.name}' could not be written in '{path.parent}': {reason}. Nothing was lost."
        ) from error


def write(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that it is there whole and on the disk, or not at all.

    Raises:
        WriteError: no permission, no space, ...; an older file of that name is untouched.
    """
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    with explained(path):
        make_folder(path.parent)
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
            try:
                _write_all(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            partial.replace(path)
        except BaseException:  # Ctrl-C, too, leaves nothing behind
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        sync_folder(path.parent)


@contextlib.contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """The name of a file to be made in this block, which takes the name `path` at its end, whole and on the disk.

    Raises:
        WriteError: no permission, no space, ...; an older file of that name is untouched, as if the block fails.
    """
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    with explained(path):
        make_folder(path.parent)
        try:
            yield partial
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        sync_folder(path.parent)


def exchange(new: Path, target: Path) -> None:
    """Let the folder `new` take the name `target`; what stood there is put back if that fails, and goes if not.

    No system replaces one folder by another in one step: after a power failure in between, what stood there is called
    `.NAME.TAG.replaced`.

    Args:
        new: on the same disk as `target`, its files forced to the disk (`sync_tree`).
        target: the caller knows that what stands there may go.

    Raises:
        WriteError: no permission, ...; what stood there stands there still, and `new` where it was.
    """
    replaced = target.with_name(f".{target.name}.{secrets.token_hex(4)}.replaced")
    with explained(target):
        stood = os.path.lexists(target)
        if stood:
            target.rename(replaced)
        try:
            new.rename(target)
        except OSError:
            if stood:
                replaced.rename(target)
            raise
        sync_folder(target.parent)
    if replaced.is_symlink():
        with contextlib.suppress(OSError):
            replaced.unlink()  # what it leads to is somebody else's
    elif stood:
        shutil.rmtree(replaced, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents, each new name forced to the disk."""
    with explained(folder):
        if folder.is_dir():
            return
        if folder.parent != folder:
            make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def _write_all(descriptor: int, content: bytes) -> None:
    """`os.write` may take less than it is given."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_tree(folder: Path) -> None:
    """Force every file and every list of names below a folder to the disk."""
    for place, _, files in os.walk(folder):
        for name in files:
            with (Path(place) / name).open("r+b") as file:  # Windows forces nothing that is open for reading only
                os.fsync(file.fileno())
        sync_folder(Path(place))


def sync_folder(folder: Path) -> None:
    """Force the folder's list of names to the disk (Windows has no such call and needs none)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
