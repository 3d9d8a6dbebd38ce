"""What tells one file from another, and from what it was before, without a name and without reading it."""

from __future__ import annotations

from pathlib import Path


def file_identity(path: Path, part: str = "") -> str:
    """Size and date of a file; of a folder the number of its files, their size together and the latest of their dates.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    found = [file.stat() for file in files]
    return f"{part}:{len(found)}:{sum(s.st_size for s in found)}:{max((s.st_mtime_ns for s in found), default=0)}"
