"""What runs in a worker: a function by its name, its progress sent out, its cancellation asked for.

Functions are named, not sent, so that the window need not import what the worker runs; and what a worker raises is
brought down to our own errors, so that the window need not import what the worker ran (an error of torch's would
import torch).
"""

from __future__ import annotations

import logging
import time
from typing import Any

from ..errors import CancelledError, EngineError, MedSegError
from .loading import named

log = logging.getLogger(__name__)

BEGUN = "begun"
"""Topic with the keys of the jobs that have begun. The scheduler cannot tell: it hands a worker all jobs at once."""

POLL = 0.2
"""Seconds between two looks at whether the job was cancelled."""


def topic_of(key: str) -> str:
    """Where the progress of a job is sent."""
    return f"progress-{key}"


def cancel_event(key: str) -> str:
    """Name of the event that is set to cancel a job."""
    return f"cancel-{key}"


def run(function: str, key: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call `function` ("package.module:name") with `progress` and `cancel` added to its options.

    Raises:
        MedSegError: whatever went wrong, in words for people; the traceback is in the engine's log.
    """
    from distributed import get_worker

    get_worker().log_event(BEGUN, [key])
    try:
        return named(function)(*args, progress=_Progress(key), cancel=_Cancel(key), **options)
    except CancelledError:
        raise
    except MedSegError:
        log.info("%s did not succeed", function, exc_info=True)
        raise
    except MemoryError as error:
        log.exception("%s ran out of memory", function)
        raise EngineError("There was not enough memory. Close other programs, or use a smaller image.") from error
    except Exception as error:
        log.exception("%s failed", function)
        raise EngineError(
            f"Something unexpected went wrong ({type(error).__name__}: {error}). Nothing of yours was changed; "
            "the details are in the engine's log."
        ) from None


class _Progress:
    """Sends what it is called with to whoever follows the job; bare shares of the work at most 20 times a second."""

    def __init__(self, key: str) -> None:
        from distributed import get_worker

        self.worker, self.topic = get_worker(), topic_of(key)
        self.last = 0.0

    def __call__(self, progress: Any) -> None:
        now = time.monotonic()
        if now - self.last >= 0.05 or progress == 1.0 or not isinstance(progress, float):
            self.last = now
            self.worker.log_event(self.topic, [progress])  # to a bare dictionary dask would add an entry


class _Cancel:
    """Answers whether the job was cancelled, or whether nobody waits for it any more: its window was closed or killed.

    Asks the scheduler now and then only, since asking takes milliseconds.
    """

    def __init__(self, key: str) -> None:
        from distributed import Event, get_worker

        self.key, self.worker, self.event = key, get_worker(), Event(cancel_event(key))
        self.asked, self.answer = 0.0, False

    def __call__(self) -> bool:
        if not self.answer and time.monotonic() - self.asked > POLL:
            self.answer = self._unwanted() or bool(self.event.is_set())
            self.asked = time.monotonic()
        return self.answer

    def _unwanted(self) -> bool:
        """Whether the scheduler has told the worker to drop it; dask lets it run on all the same."""
        job = self.worker.state.tasks.get(self.key)
        return job is None or job.state == "cancelled"
