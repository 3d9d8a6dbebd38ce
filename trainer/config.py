"""How to train: plain numbers, saved as JSON with what they made. Without torch, so that a window can choose them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from napari_medseg.models.errors import LedgerError

CHOICES = {
    "optimiser": ("adamw", "adam", "sgd"),
    "schedule": ("cosine", "poly", "constant"),
    "loss": ("dice_ce", "ce", "boundary_dou"),
    "augmentation": ("none", "flips", "right_angles", "turns", "full"),
}
"""What the words of a `TrainingConfig` may be."""


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how hard to train; saved as JSON beside what it made.

    The training ends after `steps` steps or `seconds` seconds, whichever comes first; only a training that ends by
    steps can be repeated to the bit.

    Raises:
        ValueError: a word that is none of `CHOICES`.
    """

    steps: int = 300
    seconds: float | None = None  # s of wall-clock time in the loop
    batch: int = 4  # crops a step
    crop: int = 256  # px
    lr: float = 1e-3  # peak learning rate
    weight_decay: float = 1e-2
    warmup: float = 0.05  # share of the training in which the learning rate rises
    average: float = 0.98  # decay per step of the running mean of the weights, which is what is kept; 0: the last ones
    seed: int = 0
    adstnet: bool = False  # train with AdSTNet's head on, and drop it afterwards
    optimiser: str = "adamw"
    momentum: float = 0.9  # of "sgd"
    schedule: str = "cosine"
    warmup_from: float = 0.0  # share of the peak that the warm-up begins at; it never begins below 1 %
    final: float = 0.01  # share of the peak that the schedule ends at
    half_waves: float = 1.0  # of "cosine"; 2 falls and rises again
    clip: float | None = 1.0  # largest norm of the gradient; None: any
    loss: str = "dice_ce"
    head_weights: tuple[float, ...] = ()  # of the logit maps, finest first; empty: each half of the one before it
    augmentation: str = "full"
    frozen: float = 0.0  # share of the training in which an encoder that came with weights does not learn
    ignore: int | None = None  # label in the masks of pixels that count for nothing
    empty: float | None = None  # share of a volume's crops that are of slices without an object; None: as they come

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} {getattr(self, name)!r} is none of {', '.join(allowed)}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """The inverse of `dataclasses.asdict`, also after JSON; fields that an older one lacks have their defaults.

        Raises:
            TypeError, ValueError: fields or words that this version of the program does not know.
        """
        return cls(**values | {"head_weights": tuple(values.get("head_weights", ()))})


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
            return cls(**values | {"training": TrainingConfig.from_dict(values["training"])})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise LedgerError(
                f"This fine-tuning was asked for by another version of MedSeg, with options that this one cannot "
                f"follow ({error}). Start it anew."
            ) from error
