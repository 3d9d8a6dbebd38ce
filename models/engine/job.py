"""Something that runs in the engine, as a window or a command sees it. Imports no torch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from ..errors import CancelledError, EngineError, MedSegError
from . import task

ON_ITS_WAY = 2.0
"""Seconds that a job may take from its submission until the scheduler knows it."""


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
        """Ask it to stop and return at once: it ends at its next step, or now if it has not begun.

        One that may outlive its connection ends at its first step at the earliest, so that it can write down that it
        was cancelled.
        """
        from distributed import Event

        if self._client.status != "running":  # without an engine there is no job; dask would wait for it
            return
        with contextlib.suppress(OSError):  # it ends at this moment
            Event(task.cancel_event(self.key), client=self._client).set()
            if self._withdrawable():
                self._client.cancel([self._future], force=True)

    def _withdrawable(self) -> bool:
        """Whether it waits for its turn. A job that was submitted this moment is still on its way to the scheduler."""
        deadline = time.monotonic() + ON_ITS_WAY
        while self._future.status == "pending" and time.monotonic() < deadline:
            answer = self._client.run_on_scheduler(_can_be_withdrawn, self.key)
            if answer is not None:
                return bool(answer)
            time.sleep(0.02)
        return False

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


def _can_be_withdrawn(key: str, dask_scheduler: Any = None) -> bool | None:
    """In the scheduler: whether a job waits for its turn, and only connections wait for it; None if it is unknown."""
    job = dask_scheduler.tasks.get(key)
    if job is None:
        return None
    if job.state in ("memory", "erred"):
        return False
    begun = any(key == begun for _, (begun,) in dask_scheduler.get_events(task.BEGUN))
    return not begun and all(client.client_key != "fire-and-forget" for client in job.who_wants or ())


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
