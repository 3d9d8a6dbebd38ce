"""Images that are spread over several files in one folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import ImageError


def file_beside(path: Path, name: str) -> Path:
    """Where the file `name` is, which a header names: in the folder of `path`; no other place is looked at.

    Raises:
        ImageError: it is said to be elsewhere.
    """
    if PurePosixPath(name).name != name or PureWindowsPath(name).name != name:
        raise ImageError(
            f"'{path.name}' says that part of it is in '{name}', outside its folder. "
            "Put all its files in one folder and export it again."
        )
    return path.with_name(name)
