"""How to train: plain numbers, saved as JSON with what they made. Without torch, so that a window can choose them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from napari_medseg.models.errors import LedgerError


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how hard to train; saved as JSON beside what it made.

    The training ends after `steps` steps or `seconds` seconds, whichever comes first; only a training that ends by
    steps can be repeated to the bit.
    """

    steps: int = 300
    seconds: float | None = None  # s of wall-clock time in the loop
    batch: int = 4  # crops a step
    crop: int = 256  # px
    lr: float = 1e-3  # peak learning rate of AdamW
    weight_decay: float = 1e-2
    warmup: float = 0.05  # share of the training in which the learning rate rises from 0
    average: float = 0.98  # decay per step of the running mean of the weights, which is what is kept
    seed: int = 0


@dataclass(frozen=True)
class FineTuneConfig:
    """How to learn from corrections; saved with the job and with the version that it made."""

    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(steps=400, seconds=100, batch=4, crop=160, lr=2e-3)
    )
    evaluations: int = 8  # looks at the held-out corrections while training, for the curve
    watched: int = 4  # held-out cases that the curve is drawn from; the verdict uses all
    checkpoint: float = 10.0  # s between checkpoints

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FineTuneConfig:
        """The inverse of `dataclasses.asdict`; the one place where older ones are brought up to date.

        Raises:
            LedgerError: values that this version of the program does not know, or lacks.
        """
        try:
            return cls(**values | {"training": TrainingConfig(**values["training"])})
        except (KeyError, TypeError) as error:
            raise LedgerError(
                f"This fine-tuning was asked for by another version of MedSeg, with options that this one cannot "
                f"follow ({error}). Start it anew."
            ) from error
