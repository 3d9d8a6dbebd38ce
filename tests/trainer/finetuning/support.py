"""Small fine-tunings, and how they are watched and cut short."""

from dataclasses import replace

import numpy as np
import pytest

from napari_medseg.trainer import Ledger, finetune
from napari_medseg.trainer.config import FineTuneConfig, TrainingConfig
from napari_medseg.trainer.outcome import FineTuneProgress
from napari_medseg.trainer.records import JobRecord

CONFIG = FineTuneConfig(
    TrainingConfig(steps=10, seconds=None, batch=2, crop=64, lr=2e-2), evaluations=4, watched=2, checkpoint=0.0
)

ENOUGH = replace(CONFIG, training=replace(CONFIG.training, steps=40), checkpoint=10**6)
"""To find the discs."""


def disc(seed: int, side: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on a dark, noisy ground, and its mask."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    mask = (rows - draw.integers(30, side - 30)) ** 2 + (columns - draw.integers(30, side - 30)) ** 2 < 20**2
    return (draw.normal(20, 4, mask.shape) + 100 * mask).clip(0, 255).astype(np.uint8), mask.astype(np.uint8)


class CutShortError(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def cut_short(ledger: Ledger, step: int, **options: bool) -> JobRecord:
    """The job of a fine-tuning that ended without a word when it reported a step."""

    def cut(now: FineTuneProgress) -> None:
        if now.step == step:
            raise CutShortError

    with pytest.raises(CutShortError):
        finetune(ledger, config=CONFIG, progress=cut, **options)
    job = ledger.unfinished_job()
    assert job is not None
    return job


class Watched:
    """A `progress` that notes what it is told, and which job it is."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.told: list[FineTuneProgress] = []
        self.states: set[str] = set()
        self.job_id = ""

    def __call__(self, progress: FineTuneProgress) -> None:
        job = self.ledger.unfinished_job()
        assert job is not None
        self.told.append(progress)
        self.states.add(job.state)
        self.job_id = job.id

    @property
    def job(self) -> JobRecord:
        return self.ledger.job(self.job_id)
