"""Fine-tuning, evaluation and bringing in weights as jobs of the engine: how to ask for them, and what its workers run.

Importing this does not import torch; running a job does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_medseg.models.cards import find_card
from napari_medseg.models.engine.client import Engine, Job
from napari_medseg.models.errors import LedgerError, MedSegError

from .config import FineTuneConfig
from .ledger import Ledger
from .outcome import FineTuneProgress
from .project import DatabaseProject, Project, is_project
from .records import JobRecord
from .split import learnable

BEATS = 30.0
"""Seconds; a fine-tuning that runs tells the ledger more often that it lives."""

BEGINNING = 5.0
"""Seconds that a fine-tuning may be in the ledger before the engine that is to run it knows it."""


def start_finetuning(
    engine: Engine,
    project: Project,
    base: str | None = None,
    config: FineTuneConfig | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Job:
    """Have the trainer fine-tune on a project's corrections, or follow the fine-tuning that is under way there.

    One that was cut short - its engine died - is taken up again from its last checkpoint.

    Args:
        engine: where to run it; the job goes on when this connection is closed.
        project: the ledger's folder, or its database.
        base: a card's name or a version; by default the active model.
        config: how to learn.
        progress: called with each `FineTuneProgress` as a dictionary; from another thread.

    Returns:
        The job; its result is a `FineTuneResult` as a dictionary.

    Raises:
        LedgerError: there are no corrections to learn from, or another engine has the project's fine-tuning.
    """
    with Ledger.open(project) as ledger:
        record = ledger.unfinished_job()
        if record and (running := _under_way(engine, ledger, record, progress)):
            return running
        record = ledger.unfinished_job()  # it may have ended meanwhile
        if record is None:
            learnable(ledger.split()[0])
            record = ledger.start_job(base or ledger.active(), asdict(config or FineTuneConfig()))
    return engine.submit(
        "trainer",
        "napari_medseg.trainer.jobs:run_finetuning",
        _address(project),
        record.id,
        key=job_key(record.id),
        progress=progress,
        outlive=True,
    )


def _under_way(
    engine: Engine, ledger: Ledger, record: JobRecord, progress: Callable[[dict[str, Any]], None] | None
) -> Job | None:
    """The unfinished job, if it is under way in this engine; None if it ended or was cut short.

    Raises:
        LedgerError: another engine runs it, as far as the ledger tells.
    """
    deadline = time.monotonic() + BEGINNING
    while not record.finished:
        if running := follow_finetuning(engine, record.id, progress):
            return running
        if (datetime.now(UTC) - record.updated).total_seconds() > BEATS:
            return None  # its engine died
        if time.monotonic() > deadline:
            raise LedgerError(
                f"This project was learning less than {BEATS:.0f} seconds ago, but not on this computer's engine. "
                "Perhaps it is open on another computer, or by another user: look there and let it end, or cancel it. "
                f"If its engine ended, ask again in {BEATS:.0f} seconds; it then goes on from its last checkpoint."
            )
        time.sleep(0.2)
        record = ledger.job(record.id)
    return None


def follow_finetuning(
    engine: Engine, job_id: str, progress: Callable[[dict[str, Any]], None] | None = None
) -> Job | None:
    """The job of that id with what it reported so far, if it is under way in the engine."""
    job = engine.job(job_key(job_id))
    if job is None:
        return None
    if job.done:
        job.forget()
        return None
    if progress:
        for past in engine.past(job.key):
            progress(past)
        engine.follow(job.key, progress)
    return job


def job_key(job_id: str) -> str:
    """Name of a fine-tuning in the engine."""
    return f"finetuning-{job_id}"


def run_finetuning(
    project: Project, job_id: str, *, progress: Callable[[dict[str, Any]], None], cancel: Callable[[], bool]
) -> dict[str, Any]:
    """In the trainer: run a job of the ledger to its end, from its checkpoint if there is one."""
    from .finetuning import finetune

    sent = 0.0

    def report(now: FineTuneProgress) -> None:
        """Steps may take milliseconds; who watches needs 20 reports a second and every Dice."""
        nonlocal sent
        if time.monotonic() - sent > 0.05 or now.dice is not None or now.share in (0.0, 1.0):
            sent = time.monotonic()
            progress(asdict(now))

    with Ledger.open(project) as ledger:
        result = finetune(ledger, job=ledger.job(job_id), progress=report, cancel=cancel)
    return asdict(result)


def run_evaluation(
    data: str | DatabaseProject,
    model: str | None,
    *,
    progress: Callable[[float], None],
    cancel: Callable[[], bool],
    **options: Any,
) -> dict[str, Any]:
    """In the trainer: `evaluate` a project (a folder with a ledger, or a database) or a folder of images and masks.

    Where some images cannot be measured the answer has the figures of the others, and says so in "error" and "failed".
    """
    from .evaluation import evaluate
    from .scores import IncompleteEvaluationError

    with contextlib.ExitStack() as opened:
        if isinstance(data, DatabaseProject) or is_project(data):
            source: Ledger | str = opened.enter_context(Ledger.open(data))
        else:
            source = data
        try:
            found = evaluate(source, model, progress=progress, cancel=cancel, **options)
        except IncompleteEvaluationError as error:
            return error.evaluation.to_json() | {"error": str(error)}
    return found.to_json()


def bring_in_encoder(engine: Engine, project: Project, file: str | Path, card: str) -> Job:
    """Have a network made with published weights in its encoder, as a version of a project that can be fine-tuned.

    Args:
        engine: where to make it; in the predictor, since the trainer may be busy for long.
        project: the ledger's folder, or its database.
        file: the encoder's weights, as they were published.
        card: name of the shipped, untrained network that they are for.

    Returns:
        The job; its result is the version's name.
    """
    return engine.submit("predictor", "napari_medseg.trainer.jobs:run_bringing_in", _address(project), str(file), card)


def run_bringing_in(
    project: Project, file: str, card: str, *, progress: Callable[[float], None], cancel: Callable[[], bool]
) -> str:
    """In the predictor: add the version. Takes seconds, so it neither reports progress nor stops halfway."""
    from napari_medseg.models.checkpoints import serialise, with_encoder

    network = with_encoder(find_card(card), Path(file))
    content, described = serialise(network)
    reason = f"Its encoder was brought in from '{Path(file).name}'; the rest has learned nothing yet."
    with Ledger.open(project) as ledger:
        return ledger.add_version(content, described.to_json(), card, {}, reason, activate=False).name


def settle(project: Project, job_id: str, error: MedSegError) -> None:
    """Write down that a job failed, if its process died too often to do so itself."""
    with Ledger.open(project) as ledger:
        record = ledger.job(job_id)
        if not record.finished:
            ledger.update_job(job_id, state="failed", message=str(error))


def _address(project: Project) -> str | DatabaseProject:
    """As it is sent to a worker."""
    return project if isinstance(project, DatabaseProject) else str(project)
