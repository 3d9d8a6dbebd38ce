"""What a training on a folder says while it runs, and at its end. Without torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FolderProgress:
    """How far it is.

    Attributes:
        share: of what `message` names that is done, 0 to 1.
        eta: seconds that are left, roughly; infinite before that can be told.
        message: what is being done: "Looking at the images", "Setting out the slices", "Training" or "Validating".
        step: number of the last step.
        epoch: how often each image, or slice of a volume, was learned from so far, on average.
        loss: of the last step; NaN before the first.
        dice: mean Dice of the validation images, when they were last looked at; None before that.
        best: highest of these; None before the first.
    """

    share: float
    eta: float
    message: str
    step: int = 0
    epoch: float = 0.0
    loss: float = float("nan")
    dice: float | None = None
    best: float | None = None


Progress = Callable[[FolderProgress], None]
"""Whoever wants to know."""


def show_looking(progress: Progress) -> Callable[[float], None]:
    """Passes the share of the images that were looked at before the training begins on to `progress`."""
    return lambda share: progress(FolderProgress(share, math.inf, "Looking at the images"))


@dataclass(frozen=True)
class FolderResult:
    """What came of it.

    Attributes:
        weights: the weights that were best on the validation images; their card is beside them.
        dice: mean Dice of the validation images, with these weights.
        best_epoch: the epoch that they are of.
        epochs: how often each image, or slice of a volume, was learned from, on average.
        steps: that were done.
        seconds: that they took, validation included.
        trained_on: images that it learned from.
        planes: of these: one of each picture, the slices of each volume.
        validated_on: images that chose the best weights.
    """

    weights: Path
    dice: float
    best_epoch: float
    epochs: float
    steps: int
    seconds: float
    trained_on: int
    planes: int
    validated_on: int
