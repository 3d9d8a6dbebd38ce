"""Finding this user's engine, starting it, and replacing it when it answers no more. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import platformdirs
import psutil

from ..errors import EngineError
from .address import EngineAddress, read_address

START = 60.0
"""Seconds that an engine may take to answer; it takes milliseconds on an idle machine."""

PATIENCE = 300.0
"""Seconds that an engine which lives may take to start: two on an idle machine, minutes on one with a full memory."""

END = 10.0
"""Seconds that an engine which does not answer has for ending by itself."""

LOG_SIZE = 5_000_000
"""Bytes; a larger log is put aside when an engine starts."""


def reach_or_start(folder: Path) -> Any:
    """A client of the engine of this runtime folder. Only who holds the folder's lock may call this.

    An engine that lives but is slow is waited for: a second one beside it would know nothing of its jobs.

    Raises:
        EngineError: it cannot be started.
    """
    found = read_address(folder)
    if found:
        deadline = time.monotonic() + START
        while (process := process_of(found, folder)) and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(EngineError):  # in parts, since it may die meanwhile
                return reach(found.address, found.security(), min(left, START / 3))
        if process:
            _end(process)
    (folder / "engine.json").unlink(missing_ok=True)
    started = _start(folder)
    return reach(started.address, started.security(), START)


def reach(address: str, security: Any, timeout: float) -> Any:
    """A client of the scheduler at `address`.

    Raises:
        EngineError: no answer within `timeout` seconds.
    """
    from distributed import Client

    class Connection(Client):
        def start(self, **options: Any) -> None:
            try:
                super().start(**options)
            except BaseException:
                self._loop_runner.stop()  # or dask would leave its thread and its sockets
                raise

        def __del__(self) -> None:
            """Nothing, where dask's closes what was forgotten.

            The garbage collector comes by while another client starts, whose lock that would wait for, for ever.
            """

    deadline = time.monotonic() + timeout
    while True:
        try:
            return Connection(address, security=security, timeout=timeout, set_as_default=False, name="medseg")
        except AssertionError:  # dask gives its own thread ten seconds to begin, fewer than a very busy machine takes
            if time.monotonic() > deadline:
                raise EngineError("This machine is too busy to connect to the engine. Try again in a minute.") from None
        except (OSError, TimeoutError) as error:
            raise EngineError(
                f"The engine at {address} does not answer. Is it running, and is the address right?"
            ) from error


def process_of(found: EngineAddress, folder: Path) -> psutil.Process | None:
    """The engine that wrote an address, if it lives; its number may have been given to another process since."""
    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(found.pid)
        written = (folder / "engine.json").stat().st_mtime
        if "napari_medseg.models.engine" in process.cmdline() and process.create_time() < written + 1:
            return process
    return None


def engine_log() -> Path:
    """Where the engine writes what happened."""
    return platformdirs.user_log_path("napari-medseg", ensure_exists=True) / "engine.log"


def _end(engine: psutil.Process) -> None:
    """Have an engine and its workers end, with force if need be."""
    with contextlib.suppress(psutil.NoSuchProcess):
        processes = [engine, *engine.children(recursive=True)]
        for stop in (psutil.Process.terminate, psutil.Process.kill):
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    stop(process)
            _, processes = psutil.wait_procs(processes, END)


def _start(folder: Path) -> EngineAddress:
    """Start an engine that lives on its own and wait until it can be reached."""
    token = secrets.token_hex(16)
    with _log_for_writing().open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "napari_medseg.models.engine"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=os.name != "nt",
            creationflags=_flag("DETACHED_PROCESS") | _flag("CREATE_NEW_PROCESS_GROUP"),
            cwd=folder,  # not the caller's: it would be held busy, and Python would import from it
            env=os.environ | {"MEDSEG_RUNTIME": str(folder), "MEDSEG_TOKEN": token},
        )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        address = read_address(folder)
        if address and address.token == token:
            return address
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise EngineError(f"The engine could not be started. Its log says why: {engine_log()}")


def _flag(name: str) -> int:
    """A flag of Windows; 0 elsewhere."""
    return int(getattr(subprocess, name, 0))


def _log_for_writing() -> Path:
    """The engine's log, begun anew if it has grown large; the old one is kept until the next time."""
    log = engine_log()
    with contextlib.suppress(OSError):  # there is none, or another engine writes it
        if log.stat().st_size > LOG_SIZE:
            log.replace(log.with_name("engine.log.1"))
    return log
