"""A mask that is being made: what is done of it, beside the place where it will stand.

It is kept in a folder called as the mask with `.partial` behind, together with a note of what it belongs to: another
image, model or setting does not go on with it. The mask takes its place when it is whole; an older one stands there
until then.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..durable import WriteError, explained, make_folder, sync_folder, write
from ..errors import MedSegError
from ..label_store import LabelStore

_NOTE = "progress.json"


@dataclass
class Partial:
    """A mask that is being made.

    Attributes:
        target: where it will stand.
        folder: what is done of it.
        belongs_to: fingerprint of image, model and settings.
        tile: side of the tiles that it is made with; 0 if nothing is done.
        plane: the first plane that is not done.
        row: the first row of that plane that is not done.
    """

    target: Path
    folder: Path
    belongs_to: str
    tile: int = 0
    plane: int = 0
    row: int = 0

    @classmethod
    def begin(cls, target: Path, belongs_to: str) -> Partial:
        """Go on with what an earlier call has left for this target, if it is the same work; else begin anew.

        Raises:
            WriteError: something else stands there, or one may not write there.
        """
        target = target.absolute()
        check_replaceable(target)
        partial = cls(target, target.with_name(f"{target.name}.partial"), belongs_to)
        noted = _noted(partial.folder / _NOTE)
        if noted.get("belongs_to") == belongs_to:
            partial.tile, partial.plane, partial.row = (int(noted[name]) for name in ("tile", "plane", "row"))
            return partial
        with explained(target):
            if partial.folder.exists():
                shutil.rmtree(partial.folder)
            make_folder(partial.folder)
        partial.note()
        return partial

    def note(self) -> None:
        """Write down how far it is; what was done must be on the disk before."""
        noted = {"belongs_to": self.belongs_to, "tile": self.tile, "plane": self.plane, "row": self.row}
        write(self.folder / _NOTE, json.dumps(noted).encode())

    def reached(self, plane: int, row: int) -> None:
        """All before this row of this plane is done."""
        self.plane, self.row = plane, row
        self.note()

    def store(self, name: str, like: dict[str, Any], *, keep: bool = True) -> LabelStore:
        """A store in the folder: the one that is there, or a new one made with these options of `LabelStore.create`."""
        path = self.folder / name
        if keep and path.exists():
            with contextlib.suppress(MedSegError):
                return LabelStore.open(path)
        with explained(self.target):
            shutil.rmtree(path, ignore_errors=True)
        return LabelStore.create(path, **like)

    def finish(self, targets: dict[str, Path]) -> None:
        """Let stores take their places, and what stood there go, and the folder with it.

        Raises:
            WriteError: that is not possible; what stood there stands there still.
        """
        for name, target in targets.items():
            with explained(target):
                _exchange(self.folder / name, target, self.folder / f"old-{secrets.token_hex(4)}")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def begun(self) -> bool:
        """Whether something is done."""
        return bool(self.plane or self.row)


def check_replaceable(target: Path) -> None:
    """Refuse a target that is no mask: a folder of somebody's work must not be replaced.

    Raises:
        WriteError: says what stands there.
    """
    if not target.name.endswith(".zarr"):
        raise WriteError(
            f"A mask on disk is a folder whose name ends in '.ome.zarr', not '{target.name}'. Nothing was written; "
            f"'{target.stem}.ome.zarr' would work."
        )
    if not target.exists():
        return
    try:
        LabelStore.open(target)
    except MedSegError as error:
        raise WriteError(
            f"'{target.name}' in '{target.parent}' is something else than a mask, and stays as it is. Nothing was "
            "written; choose another name."
        ) from error


def _exchange(new: Path, target: Path, old: Path) -> None:
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    sync_folder(target.parent)


def _noted(note: Path) -> dict[str, Any]:
    try:
        found = json.loads(note.read_text("utf-8"))
        return found if isinstance(found, dict) and {"tile", "plane", "row"} <= found.keys() else {}
    except (OSError, ValueError):
        return {}
