"""A mask that lies on the disk as OME-Zarr, copied as it is."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from ..durable import explained, make_folder, sync_folder
from ..errors import CancelledError


def copy_store(store: Path, path: Path, *, cancel: Callable[[], bool] | None = None) -> None:
    """Copy a store, whole or not at all; an older folder of that name is replaced.

    Raises:
        WriteError: no permission, no space, ...; what was there is untouched.
        CancelledError: asked to stop.
    """
    tag = secrets.token_hex(4)
    partial, older = path.with_name(f"{path.name}.{tag}.partial"), path.with_name(f"{path.name}.{tag}.older")
    with explained(path):
        make_folder(path.parent)
        try:
            for folder, _, names in os.walk(store):
                target = partial / Path(folder).relative_to(store)
                target.mkdir()
                for name in names:
                    if cancel is not None and cancel():
                        raise CancelledError("Writing was stopped; nothing was changed.")
                    shutil.copyfile(Path(folder, name), target / name)
            _replace(path, partial, older)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        shutil.rmtree(older, ignore_errors=True)
        sync_folder(path.parent)


def _replace(path: Path, by: Path, older: Path) -> None:
    """A folder takes the name of another, which is put back if that fails."""
    with contextlib.suppress(FileNotFoundError):
        path.rename(older)
    try:
        by.rename(path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            older.rename(path)
        raise
