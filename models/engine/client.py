"""A window's or a command's connection to the engine. Imports no torch."""

from __future__ import annotations

import contextlib
import time
import uuid
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from ..errors import EngineError
from ..image import MedicalImage
from ..prompts.prompts import Prompts
from ..prompts.proposal import Proposal
from . import task
from .address import runtime_folder
from .job import Job
from .prompt_line import PromptLine
from .region import Region
from .start import PATIENCE, START, engine_log, reach, reach_or_start
from .worker import DEVICE

__all__ = ["Engine", "Job", "engine_log"]


RELEASE = 2.0
"""Seconds in which dask lets go of a job that nobody holds; it takes milliseconds."""


class Engine:
    """A connection to the engine; `Engine.connect()` finds the running one or starts it.

    All methods may be called from any thread; `connect` and `close` may take seconds, so a window calls them from
    another thread than its own.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._followed: dict[str, Callable[[Any], None]] = {}
        self._prompts = PromptLine(client)

    @classmethod
    def connect(cls, address: str | None = None) -> Engine:
        """Connect to the scheduler at `address`, or to this user's own engine, which is started if need be.

        Raises:
            EngineError: it cannot be reached or started.
        """
        if address:
            return cls(reach(address, None, 20))
        folder = runtime_folder().absolute()
        with FileLock(folder / "engine.lock"):  # two windows that open at once share one engine
            return cls(reach_or_start(folder))

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

    def segment_file(
        self,
        path: str | Path,
        part: str,
        model: str,
        out: str | Path,
        *,
        progress: Callable[[float], None] | None = None,
        **options: Any,
    ) -> Job:
        """Have the predictor segment an image that it opens by itself, into a mask on disk: neither need fit in memory.

        The job's result is a `Streamed`. Cancelled, or ended in any other way, it goes on from there when the same is
        asked for again.

        Args:
            path: file or folder of the image.
            part: which image in it, see `formats.parts`; "" for the one there is, or the largest.
            model: name of a shipped model, or a weights file.
            out: folder for the mask, ending in ".ome.zarr"; `LabelStore.open` opens it.
            progress: called with the share done; from another thread.
            **options: of `predict`: `instances`, `confidence`, `skip_empty`, `tile`, ...
        """
        function = "napari_medseg.models.streaming.file:segment_file"
        places = str(Path(path).absolute()), part, model, str(Path(out).absolute())
        return self.submit("predictor", function, *places, progress=progress, **options)

    def prompt_start(self, session: str, image: MedicalImage, limits: npt.NDArray[np.float64] | None = None) -> None:
        """Send an image that prompts will be about.

        Args:
            session: a name of the caller's choice.
            image: a plane of an image, say.
            limits: (C, 2), intensities that become 0 and 1; by default percentiles of what is sent.

        Raises:
            EngineError: the predictor does not answer.
        """
        self._prompts.start(session, image, limits)

    def prompt_forget(self, sessions: Collection[str]) -> None:
        """Let go of images; nobody will ask about them any more."""
        self._prompts.forget(sessions)

    def prompt(self, session: str, prompts: Prompts, now: Region) -> Proposal:
        """What the newest prompt makes of an object. Waits for no job.

        A predictor that was restarted gets the image again.

        Args:
            session: name under which the image was sent.
            prompts: of the object, all on one plane.
            now: the object on that plane as it is without the newest prompt.

        Raises:
            MedSegError: these prompts cannot be answered; says why.
            EngineError: the predictor does not answer, or no image was sent.
        """
        return self._prompts.ask("propose", session, prompts, now)

    def prompt_anew(self, session: str, prompts: Prompts, begun: Region) -> Proposal:
        """The same from all prompts together, for when one of them was taken back.

        Args:
            session: name under which the image was sent.
            prompts: of the object, all on one plane.
            begun: the object on that plane as it was before the first of them.

        Raises:
            MedSegError: these prompts cannot be answered; says why.
            EngineError: the predictor does not answer, or no image was sent.
        """
        return self._prompts.ask("propose_anew", session, prompts, begun)

    def describe(self) -> str:
        """What the networks run on: "CPU" or the GPU's name. Waits for no job, only for a predictor that starts.

        Raises:
            EngineError: the predictor did not say so in time; the connection is closed then.
        """
        deadline = time.monotonic() + PATIENCE  # who leaves earlier leaves an engine that ends, since nobody needs it
        with contextlib.suppress(OSError, RuntimeError):  # the engine ends at this moment
            while self.alive and time.monotonic() < deadline:
                if said := self._client.get_events(DEVICE):
                    return str(said[-1][1][0])
                time.sleep(0.05)
        self.close()
        raise EngineError(f"The predictor does not start, or it ended. The engine's log says why: {engine_log()}")

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
            progress: called with what the function reports; from another thread. Who passes it need not keep the job;
                otherwise a job that nobody holds is dropped.
            outlive: let it go on when this connection is closed.
            **options: for the function.
        """
        from distributed import fire_and_forget

        if key:
            self._await_release(key)
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
        if progress:
            future.add_done_callback(lambda _: self._unfollow(key))
        return Job(self._client, future)

    def follow(self, key: str, progress: Callable[[Any], None]) -> None:
        """Call `progress` with what a job reports from now on, whoever started it."""
        self._followed[key] = progress
        self._client.subscribe_topic(task.topic_of(key), lambda event: self._followed.get(key, _ignore)(event[1][0]))

    def _unfollow(self, key: str) -> None:
        """Let go of who follows a job that has ended."""
        self._followed.pop(key, None)
        if self.alive:
            with contextlib.suppress(Exception):  # not followed, or closed at this moment
                self._client.unsubscribe_topic(task.topic_of(key))

    def _await_release(self, key: str) -> None:
        """Wait until nothing is left of an earlier job of that key: dask would take the new one for it, and not submit.

        It lets go in a thread of its own, a moment after the last reference is gone.
        """
        deadline = time.monotonic() + RELEASE
        while key in self._client.futures and time.monotonic() < deadline:
            time.sleep(0.01)

    def past(self, key: str) -> list[Any]:
        """What a job has reported so far."""
        return [said for _, (said,) in self._client.get_events(task.topic_of(key))]

    def job(self, key: str) -> Job | None:
        """The job of that key, if the engine knows one."""
        from distributed import Future

        if not self._client.run_on_scheduler(_knows, key):
            return None
        future = Future(key, client=self._client)  # before it is wanted, or what the scheduler says of it gets lost
        state = self._client.run_on_scheduler(_want, key, self._client.id)
        if state in ("memory", "erred"):
            future.exception(START)  # waits for the news, which is on its way
        elif state:
            future.add_done_callback(lambda _: self._unfollow(key))
        return Job(self._client, future) if state else None

    def close(self) -> None:
        """Let go; jobs that may outlive the connection go on, others end at their next step or never begin."""
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)


def _knows(key: str, dask_scheduler: Any = None) -> bool:
    """In the scheduler: whether there is a task of that key."""
    return key in dask_scheduler.tasks


def _want(key: str, client: str, dask_scheduler: Any = None) -> str | None:
    """In the scheduler: have it tell a client of a task, which it does for whoever submitted it only; its state."""
    if key not in dask_scheduler.tasks:
        return None
    dask_scheduler.client_desires_keys([key], client)
    return str(dask_scheduler.tasks[key].state)


def _ignore(progress: Any) -> None:
    """For what is said of a job that is followed no more."""
