"""Processes that stop themselves at a known place, so that no test has to be quicker than they are.

One that stopped does nothing until it is told to go on (SIGCONT); it can be killed, and what else it is sent waits.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import psutil

WAIT = 600
"""Seconds; far more than anything here takes, since a loaded machine is no failure."""

AT_ONCE = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)\n"
"""The first line of a program that stops before it does anything."""

HOLDING = """
def hold_before_file(ending, nth):
    import os, signal, sys
    names = []
    def look(event, arguments):
        if event == "os.rename" and os.fspath(arguments[1]).endswith(ending):
            names.append(arguments[1])
            if len(names) == nth:
                os.kill(os.getpid(), signal.SIGSTOP)
    sys.addaudithook(look)

def hold_at_report(least):
    import os, signal, time
    from napari_medseg.models.engine import task
    tell, held = task._Progress.__call__, []
    def told(reporter, progress):
        tell(reporter, progress)
        if not held and isinstance(progress, float) and progress >= least:
            held.append(progress)
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(2 * task.POLL)  # so that the next look at whether it was cancelled is not put off
    task._Progress.__call__ = told
"""


def held_before_file(ending: str, nth: int) -> str:
    """The beginning of a program that stops when it is about to put the n-th file of such an ending in its place."""
    return f"{HOLDING}\nhold_before_file({ending!r}, {nth})\n"


def hold_worker(engine: Any, role: str, place: str, *arguments: object) -> psutil.Process:
    """Have the engine's worker stop itself once, at a place that `HOLDING` knows; its process.

    Args:
        engine: a connection to it.
        role: of the worker, "predictor" or "trainer".
        place: "hold_before_file" with an ending and a number, or "hold_at_report" with a share that is done.
        *arguments: of the place.
    """

    def hold(program: str, place: str, arguments: tuple[Any, ...]) -> int:
        import os

        names: dict[str, Any] = {}
        exec(program, names)
        names[place](*arguments)
        return os.getpid()

    def pid() -> Any:
        with contextlib.suppress(OSError, KeyError, ValueError):  # one that was just killed
            address = engine._client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.aliases.get(role))
            return address and engine._client.run(hold, HOLDING, place, arguments, workers=[address])[address]

    return psutil.Process(_until(pid))


def has_stopped(process: psutil.Process) -> bool:
    """Whether it has come to the place where it stops; fails if it ended before."""
    status = process.status()
    assert status not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD), "it ended before"
    return bool(status == psutil.STATUS_STOPPED)


def wait_until_stopped(process: psutil.Process) -> None:
    """Wait for that."""
    _until(lambda: has_stopped(process))


def _until(found: Callable[[], Any]) -> Any:
    """What `found` finds, as soon as it finds something."""
    deadline = time.monotonic() + WAIT
    while not (answer := found()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return answer
