"""Whether the engine, in whose processes the networks run, starts and answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from napari_medseg.models.engine.address import read_address, runtime_folder
from napari_medseg.models.engine.client import Engine
from napari_medseg.models.engine.start import engine_log, process_of, reach, reach_or_start
from napari_medseg.models.errors import MedSegError
from napari_medseg.models.log_text import without_folders

from .finding import Finding, fine, note, wrong

_REMEDY = (
    "Close all MedSeg windows, wait a minute and try again. If it stays so, restart the computer, and look into the "
    "engine's log (--verbose shows where)."
)


def engine(seconds: float) -> Iterator[Finding]:
    """Whether it answers, and what it computes on; it is started if none runs, and ends by itself when idle.

    One that runs but does not answer is left alone: it may be in the middle of a job.

    Args:
        seconds: to wait for it.
    """
    names = {"log": str(engine_log())}
    begun = time.monotonic()
    connection: Engine | None = None
    try:
        folder = runtime_folder().absolute()
        running = _running(folder)
        connection = _connected(folder, running, seconds)
        took = time.monotonic() - begun
        computes_on = connection.describe()
    except Timeout:
        yield wrong(
            "The engine cannot be reached: another program has been starting it for a while.", _REMEDY, names=names
        )
        return
    except MedSegError as error:
        yield wrong(
            "The engine, which runs the networks, does not work.",
            _REMEDY,
            details={"said": without_folders(str(error))},
            names=names | {"the log's end": _end_of(engine_log())},
        )
        return
    finally:
        if connection:
            connection.close()
    ready = time.monotonic() - begun
    details = {"answered after": f"{took:.1f} s", "ready to compute after": f"{ready:.1f} s"}
    if running and (other := _other_python(running)):
        yield note(
            "The engine that runs was started by another installation of MedSeg, and does what that one can.",
            "Close all MedSeg windows and wait a minute; then this installation starts its own.",
            details=details,
            names=names | {"its Python": other},
        )
        return
    how = f"ran already and answered after {took:.1f} s" if running else f"started in {took:.1f} s"
    yield fine(f"The engine {how}. It computes on: {computes_on}.", details=details, names=names)


def _running(folder: Path) -> psutil.Process | None:
    found = read_address(folder)
    return process_of(found, folder) if found else None


def _connected(folder: Path, running: psutil.Process | None, seconds: float) -> Engine:
    """A connection, without the force that `Engine.connect` would use on an engine that does not answer."""
    found = read_address(folder)
    if running and found:
        return Engine(reach(found.address, found.security(), seconds / 2))
    with FileLock(folder / "engine.lock", timeout=seconds / 2):
        return Engine(reach_or_start(folder))


def _other_python(running: psutil.Process) -> str:
    """The Python that an engine runs on, unless it is this one."""
    try:
        its: Any = running.cmdline()[0]
    except (psutil.Error, IndexError):
        return ""
    return "" if Path(its).absolute() == Path(sys.executable).absolute() else str(its)


def _end_of(log: Path, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
