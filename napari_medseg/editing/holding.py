"""Two windows never go on with one draft: who works on it holds a lock, which ends with its process."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from napari_medseg.models.durable import explained, make_folder
from napari_medseg.models.errors import ImageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


_PATIENCE = 0.1
"""Seconds: who only looks whether a lock is held has it for a moment, see `is_held` and `is_in_work`."""


def lock_of(path: Path) -> FileLock:
    """The lock of a draft, not held yet."""
    return FileLock(path.with_suffix(".lock"), thread_local=False)  # read in one thread, written by another


def hold(lock: FileLock) -> None:
    """Hold a lock, if it is not held by us already.

    Raises:
        Timeout: another window has it.
        WriteError: no permission, no space, ...
    """
    if not lock.is_locked:
        folder = Path(lock.lock_file).parent
        make_folder(folder)
        try:
            lock.acquire(timeout=_PATIENCE, poll_interval=0.02)
        except Timeout:
            raise  # an OSError, too
        except OSError:
            with explained(folder):
                raise


def held(path: Path) -> FileLock:
    """The lock of a draft, held.

    Raises:
        ImageError: another window has it.
        WriteError: no permission, no space, ...
    """
    lock = lock_of(path)
    try:
        hold(lock)
    except Timeout as error:
        raise ImageError("Another window goes on with these corrections already. Nothing was changed.") from error
    return lock


def let_go(lock: FileLock, path: Path) -> None:
    """Hold it no more; without its draft the lock's file is needed no more either."""
    lock.release()
    if not path.exists():
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink(missing_ok=True)


def is_held(path: Path) -> bool:
    """Whether a window has this draft, or it cannot be had for another reason."""
    lock = lock_of(path)
    try:
        hold(lock)
    except (Timeout, OSError):
        return True
    let_go(lock, path)
    return False


def is_in_work(path: Path) -> bool:
    """The same for who may change nothing: without a lock's file nobody has it, and none is made."""
    try:
        descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
