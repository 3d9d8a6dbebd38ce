"""All drafts of a project: those of images that are never opened again stay until somebody looks at them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medseg.models.errors import MedSegError

from ..background import Background
from ..image_layers import mask_shape
from ..masks import Mask, Masks
from ..project_places import DRAFT, DRAFTS
from ..sizes import in_bytes
from ..state import PanelState
from .holding import held, is_held, let_go
from .identity import Kinship, identity_of
from .journal_file import JournalFile
from .restoring import kinship_of, shape_of

MANY, ROOM = 100, 2**30
"""Drafts, and bytes that they take together, beyond which the user is told."""

TOLD = "{} on the disk. Press Masks not accepted ... under Project to look through them."

_SOON = 1.0
"""Seconds after which the draft of an accepted mask is gone."""


@dataclass(frozen=True)
class DraftFile:
    """A draft, as it is shown in a list.

    Attributes:
        path: of the file.
        changed: when, in seconds since 1970.
        size: in bytes.
        shape: of its mask; None if it cannot be read.
        name: of its image, if that is open; else "", as a draft does not know it.
        in_work: whether a window has it.
    """

    path: Path
    changed: float
    size: int
    shape: tuple[int, ...] | None
    name: str
    in_work: bool


class AllDrafts:
    """Counts the drafts of the project, lists them and removes those that the user picks.

    Args:
        state: what the panel shows; `drafts` is how many there are.
        masks: knows which images are open.
        background: where files are looked at.
    """

    def __init__(self, state: PanelState, masks: Masks, background: Background) -> None:
        self._state, self._masks, self._background = state, masks, background
        self._told: Path | None = None  # the project of which the user knows that there are many
        state.events.project.connect(self.count)
        state.events.image.connect(self.count)
        masks.in_ledger.connect(self._accepted)
        self.count()

    def count(self) -> None:
        """See anew how many there are."""
        project = self._state.project

        def counted(drafts: tuple[int, int]) -> None:
            if self._state.project == project:
                self._state.drafts = drafts
                if (drafts[0] > MANY or drafts[1] > ROOM) and self._told != project:
                    self._told = project
                    self._state.notice = TOLD.format(in_words(*drafts))

        self._background.run(lambda: _counted(project / DRAFTS), counted)

    def list(self, then: Callable[[list[DraftFile]], None]) -> None:
        """Have `then` called with all of them, the one changed last first."""
        folder, images = self._state.project / DRAFTS, self._masks.images()
        self._background.run(lambda: _listed(folder, images), then)

    def remove(self, drafts: Iterable[DraftFile], then: Callable[[], None]) -> None:
        """Remove these for good; one that a window has meanwhile stays, and is named."""
        paths = [draft.path for draft in drafts]

        def removed(problem: str) -> None:
            self._state.problem = problem
            self.count()
            then()

        self._background.run(lambda: _removed(paths), removed, finish=True)

    def _accepted(self, mask: Mask) -> None:
        self._background.post_after(_SOON, self.count)


def remove(path: Path) -> None:
    """Remove a draft.

    Raises:
        ImageError: a window has it.
        WriteError: no permission, ...
    """
    lock = held(path)
    try:
        JournalFile(path).remove()
    finally:
        let_go(lock, path)


def in_words(count: int, size: int) -> str:
    """How many there are, and what bytes they take; the beginning of a sentence."""
    masks = "1 mask that was not accepted takes" if count == 1 else f"{count} masks that were not accepted take"
    return f"{masks} {in_bytes(size)}"


def _sizes(folder: Path) -> dict[Path, tuple[float, int]]:
    """When each draft was changed, and how large it is."""
    found = {}
    for path in folder.glob(f"*{DRAFT}"):
        with contextlib.suppress(OSError):  # another window has just removed it
            about = path.stat()
            found[path] = (about.st_mtime, about.st_size)
    return found


def _counted(folder: Path) -> tuple[int, int]:
    sizes = _sizes(folder)
    return len(sizes), sum(size for _, size in sizes.values())


def _listed(folder: Path, images: Sequence[Any]) -> list[DraftFile]:
    sizes = _sizes(folder)
    known = [
        (image.name, mask_shape(image), functools.cache(functools.partial(identity_of, image))) for image in images
    ]
    listed = []
    for path, (changed, size) in sorted(sizes.items(), key=lambda item: item[1], reverse=True):
        own = (name for name, shape, identity in known if kinship_of(path, shape, identity) is Kinship.OWN)
        listed.append(DraftFile(path, changed, size, shape_of(path), next(own, ""), is_held(path)))
    return listed


def _removed(paths: Sequence[Path]) -> str:
    """Remove them; what went wrong, in words."""
    problems = set()
    for path in paths:
        try:
            remove(path)
        except MedSegError as error:
            problems.add(str(error))
    return " ".join(sorted(problems))
