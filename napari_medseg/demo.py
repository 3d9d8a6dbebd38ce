"""The whole loop on sample images, with a simulated user who corrects every mask to the truth.

It shows what the program is for: the shipped nuclei model knows fluorescence, here it meets stained tissue, learns
from a few corrected images in minutes, and segments images that it never saw better than before. Without Qt, napari
and torch: the networks run in the engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from skimage.measure import label

from napari_medseg.models.cards import ModelCard, find_card
from napari_medseg.models.engine.client import Engine, Job
from napari_medseg.models.errors import LedgerError
from napari_medseg.models.image import Array
from napari_medseg.samples import Sample, samples
from napari_medseg.trainer.config import FineTuneConfig
from napari_medseg.trainer.jobs import start_finetuning
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.metrics import dice
from napari_medseg.trainer.project import is_project
from napari_medseg.trainer.records import Effort

BASE = "nuclei"
"""The shipped model that the demo starts from; it has seen fluorescence only."""

CORRECTED = {"histology": 4, "brightfield": 2}
"""How many samples of each kind the simulated user corrects; the others are never seen."""

SECONDS_PER_EDIT = 3.0
"""Assumed of the simulated user, as a person's clock cannot be read here."""

Show = Callable[[str], Callable[[Any], None]]
"""Given what begins now, gives the function to be called with its progress."""


@dataclass(frozen=True)
class DemoCase:
    """An image that the model never saw, before and after it learned.

    Attributes:
        sample: the image and its true mask.
        before: the mask of the model that the demo started from.
        after: the mask of the model that was active in the end.
        dice_before: Dice of `before`, as foreground, 0 to 1.
        dice_after: Dice of `after`.
    """

    sample: Sample
    before: Array
    after: Array
    dice_before: float
    dice_after: float


@dataclass(frozen=True)
class DemoOutcome:
    """What the loop came to.

    Attributes:
        card: the model that it started from.
        active: name of the model that was active in the end.
        cases: the images that were never seen.
        corrections: number of images that were corrected and accepted.
        edits: number of wrong regions that the simulated user put right.
        learned: the `FineTuneResult` as a dictionary.
        seconds: from beginning to end, without the start of the engine.
    """

    card: ModelCard
    active: str
    cases: tuple[DemoCase, ...]
    corrections: int
    edits: int
    learned: dict[str, Any]
    seconds: float

    @property
    def dice_before(self) -> float:
        """Mean over `cases`."""
        return float(np.mean([case.dice_before for case in self.cases]))

    @property
    def dice_after(self) -> float:
        """Mean over `cases`."""
        return float(np.mean([case.dice_after for case in self.cases]))


def run_loop(
    engine: Engine,
    project: Path,
    config: FineTuneConfig,
    *,
    wait: Callable[[Job], Any],
    show: Show,
    show_learning: Show,
) -> DemoOutcome:
    """Segment, correct, accept, learn, and segment again what was never seen.

    Args:
        engine: where the networks run.
        project: folder of a project that is not there yet.
        config: how long to learn.
        wait: gives a job's result, or raises if it was cancelled.
        show: shows segmenting; gets the share done, 0 to 1.
        show_learning: shows the fine-tuning; gets each `FineTuneProgress` as a dictionary.

    Raises:
        LedgerError: there is a project in that folder already.
        MedSegError: a step failed; what was accepted before is in the project.
    """
    if is_project(project):
        raise LedgerError(
            f"There is a project in '{project}' already. The demo makes one of its own; choose another folder."
        )
    started = time.monotonic()
    card = find_card(BASE)
    corrected, unseen = split_samples()
    with Ledger.open(project) as ledger:
        ledger.set_base(BASE)
        first = _segmented(engine, BASE, [*corrected, *unseen], wait, show("Segmenting with the shipped model"))
        edits = sum(_accept(ledger, sample, mask) for sample, mask in zip(corrected, first, strict=False))
        learned: dict[str, Any] = wait(
            start_finetuning(engine, project, BASE, config, show_learning("Learning from the corrections"))
        )
        active = ledger.active()
        before = first[len(corrected) :]
        after = _segmented(engine, ledger.reference(active), unseen, wait, show("Segmenting what it never saw"))
    cases = tuple(map(_case, unseen, before, after))
    return DemoOutcome(card, active, cases, len(corrected), edits, learned, time.monotonic() - started)


def split_samples() -> tuple[list[Sample], list[Sample]]:
    """The samples to correct, and those never to be seen; always the same.

    The ledger keeps the second and the sixth of those to correct for judging the new version, so the kinds are
    ordered to put one of each among them.
    """
    chosen = {kind: samples(kind)[:count] for kind, count in CORRECTED.items()}
    histology, brightfield = chosen["histology"], chosen["brightfield"]
    corrected = [*histology[:2], *brightfield[:1], *histology[2:], *brightfield[1:]]
    return corrected, [sample for kind, count in CORRECTED.items() for sample in samples(kind)[count:]]


def wrong_regions(mask: Array, truth: Array) -> int:
    """How many connected regions of the foreground are wrong: a correction has to touch each at least once."""
    return int(label((mask > 0) != (truth > 0), return_num=True)[1])


def _segmented(
    engine: Engine, model: str, cases: list[Sample], wait: Callable[[Job], Any], progress: Callable[[float], None]
) -> list[Array]:
    """A mask of each sample, one number a nucleus."""
    masks = []
    for number, sample in enumerate(cases):
        masks.append(wait(engine.segment(sample.image(), model, instances=True)).labels)
        progress((number + 1) / len(cases))
    return masks


def _accept(ledger: Ledger, sample: Sample, predicted: Array) -> int:
    """Accept the truth as the correction of a predicted mask; how many edits that was."""
    truth = sample.mask()
    edits = wrong_regions(predicted, truth)
    effort = Effort(SECONDS_PER_EDIT * edits, edits)
    ledger.add(sample.image(), truth, predicted=predicted, model=BASE, group=sample.file, effort=effort)
    return edits


def _case(sample: Sample, before: Array, after: Array) -> DemoCase:
    truth = sample.mask() > 0
    return DemoCase(sample, before, after, dice(before > 0, truth), dice(after > 0, truth))
