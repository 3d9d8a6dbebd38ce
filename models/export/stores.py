"""A mask that lies on the disk as OME-Zarr, copied as it is."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from ..cancelling import Cancel, each_unless
from ..durable import exchange, explained, make_folder, sync_tree
from ..streaming.partial import check_replaceable


def copy_store(store: Path, path: Path, *, cancel: Cancel | None = None) -> None:
    """Copy a store, whole or not at all; older labels of that name are replaced, and nothing else.

    Raises:
        WriteError: an image or something else stands there, no permission, no space, a folder of the store that cannot
            be listed, ...; what was there is untouched.
        CancelledError: asked to stop.
    """
    check_replaceable(path)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    with explained(path):
        make_folder(path.parent)
        try:
            for folder, _, names in os.walk(store, onerror=_raise):
                target = partial / Path(folder).relative_to(store)
                target.mkdir()
                for name in each_unless(cancel, names):
                    shutil.copyfile(Path(folder, name), target / name)
            sync_tree(partial)
            exchange(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _raise(error: OSError) -> None:
    """A folder that cannot be listed would be taken for an empty one, and its labels for background."""
    raise error
