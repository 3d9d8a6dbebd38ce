"""Waiting for the engine: a progress bar on standard error, and Ctrl-C that cancels the job."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from napari_medseg.models.engine.client import Engine, Job
from napari_medseg.models.errors import CancelledError

from .answering import note

STOPPING = 15.0
"""Seconds in which a job that was cancelled is waited for; it stops at its next tile or step."""


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """A connection to the engine, which is started if need be; closed at the end."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it means for the user is in our errors
    connection = Engine.connect()
    try:
        yield connection
    finally:
        connection.close()


def wait_for(job: Job, stopped: str = "Stopped. What was written before is kept.") -> Any:
    """The job's result. Ctrl-C asks it to stop, and waits until it has.

    Args:
        job: what runs in the engine.
        stopped: what to say when Ctrl-C has stopped it.

    Raises:
        CancelledError: it stopped, or the engine ended.
        MedSegError: it failed.
    """
    try:
        return job.result()
    except KeyboardInterrupt:
        note("Stopping ...")
        job.cancel()
    try:
        return job.result(STOPPING)
    except (CancelledError, TimeoutError) as error:  # without an answer in time it stops at its next step
        raise CancelledError(stopped) from error


class TrainerTimeLeft(ProgressColumn):
    """The time that the trainer itself expects to need; it knows about its budget."""

    def render(self, task: Task) -> Text:
        """The column's text for one bar."""
        eta = task.fields.get("eta")
        if eta is None or not eta < float("inf"):
            return Text("")
        left = max(0.0, eta - (time.monotonic() - task.fields.get("told", time.monotonic())))
        return Text(f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left", style="cyan")


@contextlib.contextmanager
def bars(*, trainer: bool = False) -> Iterator[Progress]:
    """Progress bars with the time left; nothing where standard error is no terminal.

    Args:
        trainer: show the trainer's own estimate, from `show_training`, instead of one from the bar's speed.
    """
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TrainerTimeLeft() if trainer else TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with progress:
        yield progress


def show_share(progress: Progress, description: str) -> Callable[[float], None]:
    """A new bar; call what comes back with the share done, 0 to 1."""
    bar = progress.add_task(description, total=1.0, figures="")
    return lambda share: progress.update(bar, completed=share)


def show_training(progress: Progress, description: str) -> Callable[[dict[str, Any]], None]:
    """A new bar for a fine-tuning; call what comes back with each `FineTuneProgress` as a dictionary."""
    bar = progress.add_task(description, total=1.0, figures="", eta=None)
    dice: list[float] = []

    def show(now: dict[str, Any]) -> None:
        if now["dice"] is not None:
            dice[:] = [now["dice"]]
        loss = f"loss {now['loss']:.3f}" if now["loss"] == now["loss"] else ""
        held_out = f"Dice {dice[0]:.3f} on held-out cases" if dice else ""
        progress.update(
            bar,
            completed=now["share"],
            description=description if now["message"].startswith("Training") else now["message"],
            figures="  ".join(filter(None, [loss, held_out])),
            eta=now["eta"],
            told=time.monotonic(),
        )

    return show
