"""`medseg finetune`: let a model learn from a project's corrections."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from napari_medseg.models.cards import find_card
from napari_medseg.models.errors import CancelledError, MedSegError
from napari_medseg.trainer.config import FineTuneConfig
from napari_medseg.trainer.jobs import settle, start_finetuning
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.project import Project

from .answering import AsJson, answer, clear_errors
from .naming import Pixels, existing_project
from .waiting import bars, engine, show_training, wait_for

CANCELLED = "The fine-tuning was cancelled; the active model is as it was."


@clear_errors
def finetune(
    project: Annotated[
        str, typer.Argument(metavar="PROJECT", help="The project's folder, or the URL of its database.")
    ],
    base: Annotated[
        str | None, typer.Option(help="Name of a model, or a version of the project. By default the active model.")
    ] = None,
    budget: Annotated[float | None, typer.Option(min=0.01, help="Minutes to train for, at most.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps to train for, at most.")] = None,
    adstnet: Annotated[
        bool,
        typer.Option(
            "--adstnet",
            help="Sharper borders: AdSTNet's head helps while it learns, which takes longer. Segmenting stays as fast.",
        ),
    ] = False,
    pixels: Pixels = None,
    as_json: AsJson = False,
) -> None:
    """Learn from the corrections. The new version becomes active if it is not worse on those that were kept apart.

    A fine-tuning that is under way in this project is followed instead, and one that was cut short is taken up
    again. Ctrl-C cancels it; the active model then stays.
    """
    place = existing_project(project, pixels)
    if base is not None:
        with Ledger.open(place) as ledger:
            if base not in {version.name for version in ledger.models()}:
                find_card(base)
    with engine() as connection, bars(trainer=True) as progress:
        show = show_training(progress, "Learning")
        try:
            job = start_finetuning(connection, place, base, config_for(budget, steps, adstnet=adstnet), show)
        except KeyboardInterrupt:
            _cancelled(place)
            raise CancelledError(CANCELLED) from None
        try:
            result: dict[str, Any] = wait_for(job, CANCELLED)
        except CancelledError as error:
            if str(error) == CANCELLED:  # by the user; else the engine ended, and it goes on when it is asked again
                _cancelled(place)
            raise
        except MedSegError as error:
            _settle(place, error)
            raise
    text = (
        f"Version {result['version']}, from {result['base']}: {result['reason']} "
        f"It learned from {result['trained_on']} corrections in {result['seconds']:.0f} s."
    )
    answer(result, as_json=as_json, text=text)


def config_for(minutes: float | None, steps: int | None, *, adstnet: bool = False) -> FineTuneConfig:
    """How long to train; more minutes than usual allow more steps in proportion, unless `steps` says how many."""
    config = FineTuneConfig()
    usual = config.training
    seconds = usual.seconds if minutes is None else 60 * minutes
    if steps is None:
        longer = max(1.0, seconds / usual.seconds) if seconds and usual.seconds else 1.0
        steps = round(usual.steps * longer)
    elif minutes is None:
        seconds = None  # a number of steps alone can be repeated to the bit
    return replace(config, training=replace(usual, steps=steps, seconds=seconds, adstnet=adstnet))


def _cancelled(place: Project) -> None:
    """Write down that the user cancelled, if the trainer has not yet; it stops when it reads that, at the latest."""
    with Ledger.open(place) as ledger:
        unfinished = ledger.unfinished_job()
        if unfinished is not None:
            ledger.update_job(unfinished.id, state="cancelled", message=CANCELLED)


def _settle(place: Project, error: MedSegError) -> None:
    """The trainer died too often, or before it began, to say itself that the fine-tuning failed."""
    with Ledger.open(place) as ledger:
        unfinished = ledger.unfinished_job()
    if unfinished is not None:
        settle(place, unfinished.id, error)
