"""Which masks of a folder are done, and which are as they were written: those that nobody corrected or drew.

A file in the folder has a line for each mask: hashes of its name, of what it was made of, and of its content as it was
written. A mask is called after its image, so names do not stand there.
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


@dataclass(frozen=True)
class _Noted:
    """What is known of a mask: hashes of what it was made of, and of its content as it was written."""

    of: str
    content: str


@dataclass
class Record:
    """What is known of the masks in a folder.

    Attributes:
        folder: of the masks.
        made_by: hash of the model and of what it was asked for.
    """

    folder: Path
    made_by: str
    _known: dict[str, _Noted] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, model: ChosenModel, *, instances: bool) -> Record:
        """The record in a folder; lines that are damaged count for nothing, and their masks are not ours any more."""
        weights = model.card.sha256 or _hash_of_file(Path(model.reference))
        record = cls(folder, hashlib.sha256(f"{weights}:{instances}".encode()).hexdigest())
        with contextlib.suppress(OSError, UnicodeDecodeError):
            for line in (folder / NAME).read_text("utf-8").splitlines():
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    noted = json.loads(line)
                    record._known[str(noted["mask"])] = _Noted(str(noted["of"]), str(noted["content"]))
        return record

    def is_done(self, image: Path, masks: list[Path]) -> Path | None:
        """The one of these masks that was made of this image as it is now, by this model; corrected since or not."""
        try:
            made_of = self._made_of(image)
        except OSError:
            return None  # whoever reads it says why
        found = ((mask, self._known.get(_named(mask))) for mask in masks)
        return next((mask for mask, noted in found if noted and noted.of == made_of and mask.exists()), None)

    def is_ours(self, mask: Path) -> bool:
        """Whether a mask is, to the byte, as it was written by whichever model: nobody corrected or drew it."""
        noted = self._known.get(_named(mask))
        try:
            return noted is not None and noted.content == _content_of(mask)
        except OSError:
            return False

    def add(self, image: Path, mask: Path) -> None:
        """This mask was made of this image, and is as it was written.

        Raises:
            WriteError: no permission, no space.
        """
        with explained(self.folder / NAME):
            noted = self._known[_named(mask)] = _Noted(self._made_of(image), _content_of(mask))
            line = json.dumps({"mask": _named(mask), "of": noted.of, "content": noted.content})
            with (self.folder / NAME).open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
                file.flush()
                os.fsync(file.fileno())

    def _made_of(self, image: Path) -> str:
        return hashlib.sha256(f"{self.made_by}:{file_identity(image)}".encode()).hexdigest()


def _named(mask: Path) -> str:
    return hashlib.sha256(mask.name.encode("utf-8", "surrogatepass")).hexdigest()


def _content_of(mask: Path) -> str:
    """Hash of a file; of an OME-Zarr folder that of its files' names, sizes and dates, which a correction changes."""
    if not mask.is_dir():
        return _hash_of_file(mask)
    hashed = hashlib.sha256()
    for file in sorted(path for path in mask.rglob("*") if path.is_file()):
        status = file.stat()
        hashed.update(f"{file.relative_to(mask).as_posix()}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return hashed.hexdigest()


def _hash_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
