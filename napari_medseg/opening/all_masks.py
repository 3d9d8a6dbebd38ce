"""`medseg segment` on a folder, beside the window: what is done stays done, whatever happens to either."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_medseg.models.errors import EngineError

LOOK = 0.5
"""Seconds between two looks at how many masks there are."""

PATIENCE = 4.0
"""Seconds until a command that was asked to stop is told to, and as many until it is ended whatever it does."""

_COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); sys.argv[0] = 'medseg'; "
    "from napari_medseg.cli import main; main()"
)
"""A window that a shell started in its background ignores Ctrl-C, and so would what it starts."""


@dataclass(frozen=True)
class Done:
    """What a run came to.

    Attributes:
        written: masks that were made.
        skipped: masks that were there.
        kept: masks that stay although another model was picked: corrected, or not made by the command.
        failed: for each image that has none, the reason.
    """

    written: int
    skipped: int
    kept: int
    failed: dict[Path, str]


class AllMasks:
    """One run of the command.

    Args:
        arguments: gives those of `medseg segment`, without --json; called when it runs.

    Attributes:
        killed: whether it had to be ended, and may have left half of a file.
    """

    def __init__(self, arguments: Callable[[], Sequence[str]]) -> None:
        self._arguments = arguments
        self._cancelled = threading.Event()
        self._asked: float | None = None  # when it was asked to stop
        self._insisting: list[tuple[float, Callable[[subprocess.Popen[str]], None]]] = [
            (0.0, _interrupt),
            (PATIENCE, lambda process: process.terminate()),
            (2 * PATIENCE, lambda process: process.kill()),
        ]
        self.killed = False

    def run(self, look: Callable[[], None]) -> Done | None:
        """Run it to its end; for a thread. `look` is called now and then, and must not take long.

        Returns:
            What it says that it did; None if it was cancelled before it could say so.

        Raises:
            EngineError: it ended without a word.
        """
        process = subprocess.Popen(  # noqa: S603  our own command, without a shell
            [sys.executable, "-c", _COMMAND, "segment", *self._arguments(), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, err = process.communicate(timeout=LOOK)
                break
            if self._cancelled.is_set():
                self._stop(process)
            look()
        return self._outcome(out, err)

    def cancel(self) -> None:
        """Stop; masks that are written stay, and the next run goes on from there."""
        self._cancelled.set()

    def _stop(self, process: subprocess.Popen[str]) -> None:
        """Ask it to stop; tell it, if it has not by then; and end it, if it does not listen at all."""
        now = time.monotonic()
        self._asked = now if self._asked is None else self._asked
        while self._insisting and now >= self._asked + self._insisting[0][0]:
            after, stop = self._insisting.pop(0)
            self.killed = after > 0
            stop(process)

    def _outcome(self, out: str, err: str) -> Done | None:
        try:
            said = json.loads(out.strip().splitlines()[-1])
            failed = {Path(entry["image"]): str(entry["reason"]) for entry in said.get("failed", ())}
            written, skipped, kept = (len(said[name]) for name in ("written", "skipped", "kept"))
            return Done(written, skipped, kept, failed)
        except (IndexError, ValueError, KeyError, TypeError) as error:
            if self._cancelled.is_set():
                return None
            last = err.strip().splitlines()[-1:] or ["it ended without a word"]
            raise EngineError(f"The folder could not be segmented: {last[0]}") from error


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C, upon which it has the engine stop, too; Windows knows none for another process."""
    if os.name == "nt":
        process.terminate()
    else:
        process.send_signal(signal.SIGINT)


def time_left(begun: float, share_before: float, share: float) -> str:
    """How long the rest takes if it goes on like this: "about 3 min left"; "" while nobody can tell.

    Args:
        begun: when it began, on the clock `time.monotonic`.
        share_before: that was done then.
        share: that is done now.
    """
    done = share - share_before
    if done <= 0:
        return ""
    seconds = (time.monotonic() - begun) / done * (1 - share)
    return f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"
