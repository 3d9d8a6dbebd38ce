"""What can be looked at: parts of the installation, and a project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medseg.trainer.ledger_copy import NAME
from napari_medseg.trainer.project import DatabaseProject

NAMES = ("packages", "plugin", "weights", "room", "screen", "devices", "engine", "project")
"""What can be asked for alone, in the order in which it is looked at."""


@dataclass(frozen=True)
class ProjectPlace:
    """Where a project is.

    Attributes:
        folder: of its pixels, weights and checkpoints.
        url: of its database; "" if that is in the folder.
    """

    folder: Path
    url: str = ""

    @property
    def file(self) -> Path | None:
        """SQLite's file; None of a database on a server, and of what is no address."""
        return DatabaseProject(self.url, self.folder).file if self.url else self.folder / NAME
