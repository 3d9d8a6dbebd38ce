"""A mask that is being made: what is done of it, beside the place where it will stand.

It is kept in a folder called as the mask with `.partial` behind, together with a note of what it belongs to: another
image, model or setting does not go on with it. The mask takes its place when it is whole; an older one stands there
until then.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..durable import WriteError, exchange, explained, make_folder, sync_folder, sync_tree, write
from ..errors import MedSegError
from ..label_store import LabelStore

_log = logging.getLogger(__name__)

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
    _durable: set[str] = field(default_factory=set)  # stores of which all that is written is on the disk

    @classmethod
    def begin(cls, target: Path, belongs_to: str) -> Partial:
        """Go on with what an earlier call has left for this target, if it is the same work; else begin anew.

        Raises:
            WriteError: something else stands there, or one may not write there.
        """
        target = target.absolute()
        check_replaceable(target)
        partial = cls(target, partial_of(target), belongs_to)
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

    def store(self, name: str, like: dict[str, Any]) -> LabelStore:
        """The store in the folder if something is done, else a new one, made with these options of `LabelStore.create`.

        What is written to it is on the disk before it can be noted. Where it is missing or damaged, nothing counts as
        done any more.
        """
        path = self.folder / name
        self._durable.add(name)
        if self.begun:
            with contextlib.suppress(MedSegError):
                return LabelStore.open(path, durable=True)
            _log.warning("what was done of '%s' cannot be used; it is begun anew", self.target.name)
            self.reached(0, 0)
        return self._new(path, like | {"durable": True})

    def scratch(self, name: str, like: dict[str, Any]) -> LabelStore:
        """A new store in the folder, which an earlier call has left nothing of use in."""
        return self._new(self.folder / name, like)

    def _new(self, path: Path, like: dict[str, Any]) -> LabelStore:
        with explained(self.target):
            shutil.rmtree(path, ignore_errors=True)
        return LabelStore.create(path, **like)

    def finish(self, targets: dict[str, Path]) -> None:
        """Let stores take their places, and what stood there go, and the folder with it.

        Raises:
            WriteError: that is not possible; what stood there stands there still.
        """
        for target in targets.values():
            check_replaceable(target)
        with explained(self.target):
            for name in targets.keys() - self._durable:
                sync_tree(self.folder / name)
            # what is moved away from here must not count as done, should this be cut short
            (self.folder / _NOTE).unlink(missing_ok=True)
            sync_folder(self.folder)
        for name, target in targets.items():
            exchange(self.folder / name, target)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def begun(self) -> bool:
        """Whether something is done."""
        return bool(self.plane or self.row)


def partial_of(target: Path) -> Path:
    """The folder of what is done of a mask that will stand at `target`."""
    return target.with_name(f"{target.name}.partial")


def check_replaceable(target: Path) -> None:
    """Refuse a target that is not labels: an image, or a folder of somebody's work, must not be replaced.

    Raises:
        WriteError: says what stands there.
    """
    if not target.name.endswith(".zarr"):
        raise WriteError(
            f"A mask on disk is a folder whose name ends in '.ome.zarr', not '{target.name}'. Nothing was written; "
            f"'{target.stem}.ome.zarr' would work."
        )
    if not os.path.lexists(target):
        return
    found = _described(target)
    if "image-label" in found:
        return
    stem = target.name.removesuffix(".zarr").removesuffix(".ome")
    what = "an image" if "multiscales" in found else "something else"
    raise WriteError(
        f"'{target.name}' in '{target.parent}' is {what}, not a mask, and stays as it is. Nothing was written; another "
        f"folder or another name, such as '{stem}_mask.ome.zarr', would work."
    )


def _described(target: Path) -> dict[str, Any]:
    """What a folder says of itself as OME-Zarr; {} for what cannot be read."""
    from ..formats.ome_zarr_metadata import attributes

    try:
        return attributes(target)
    except Exception:  # whatever a damaged file does to its decoder
        _log.info("what '%s' is cannot be told", target.name, exc_info=True)
        return {}


def _noted(note: Path) -> dict[str, Any]:
    try:
        found = json.loads(note.read_text("utf-8"))
        return found if isinstance(found, dict) and {"tile", "plane", "row"} <= found.keys() else {}
    except (OSError, ValueError):
        return {}
