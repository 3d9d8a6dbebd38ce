"""The file of one mask that was not accepted yet: its pixels at some time, and each change since."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from napari_medseg.models.prompts import Prompts

from .boxes import Array
from .content import Content, Effort
from .history import History, Step
from .holding import hold, let_go, lock_of
from .journal_file import JournalFile, framed
from .packing import Packed, compared
from .records import FORMAT, effort_record, packed, prompts_record, step_record

_GROWTH = 2**25
"""Bytes that a file may grow by, beyond twice its size, before it is written anew."""


class Draft:
    """The file of one mask, and what it says; for one thread. Nothing is written before `flush`.

    Args:
        path: of the file; written only once there is a change.
        content: as it is now.
        lock: of the file, if it is held already.
    """

    def __init__(self, path: Path, content: Content, lock: FileLock | None = None) -> None:
        self.content = content
        self._file, self._lock = JournalFile(path), lock or lock_of(path)
        self._whole = 0  # bytes of the file when it was last written as a whole; 0: it has to be
        self._unwritten: list[bytes] = []  # records that the file does not have yet
        self._since: list[tuple[Step, bool]] = []  # what `pixels` do not have yet: steps, and whether taken back
        self._said_since: list[bytes] = []  # the records of that
        self._before = self._past()
        self._elsewhere = b""  # digest of the pixels that need not be kept here
        self.dirty = False

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._file.path

    def step(self, step: Step, effort: Effort, *, kept: Sequence[Step]) -> None:
        """Something was done.

        Args:
            step: it.
            effort: so far.
            kept: all steps that can be undone now; the last one is `step`, or what it became one with.
        """
        joined = kept[-1] is not step
        self.content.history = History(kept)
        self._did(step, back=False)
        self._note({"kind": "joined" if joined else "step", **step_record(step)}, effort)

    def travel(self, effort: Effort, *, back: bool) -> None:
        """The last step was undone, or the last undone one was done again."""
        self._did(self.content.history.travel(back=back), back=back)
        self._note({"kind": "undo" if back else "redo"}, effort)

    def replaced(self, pixels: Array, step: Step, effort: Effort, *, kept: Sequence[Step]) -> None:
        """Somebody gave the mask other pixels, of the same shape; tells the step what that changed."""
        self._catch_up()
        step.difference.fill(compared(self.content.pixels.array(), pixels))
        self.step(step, effort, kept=kept)

    def compared_with(self, pixels: Array) -> list[Packed]:
        """What is different in other pixels of the same shape from those of the mask."""
        self._catch_up()
        return compared(self.content.pixels.array(), pixels)

    def spent(self, effort: Effort) -> None:
        """Nothing was changed, but the effort is counted anew."""
        self._note({"kind": "spent"}, effort)

    def flush(self) -> None:
        """Have all of it on the disk.

        Raises:
            WriteError: that failed; everything is in memory still, and the next call tries again.
            Timeout: another window has the file.
        """
        if not self.dirty:
            return
        try:
            hold(self._lock)
            if self._whole and self.path.exists() and self._file.size < 3 * self._whole + _GROWTH:
                self._file.append(b"".join(self._unwritten))
            else:
                self._file.rewrite(self._as_a_whole())
                self._whole = self._file.size
            self.dirty = False
        except BaseException:
            self._whole = 0  # the file may end in the middle of a record
            raise
        finally:
            self._unwritten.clear()
            self._catch_up()

    def rest(self) -> None:
        """Another mask is worked on now: hold no more memory than needed."""
        self._catch_up()
        self.content.pixels.rest()

    def accepted(self) -> None:
        """The mask is kept elsewhere as it is; see `remove`."""
        self._catch_up()
        self._elsewhere = self._digest()
        self.remove()

    @property
    def needed(self) -> bool:
        """Whether it has anything that is not kept elsewhere: other pixels, or steps that can be done again."""
        self._catch_up()
        return bool(self.content.history.undone) or self._elsewhere != self._digest()

    def remove(self) -> None:
        """Have no file any more; the next change makes one again.

        Raises:
            WriteError: no permission, ...
        """
        self._unwritten.clear()
        self.dirty, self._whole = False, 0
        self._file.remove()

    def move(self, path: Path) -> None:
        """Be kept in another file.

        Raises:
            WriteError, Timeout: it cannot be; the old file is as it was.
        """
        old, lock = self._file, self._lock
        self.dirty, self._whole = self.dirty or self._whole > 0 or old.path.exists(), 0
        self._file, self._lock = JournalFile(path), lock_of(path)
        try:
            self.flush()
        except BaseException:
            self._file, self._lock = old, lock  # whose next flush writes all of it anew
            raise
        old.remove()
        let_go(lock, old.path)

    def close(self) -> None:
        """Let go of the file, so that another window may go on with it."""
        self._file.close()
        let_go(self._lock, self.path)

    def _digest(self) -> bytes:
        pixels = self.content.pixels
        return hashlib.blake2b(pixels.array().data, key=pixels.dtype.str.encode()).digest()

    def _did(self, step: Step, *, back: bool) -> None:
        self._since.append((step, back))
        self.content.follow(step, back=back)

    def _note(self, record: dict[str, Any], effort: Effort) -> None:
        self.content.effort = effort
        said = framed(packed({**record, "effort": effort_record(effort)}))
        self._unwritten.append(said)
        self._said_since.append(said)
        self.dirty = True

    def _catch_up(self) -> None:
        """Bring `pixels` up to date, which is done after the disk has the change: that is more urgent."""
        for step, back in self._since:
            self.content.write(step, back=back)
        self._since.clear()
        self._said_since.clear()
        for step in self.content.history.done:  # also those that became one with others
            step.difference.pack()
        self._before = self._past()

    def _past(self) -> tuple[tuple[Step, ...], tuple[Step, ...], Prompts, Effort]:
        content = self.content
        return tuple(content.history.done), tuple(content.history.undone), content.prompts, content.effort

    def _as_a_whole(self) -> bytes:
        """`pixels`, which may be older, how they came about, and what was done since."""
        content = self.content
        pixels, predicted = content.pixels, content.predicted
        done, undone, prompts, effort = self._before
        salt = secrets.token_bytes(16)
        head = {
            "kind": "draft",
            "format": FORMAT,
            "salt": salt,
            **content.image.sealed(salt),
            "shape": pixels.shape,
            "dtype": pixels.dtype.str,
            "model": content.model,
            "predicted": None if predicted is None else predicted.dtype.str,
        }
        records: list[dict[str, Any]] = [head, {"kind": "pixels", "slabs": pixels.slabs()}]
        if predicted is not None:
            records.append({"kind": "predicted", "slabs": predicted.slabs()})
        records += [{"kind": "done", **step_record(step)} for step in done]
        records += [{"kind": "undone", **step_record(step)} for step in undone]
        records.append({"kind": "now", "prompts": prompts_record(prompts), "effort": effort_record(effort)})
        return b"".join([*(framed(packed(record)) for record in records), *self._said_since])
