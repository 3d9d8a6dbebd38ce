"""All images of the queue segmented beside the window, and the list of them kept up with the masks that come."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..background import Background
from ..state import PanelState
from .all_masks import AllMasks, Done, time_left
from .queued import QueuedImage, masks_of, masks_there

_HALF_WRITTEN = re.compile(r".+\.[0-9a-f]{8}\.partial")
"""Names of what `models.durable` writes until it is whole. What was streamed so far has another one, and goes on."""

Queue = tuple[QueuedImage, ...]
Identities = dict[str, tuple[int, int, int]]


class SegmentingAll:
    """One run of the command at a time.

    Args:
        state: `queue` says what is segmented, `queue_share` and `queue_about` how far it is.
        background: where masks are looked for and the end is awaited.
        writing: held by whoever else in this window writes into the folder of the masks.
    """

    def __init__(self, state: PanelState, background: Background, writing: threading.Lock) -> None:
        self._state, self._background, self._writing = state, background, writing
        self._run: AllMasks | None = None
        self._folder: Path | None = None
        self._begun = self._before = 0.0
        self._looking = False

    @property
    def running(self) -> bool:
        """Whether a folder is being segmented."""
        return self._run is not None

    def start(self, folder: Path, arguments: Callable[[], list[str]]) -> None:
        """Segment the images of a folder, which are those of the queue; `arguments` are the command's."""
        run, queue, masks = AllMasks(arguments), self._state.queue, masks_of(folder)
        self._run, self._folder = run, folder
        self._begun, self._before = time.monotonic(), _share(queue)
        self._state.queue_share = self._before
        look = partial(self._background.post, self._look)

        def work() -> _End:
            before = _identities(masks)
            done = run.run(look)
            if run.killed:
                with self._writing:
                    _remove_half_written(masks, before)
            after = _identities(masks)
            written = frozenset(name for name, identity in after.items() if before.get(name) != identity)
            return _End(done, masks_there(queue), written, frozenset(before))

        self._background.run(work, self._ended, self._failed)

    def cancel(self) -> None:
        """Stop; masks that are written stay."""
        if self._run is not None:
            self._run.cancel()

    def describe(self, folder: Path | None = None, left: str = "") -> None:
        """Say how many images of the folder have a mask, and how long the rest takes."""
        self._folder = folder or self._folder
        queue = self._state.queue
        said = f"{sum(queued.done for queued in queue)} of {len(queue)} images have a mask"
        masks = f" in '{masks_of(self._folder).name}'" if self._folder is not None else ""
        self._state.queue_about = f"{said}{masks}{f', {left}' if left else ''}."

    def _look(self) -> None:
        """Look for the masks that were missing; not again before that has an answer, as a drive may be slow."""
        if self._looking or self._run is None:
            return
        self._looking = True
        missing = tuple(queued for queued in self._state.queue if not queued.done)
        self._background.run(lambda: masks_there(missing), self._looked, lambda _: self._looked({}))

    def _looked(self, there: dict[Path, Path]) -> None:
        self._looking = False
        if self._run is None:
            return
        if there:
            self._state.queue = tuple(
                replace(queued, mask=there[queued.path], done=True, problem="") if queued.path in there else queued
                for queued in self._state.queue
            )
        share = self._state.queue_share = _share(self._state.queue)
        self.describe(left=time_left(self._begun, self._before, share))

    def _ended(self, end: _End) -> None:
        self._run, self._state.queue_share = None, None
        self._state.queue = tuple(end.of(queued) for queued in self._state.queue)
        self._state.notice = end.in_words(self._state.queue)
        self.describe()

    def _failed(self, reason: str) -> None:
        self._run, self._state.queue_share, self._state.problem = None, None, reason
        self.describe()


@dataclass(frozen=True)
class _End:
    """How a run ended.

    Attributes:
        done: what the command said that it did; None if it was stopped before.
        there: the masks of the images that have one.
        written: names of masks that are new or not as they were.
        before: names of masks that were there when it began.
    """

    done: Done | None
    there: dict[Path, Path]
    written: frozenset[str]
    before: frozenset[str]

    def of(self, queued: QueuedImage) -> QueuedImage:
        """An image of the queue, as it is now."""
        mask = self.there.get(queued.path)
        problem = self.done.failed.get(queued.path, "") if self.done else "" if mask else queued.problem
        return replace(queued, mask=mask or queued.mask, done=mask is not None, problem=problem)

    def in_words(self, queue: Queue) -> str:
        """What to tell the user. Of a command that was stopped, what lies on the disk tells what it did."""
        done = self.done
        if done is None:
            ours = [
                queued.mask.name in self.written and not (queued.corrected and queued.mask.name in self.before)
                for queued in queue
                if queued.done
            ]
            return f"Cancelled. {sum(ours)} masks written, {len(ours) - sum(ours)} were there."
        bad = f"; {len(done.failed)} could not be segmented, see the list" if done.failed else ""
        kept = f", {done.kept} stay as they are: corrected, or not made here" if done.kept else ""
        return f"{done.written} masks written, {done.skipped} were there{kept}{bad}."


def _share(queue: Queue) -> float:
    return sum(queued.done for queued in queue) / max(1, len(queue))


def _identities(folder: Path) -> Identities:
    """What tells each file and folder in a folder from another one of its name; {} without the folder."""
    found: Identities = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # gone since
                status = entry.stat(follow_symlinks=False)
                found[entry.name] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def _remove_half_written(folder: Path, before: Identities) -> None:
    """What a command that was ended in the middle of a file has left of it."""
    for name in _identities(folder).keys() - before.keys():
        if _HALF_WRITTEN.fullmatch(name):
            path = folder / name
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
