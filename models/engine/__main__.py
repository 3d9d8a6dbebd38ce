"""The engine's own process: a scheduler and two workers, the predictor and the trainer.

It belongs to no window: closing or killing one does not end a job. It ends by itself when no window or command is
connected and no job is left, and takes its workers along; a worker that dies is started again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
from distributed import Nanny, Scheduler
from distributed.deploy.spec import SpecCluster
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.security import Security
from filelock import FileLock, Timeout

from ..log_text import WithoutFolders
from .address import EngineAddress, forget_address, runtime_folder, write_address

log = logging.getLogger(__name__)

WORKERS = ("predictor", "trainer")


SETTINGS = {
    # A worker that dies three times over one task is killed by it: the task fails instead of going round for ever.
    "distributed.scheduler.allowed-failures": 2,
    # One that died is always started again. Dask gives it up for good if it is away 15 s after it was lost, as it may
    # be on a busy machine, or if it was just lost once more.
    "distributed.deploy.lost-worker-timeout": "8760h",
    "distributed.admin.tick.limit": "1h",
}
"""Of dask, for this process."""


async def serve(folder: Path, idle: float) -> None:
    """Run until nobody has needed the engine for `idle` seconds, or until SIGTERM."""
    security = Security.temporary()
    with dask.config.set(SETTINGS):
        async with SpecCluster(
            scheduler={
                "cls": Scheduler,
                "options": {
                    "host": "127.0.0.1",
                    "port": 0,
                    "security": security,
                    "dashboard": False,
                    "protocol": "tls://",
                },
            },
            workers={name: _worker(name, folder, security) for name in WORKERS},
            asynchronous=True,
            security=security,
        ) as cluster:
            address = cluster.scheduler_address
            token = os.environ.get("MEDSEG_TOKEN", "")
            mine = EngineAddress(address, os.getpid(), security.tls_ca_file, security.tls_client_key, token)
            write_address(mine, folder)
            log.info("ready at %s", address)
            await _until_idle(cluster.scheduler, idle, folder)
    log.info("ended")


def _worker(name: str, folder: Path, security: Security) -> dict[str, Any]:
    """One process for one job at a time, restarted if it dies; torch wants all the memory it can get."""
    options = {
        "nthreads": 1,
        "resources": {name: 1},
        "memory_limit": 0,
        "local_directory": str(folder),
        "preload": ["napari_medseg.models.engine.worker"],
        "security": security,
        "dashboard": False,
        "protocol": "tls://",
        "host": "127.0.0.1",
    }
    return {"cls": Nanny, "options": options}


class _Visits(SchedulerPlugin):
    """When the last window or command came or went; many stay for less than the time between two looks."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def add_client(self, scheduler: Scheduler, client: str) -> None:
        self.last = time.monotonic()

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        self.last = time.monotonic()


async def _until_idle(scheduler: Scheduler, idle: float, folder: Path) -> None:
    """Return when nobody has needed the engine for `idle` seconds, or was told to end; nobody can find it then."""
    stop = asyncio.Event()
    _on_signal(stop.set)
    visits = _Visits()
    scheduler.add_plugin(visits)
    while not stop.is_set():
        if _connected(scheduler) or _busy(scheduler):
            visits.last = time.monotonic()
        if time.monotonic() - visits.last >= idle:
            # Clients connect under this lock: one that has it is seen, one that waits for it finds no address.
            with contextlib.suppress(Timeout), FileLock(folder / "engine.lock", timeout=0):
                forget_address(folder)
                return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), min(1.0, idle / 4))
    forget_address(folder)


def _on_signal(stop: Callable[[], None]) -> None:
    """Have `stop` called in the running loop at SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # on Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


def _connected(scheduler: Scheduler) -> bool:
    """Whether a window or a command is connected; the workers' own clients do not count."""
    return any(not name.startswith(("fire-and-forget", "Client-worker")) for name in scheduler.clients)


def _busy(scheduler: Scheduler) -> bool:
    return any(task.state in ("processing", "waiting", "no-worker", "queued") for task in scheduler.tasks.values())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m napari_medseg.models.engine", description=__doc__)
    parser.add_argument(
        "--idle",
        type=float,
        default=float(os.environ.get("MEDSEG_IDLE", "60")),
        help="seconds without a client or a job after which it ends (%(default)s)",
    )
    options = parser.parse_args()
    handler = logging.StreamHandler()
    handler.setFormatter(WithoutFolders("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    asyncio.run(serve(runtime_folder(), options.idle))


if __name__ == "__main__":
    main()
