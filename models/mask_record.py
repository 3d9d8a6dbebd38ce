"""Which masks of a folder are done, and which are as they were written: those that nobody corrected or drew.

A file in the folder has a line for each mask: hashes of its name, of what it was made of, of its content as it was
written, and of its image: where that is, and its bytes. One that goes to the disk as it is made has a line before, too,
with no more than a hash of where its image is. A mask is called after its image, and an image's folder may be
called after a patient, so names do not stand there.

Images of one name in two folders are told apart by their place. One that was moved or copied is still the same one: its
bytes say so, which are looked at only then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .chosen_model import ChosenModel
from .durable import explained
from .streaming.identity import file_identity
from .streaming.partial import partial_of

NAME = ".medseg-masks.jsonl"
"""Name of the file."""


@dataclass(frozen=True)
class _Noted:
    """What is known of a mask.

    Attributes:
        of: hash of what it was made of: the model, what that was asked for, and the image's size and date.
        content: hash of the mask as it was written.
        place: hash of where its image was.
        image: hash of its image's bytes.
    """

    of: str
    content: str
    place: str
    image: str

    def is_of(self, image: Path) -> bool:
        """Whether the mask is one of this image, at this place or moved.

        Raises:
            OSError: the image cannot be read.
        """
        return self.place == _hash_of_place(image, self.content) or self.image == _hash_of_bytes(image)


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
                    values = (str(noted[name]) for name in ("of", "content", "place", "image"))
                    record._known[str(noted["mask"])] = _Noted(*values)
        return record

    def is_done(self, image: Path, masks: list[Path]) -> Path | None:
        """The one of these masks that was made of this image as it is now, by this model; corrected since or not."""
        try:
            made_of = self._made_of(image)
            return next((mask for mask in masks if self._is_done(image, mask, made_of)), None)
        except OSError:
            return None  # whoever reads it says why

    def is_of_another(self, image: Path, mask: Path) -> bool:
        """Whether a mask is known to be of another image than this one; an image that cannot be read is another."""
        noted = self._known.get(_named(mask))
        try:
            return noted is not None and not noted.is_of(image)
        except OSError:
            return True

    def is_ours(self, mask: Path) -> bool:
        """Whether a mask is, to the byte, as it was written by whichever model: nobody corrected or drew it."""
        noted = self._known.get(_named(mask))
        try:
            return noted is not None and noted.content == _content_of(mask)
        except OSError:
            return False

    def begin(self, image: Path, mask: Path) -> None:
        """This mask is going to be made of this image, and what is done of it will stand beside it for a while.

        Raises:
            WriteError: no permission, no space.
        """
        with explained(self.folder / NAME):
            salt = secrets.token_hex(32)
            self._note(partial_of(mask), _Noted("", salt, _hash_of_place(image, salt), ""))

    def is_begun_of_another(self, image: Path, mask: Path) -> bool:
        """Whether a mask was begun of another image than this one, and what is done of it is there still."""
        noted = self._known.get(_named(partial_of(mask)))
        begun = noted is not None and os.path.lexists(partial_of(mask))
        return begun and noted is not None and noted.place != _hash_of_place(image, noted.content)

    def add(self, image: Path, mask: Path) -> None:
        """This mask was made of this image, and is as it was written.

        Raises:
            WriteError: no permission, no space.
        """
        with explained(self.folder / NAME):
            content = _content_of(mask)
            place = _hash_of_place(image, content)
            self._note(mask, _Noted(self._made_of(image), content, place, _hash_of_bytes(image)))

    def _note(self, mask: Path, noted: _Noted) -> None:
        """Have it on the disk."""
        self._known[_named(mask)] = noted
        with (self.folder / NAME).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps({'mask': _named(mask)} | asdict(noted))}\n")
            file.flush()
            os.fsync(file.fileno())

    def _is_done(self, image: Path, mask: Path, made_of: str) -> bool:
        noted = self._known.get(_named(mask))
        return noted is not None and noted.of == made_of and mask.exists() and noted.is_of(image)

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


def _hash_of_place(image: Path, salt: str) -> str:
    """Where an image is; the salt keeps the places of one patient's images from being alike in two records."""
    return hashlib.sha256(f"{salt}:{image.resolve()}".encode("utf-8", "surrogatepass")).hexdigest()


def _hash_of_bytes(image: Path) -> str:
    """Hash of an image's file, or of all files of its folder with their names in it."""
    if not image.is_dir():
        return _hash_of_file(image)
    hashed = hashlib.sha256()
    for file in sorted(path for path in image.rglob("*") if path.is_file()):
        name = file.relative_to(image).as_posix().encode("utf-8", "surrogatepass")
        hashed.update(name + b"\0" + bytes.fromhex(_hash_of_file(file)))
    return hashed.hexdigest()


def _hash_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
