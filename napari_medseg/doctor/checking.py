"""Running a check: however it ends, the next one begins."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator

from .finding import Finding, wrong

Check = Callable[[], Iterator[Finding]]

_log = logging.getLogger(__name__)


def findings_of(title: str, check: Check, seconds: float) -> Iterator[Finding]:
    """What a check finds; the last finding says so if it fails, or if nothing comes of it for too long.

    Args:
        title: how the check is called in a sentence, e.g. "The graphics".
        check: runs in a thread of its own, which is left behind if it hangs (a disk of the network that is away).
        seconds: that each finding may take.
    """
    found: queue.SimpleQueue[Finding | Exception | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            for finding in check():
                found.put(finding)
            found.put(None)
        except Exception as error:
            _log.exception("the check of %s failed", title)
            found.put(error)

    threading.Thread(target=run, name=f"medseg doctor: {title}", daemon=True).start()
    while True:
        try:
            finding = found.get(timeout=seconds)
        except queue.Empty:
            yield wrong(
                f"{title}: not known, since looking at it did not end within {seconds:g} seconds.",
                "Try again when the computer has less to do, or give it more time with --patience. If a folder is on a "
                "disk of the network, see whether that is connected.",
            )
            return
        if finding is None:
            return
        if isinstance(finding, Exception):
            yield wrong(
                f"{title}: not known, since looking at it failed ({type(finding).__name__}).",
                "Please report this with what `medseg doctor --json` says; the details are in the log of commands.",
                names={"error": str(finding)},
            )
            return
        yield finding
