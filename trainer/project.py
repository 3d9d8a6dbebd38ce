"""Where a project lives, and how to tell one from another folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import sqlalchemy as sa


@dataclass(frozen=True, repr=False)
class DatabaseProject:
    """A project whose ledger is in a database, for `Ledger.open` in whichever process. Shown without its password.

    Attributes:
        url: of the database, e.g. "postgresql+psycopg://...".
        pixels: the folder for pixels, weights and checkpoints.
    """

    url: str
    pixels: Path

    @classmethod
    def at(cls, url: str, pixels: Path) -> DatabaseProject:
        """The same wherever it is opened: places on this computer are made absolute."""
        project = cls(url, pixels.expanduser().absolute())
        if project.file is None or project.parsed is None:
            return project
        return cls(project.parsed.set(database=str(project.file)).render_as_string(hide_password=False), project.pixels)

    @property
    def parsed(self) -> sa.URL | None:
        """The address in its parts; None for what is none, which is said when it is opened."""
        try:
            return sa.make_url(self.url)
        except sa.exc.ArgumentError:
            return None

    @property
    def file(self) -> Path | None:
        """Of an SQLite database, see `sqlite_file`."""
        return None if self.parsed is None else sqlite_file(self.parsed)

    def __repr__(self) -> str:
        parsed = self.parsed
        return "the address of a database" if parsed is None else parsed.render_as_string(hide_password=True)


Project = str | Path | DatabaseProject
"""What `Ledger.open` takes: a folder, a URL, or a URL with the folder of its pixels."""


def is_url(project: Project) -> bool:
    """Whether this is the URL of a database rather than a folder."""
    return isinstance(project, str) and "://" in project


def sqlite_file(url: sa.URL) -> Path | None:
    """The file of an SQLite database, absolute; None for any other, and for one in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database)).expanduser().absolute()


def default_project() -> Path:
    """The folder of the user's own project; the environment variable MEDSEG_PROJECT overrides it. Not made here."""
    chosen = os.environ.get("MEDSEG_PROJECT", "").strip()
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_data_path("napari-medseg", appauthor=False) / "projects" / "default"


def is_project(folder: str | Path) -> bool:
    """Whether there is a ledger in that folder."""
    return (Path(folder).expanduser() / "ledger.sqlite").is_file()
