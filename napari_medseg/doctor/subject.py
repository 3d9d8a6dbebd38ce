"""What can be looked at: parts of the installation, and a project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from napari_medseg.trainer.ledger_copy import NAME

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
        """SQLite's file; None if the database is on a server."""
        if not self.url:
            return self.folder / NAME
        url = sa.make_url(self.url)
        return Path(url.database or "") if url.get_backend_name() == "sqlite" else None
