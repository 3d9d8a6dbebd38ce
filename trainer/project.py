"""Where a project lives, and how to tell one from another folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def default_project() -> Path:
    """The folder of the user's own project; the environment variable MEDSEG_PROJECT overrides it. Not made here."""
    chosen = os.environ.get("MEDSEG_PROJECT", "").strip()
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_data_path("napari-medseg", appauthor=False) / "projects" / "default"


def is_project(folder: str | Path) -> bool:
    """Whether there is a ledger in that folder."""
    return (Path(folder).expanduser() / "ledger.sqlite").is_file()
