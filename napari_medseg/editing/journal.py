"""The thread that has every change on the disk within a second, while the window does something else."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Hashable

from filelock import Timeout

from .draft import Draft

_log = logging.getLogger(__name__)

BATCH = 0.2
"""Seconds for which changes are collected at most before they are forced to the disk together."""

AGAIN = 5.0
"""Seconds after which a disk that was full or away is tried again."""

UNSAFE = (
    "What you do now would not survive a crash, because it cannot be kept on the disk: {reason} "
    "You can go on working; it is tried again by itself."
)

UNREADABLE = "it or its image cannot be read any more. Accepting a mask keeps it."


def _nothing() -> None:
    """What is done by default if a mask is not followed any more."""


class Journal:
    """Writes drafts. Every method but `wait` and `close` returns at once; the work is done in order, in one thread.

    Args:
        report: called from that thread with a sentence if the disk cannot be written, with "" once it can be again.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._drafts: dict[Hashable, Draft] = {}
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._in_work: Draft | None = None
        self._given_up: set[Hashable] = set()
        self._failing = self._closed = False
        self._thread = threading.Thread(target=self._run, name="medseg journal", daemon=True)
        self._thread.start()

    @property
    def failing(self) -> bool:
        """Whether what is done now would not survive a crash."""
        return self._failing

    def begin(self, key: Hashable, make: Callable[[], Draft]) -> None:
        """Follow a mask from now on; `make` is called in the thread, and may take its time."""

        def do() -> None:
            try:
                self._drafts[key] = make()
            except Exception:  # a lazy image fails in any way that its source can
                self._give_up(key)

        self._tasks.put(do)

    def tell(self, key: Hashable, call: Callable[[Draft], None], lost: Callable[[], object] = _nothing) -> None:
        """Call `call`, in the thread, with the draft of a mask.

        Args:
            key: the mask.
            call: may take its time.
            lost: called in the thread instead, if the mask is not followed any more, or from now on.
        """

        def do() -> None:
            draft = self._drafts.get(key)
            if draft is None:
                lost()
                return
            try:
                if self._in_work is not draft and self._in_work is not None:
                    self._in_work.rest()
                self._in_work = draft
                call(draft)
            except OSError as error:
                _log.warning("a draft cannot be removed or moved now", exc_info=error)
                lost()
            except Exception:
                self._give_up(key)
                lost()

        self._tasks.put(do)

    def end(self, key: Hashable) -> None:
        """Follow a mask no more, and have no draft of it."""
        self._tasks.put(lambda: self._end(key))

    def leave(self, key: Hashable, then: Callable[[], object]) -> None:
        """Follow a mask no more, and leave its draft to whoever goes on with it; `then` is called in the thread."""

        def do() -> None:
            draft = self._drafts.pop(key, None)
            if draft is not None:
                self._in_work = None if self._in_work is draft else self._in_work
                try:
                    draft.flush()
                finally:
                    draft.close()
            then()

        self._tasks.put(do)

    def wait(self, seconds: float = 30) -> bool:
        """Wait until all that was asked for so far is on the disk; whether it is."""
        done = threading.Event()

        def do() -> None:
            self._flush()
            done.set()

        self._tasks.put(do)
        return done.wait(seconds) and not self._failing

    def close(self, keep: Collection[Hashable]) -> None:
        """Write everything to the end; only the drafts of `keep` that are needed stay on the disk."""

        def do() -> None:
            for key, draft in list(self._drafts.items()):
                if key not in keep or not draft.needed:
                    self._end(key)

        if not self._closed:
            self._closed = True
            self._tasks.put(do)
            self._tasks.put(None)
            self._thread.join()

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            goes_on = self._do_batch()
            self._flush()
        for draft in self._drafts.values():
            draft.close()

    def _do_batch(self) -> bool:
        """Do what was asked for; False if that was to end.

        A function of its own, so that no task, and with it a mask that is gone, is held while there is nothing to do.
        """
        try:
            task = self._tasks.get(timeout=AGAIN if self._failing else None)
            since = time.monotonic()
            while task is not None:
                self._do(task)
                if time.monotonic() - since > BATCH:
                    return True
                task = self._tasks.get_nowait()
        except queue.Empty:
            return True
        return False

    def _do(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:  # the thread has to live on for the other masks
            _log.exception("the journal")

    def _flush(self) -> None:
        reason = UNREADABLE if self._given_up else ""
        for draft in self._drafts.values():
            try:
                draft.flush()
            except (OSError, Timeout) as error:
                _log.warning("a draft cannot be written", exc_info=error)
                reason = str(error)
            except Exception as error:
                _log.exception("a draft cannot be written")
                reason = str(error)
        self._say(reason)

    def _say(self, reason: str) -> None:
        """Once when it begins, once when it ends."""
        if bool(reason) != self._failing:
            self._failing = bool(reason)
            self._report(UNSAFE.format(reason=reason) if reason else "")

    def _give_up(self, key: Hashable) -> None:
        """Follow a mask no more, as something is wrong with it; the others go on."""
        _log.exception("a mask cannot be followed")
        draft = self._drafts.pop(key, None)
        if draft is not None:
            self._in_work = None if self._in_work is draft else self._in_work
            draft.close()
        self._given_up.add(key)

    def _end(self, key: Hashable) -> None:
        self._given_up.discard(key)
        draft = self._drafts.pop(key, None)
        if draft is not None:
            if self._in_work is draft:
                self._in_work = None
            draft.remove()
            draft.close()
