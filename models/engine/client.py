"""A window's or a command's connection to the engine. Imports no torch."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import psutil
from filelock import FileLock

from ..errors import CancelledError, EngineError, MedSegError
from ..image import MedicalImage
from . import task
from .address import EngineAddress, read_address, runtime_folder

log = logging.getLogger(__name__)

START = 60.0
"""Seconds that an engine may take to start; it takes about two on an idle machine."""


class Job:
    """Something that runs in the engine.

    Attributes:
        key: its name in the engine, with which another process can follow or cancel it.
    """

    def __init__(self, client: Any, future: Any) -> None:
        self._client, self._future = client, future
        self.key: str = future.key

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the answer.

        Raises:
            CancelledError: it was cancelled.
            MedSegError: it failed; says how.
            EngineError: the engine or its worker died over it.
            TimeoutError: no answer within `timeout` seconds; the job goes on.
        """
        try:
            return self._future.result(timeout)
        except (MedSegError, TimeoutError):
            raise
        except Exception as error:
            raise _explained(error) from error

    def cancel(self) -> None:
        """Ask it to stop; it does so at its next step, or never begins. Returns at once."""
        from distributed import Event

        Event(task.cancel_event(self.key), client=self._client).set()
        if self._future.status == "pending":
            log.info("cancelling %s", self.key)

    def forget(self) -> None:
        """Have the engine forget it, so that a job of this key can be submitted anew."""
        self._client.cancel([self._future], force=True)

    @property
    def done(self) -> bool:
        """Whether it ended, well or not."""
        return bool(self._future.done())

    def when_done(self, call: Callable[[Job], None]) -> None:
        """Call `call` with this job when it has ended; from another thread."""
        self._future.add_done_callback(lambda _: call(self))


class Engine:
    """A connection to the engine; `Engine.connect()` finds the running one or starts it.

    All methods may be called from any thread; `connect` and `close` may take seconds, so a window calls them from
    another thread than its own.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls, address: str | None = None) -> Engine:
        """Connect to the scheduler at `address`, or to this user's own engine, which is started if need be.

        Raises:
            EngineError: it cannot be reached or started.
        """
        if address:
            return cls(_client(address, None, 20))
        folder = runtime_folder().absolute()
        with FileLock(folder / "engine.lock"):  # two windows that open at once share one engine
            found = read_address(folder)
            if found and psutil.pid_exists(found.pid):  # else it was killed: no use in waiting for its answer
                with contextlib.suppress(EngineError):
                    return cls(_client(found.address, found.security(), 5))
            (folder / "engine.json").unlink(missing_ok=True)
            started = _start(folder)
            return cls(_client(started.address, started.security(), START))

    @property
    def alive(self) -> bool:
        """Whether the engine still answers."""
        return bool(self._client.status == "running")

    def segment(
        self, image: MedicalImage, model: str, *, progress: Callable[[float], None] | None = None, **options: Any
    ) -> Job:
        """Have the predictor segment an image; the job's result is a `Prediction`. Options are those of `predict`."""
        return self.submit(
            "predictor", "napari_medseg.models.engine.predictor:segment", image, model, progress=progress, **options
        )

    def describe(self) -> str:
        """What the networks run on: "CPU" or the GPU's name."""
        job = self.submit("predictor", "napari_medseg.models.engine.predictor:describe")
        return str(job.result(START))

    def submit(
        self,
        worker: str,
        function: str,
        *args: Any,
        key: str | None = None,
        progress: Callable[[Any], None] | None = None,
        outlive: bool = False,
        **options: Any,
    ) -> Job:
        """Run a function in a worker.

        Args:
            worker: "predictor" or "trainer"; each runs one job at a time, in the order they come.
            function: its name, "package.module:name".
            *args: for the function; it gets `progress` and `cancel`, too.
            key: name of the job; a new one by default.
            progress: called with what the function reports; from another thread.
            outlive: let it go on when this connection is closed.
            **options: for the function.
        """
        from distributed import fire_and_forget

        key = key or f"{function.partition(':')[2]}-{uuid.uuid4().hex}"
        if progress:
            self.follow(key, progress)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")  # images are large
            future = self._client.submit(
                task.run, function, key, args, options, key=key, resources={worker: 1}, pure=False
            )
        if outlive:
            fire_and_forget(future)
        return Job(self._client, future)

    def follow(self, key: str, progress: Callable[[Any], None]) -> None:
        """Call `progress` with what a job reports from now on, whoever started it."""
        self._client.subscribe_topic(task.topic_of(key), lambda event: progress(event[1][0]))

    def past(self, key: str) -> list[Any]:
        """What a job has reported so far."""
        return [said for _, (said,) in self._client.get_events(task.topic_of(key))]

    def job(self, key: str) -> Job | None:
        """The job of that key, if the engine knows one."""
        from distributed import Future

        future = Future(key, client=self._client)  # first, or else what the scheduler says of it gets lost
        state = self._client.run_on_scheduler(_want, key, self._client.id)
        if state in ("memory", "erred"):
            future.exception(START)  # waits for the news, which is on its way
        return Job(self._client, future) if state else None

    def close(self) -> None:
        """Let go; jobs that may outlive the connection go on, others are dropped."""
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)


def _want(key: str, client: str, dask_scheduler: Any = None) -> str | None:
    """In the scheduler: have it tell a client of a task, which it does for whoever submitted it only; its state."""
    if key not in dask_scheduler.tasks:
        return None
    dask_scheduler.client_desires_keys([key], client)
    return str(dask_scheduler.tasks[key].state)


def _client(address: str, security: Any, timeout: float) -> Any:
    from distributed import Client

    try:
        return Client(address, security=security, timeout=timeout, set_as_default=False, name="medseg")
    except (OSError, TimeoutError) as error:
        raise EngineError(
            f"The engine at {address} does not answer. Is it running, and is the address right?"
        ) from error


def engine_log() -> Path:
    """Where the engine writes what happened."""
    return platformdirs.user_log_path("napari-medseg", ensure_exists=True) / "engine.log"


def _start(folder: Path) -> EngineAddress:
    """Start an engine that lives on its own and wait until it can be reached."""
    with engine_log().open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "napari_medseg.models.engine"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder,  # not the caller's: it would be held busy, and Python would import from it
            env=os.environ | {"MEDSEG_RUNTIME": str(folder)},
        )
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        address = read_address(folder)
        if address and address.pid == process.pid:
            return address
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise EngineError(f"The engine could not be started. Its log says why: {engine_log()}")


def _explained(error: Exception) -> MedSegError:
    from distributed import CancelledError as TaskCancelled
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return EngineError(
            "The process that did this died several times, most likely for want of memory. Nothing of yours was lost; "
            "try a smaller image, or close other programs."
        )
    if isinstance(error, TaskCancelled):
        return CancelledError("It was cancelled, or the engine ended. Nothing of yours was lost; try again.")
    return EngineError(f"The engine did not answer ({error}). Nothing of yours was lost; try again.")
