"""Which masks of a folder are done, so that a command that was stopped goes on where it was.

A file in the folder has a line for each mask: its name there, and a hash of what it was made of. Names of images do
not stand in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from napari_medseg.models.durable import explained
from napari_medseg.models.streaming.identity import file_identity

from .naming import ChosenModel

NAME = ".medseg-masks.jsonl"
"""Name of the file."""


@dataclass
class Record:
    """What is known of the masks in a folder.

    Attributes:
        folder: of the masks.
        made_by: hash of the model and of what it was asked for.
    """

    folder: Path
    made_by: str
    _known: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, model: ChosenModel, *, instances: bool) -> Record:
        """The record in a folder; lines that are damaged count for nothing, and their masks are made again."""
        weights = model.card.sha256 or _hash_of_file(Path(model.reference))
        record = cls(folder, hashlib.sha256(f"{weights}:{instances}".encode()).hexdigest())
        with contextlib.suppress(OSError, UnicodeDecodeError):
            for line in (folder / NAME).read_text("utf-8").splitlines():
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    noted = json.loads(line)
                    record._known[str(noted["mask"])] = str(noted["of"])
        return record

    def is_done(self, image: Path, masks: list[Path]) -> Path | None:
        """The one of these masks that was made of this image as it is now, by this model; corrected since or not."""
        try:
            made_of = self._made_of(image)
        except OSError:
            return None  # whoever reads it says why
        return next((mask for mask in masks if self._known.get(mask.name) == made_of and mask.exists()), None)

    def add(self, image: Path, mask: Path) -> None:
        """This mask was made of this image.

        Raises:
            WriteError: no permission, no space.
        """
        self._known[mask.name] = self._made_of(image)
        line = json.dumps({"mask": mask.name, "of": self._known[mask.name]})
        with explained(self.folder / NAME), (self.folder / NAME).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())

    def _made_of(self, image: Path) -> str:
        return hashlib.sha256(f"{self.made_by}:{file_identity(image)}".encode()).hexdigest()


def _hash_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
