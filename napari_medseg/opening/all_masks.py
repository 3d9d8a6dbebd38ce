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


@dataclass(frozen=True)
class Done:
    """What a run came to.

    Attributes:
        written: masks that were made.
        skipped: masks that were there.
        kept: masks that stay although another model was picked: corrected, or not made by the command.
        failed: for each image that has none, the reason.
        cancelled: whether it was stopped before its end.
    """

    written: int
    skipped: int
    kept: int
    failed: dict[Path, str]
    cancelled: bool = False


class AllMasks:
    """One run of the command.

    Args:
        arguments: gives those of `medseg segment`, without --json; called when it runs.
    """

    def __init__(self, arguments: Callable[[], Sequence[str]]) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = threading.Event()

    def run(self, look: Callable[[], None]) -> Done:
        """Run it to its end; for a thread. `look` is called now and then.

        Raises:
            EngineError: it ended without a word.
        """
        self._process = subprocess.Popen(  # noqa: S603  our own command, without a shell
            [sys.executable, "-m", "napari_medseg.cli", "segment", *self._arguments(), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        asked = False
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, err = self._process.communicate(timeout=LOOK)
                break
            if self._cancelled.is_set() and not asked:
                asked = True
                self._stop()
            look()
        return self._outcome(out, err)

    def cancel(self) -> None:
        """Stop; masks that are written stay, and the next run goes on from there."""
        self._cancelled.set()

    def _stop(self) -> None:
        assert self._process is not None
        if os.name == "nt":
            self._process.terminate()
        else:
            self._process.send_signal(signal.SIGINT)

    def _outcome(self, out: str, err: str) -> Done:
        try:
            said = json.loads(out.strip().splitlines()[-1])
            failed = {Path(entry["image"]): str(entry["reason"]) for entry in said.get("failed", ())}
            written, skipped, kept = (len(said[name]) for name in ("written", "skipped", "kept"))
            return Done(written, skipped, kept, failed, self._cancelled.is_set())
        except (IndexError, ValueError, KeyError, TypeError) as error:
            if self._cancelled.is_set():
                return Done(0, 0, 0, {}, cancelled=True)
            last = err.strip().splitlines()[-1:] or ["it ended without a word"]
            raise EngineError(f"The folder could not be segmented: {last[0]}") from error


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
