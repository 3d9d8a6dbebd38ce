"""What a fine-tuning reports, on its way and in the end. Without torch: the window shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FineTuneProgress:
    """Where a fine-tuning is.

    Attributes:
        share: 0 to 1.
        eta: seconds left, as far as can be told.
        step: steps done.
        loss: of the last step; NaN before the first.
        dice: mean Dice on held-out corrections, if it was just measured.
        message: for people.
    """

    share: float
    eta: float
    step: int
    loss: float
    dice: float | None
    message: str


@dataclass(frozen=True)
class FineTuneResult:
    """What came of a fine-tuning.

    Attributes:
        version: the new version in the ledger.
        base: what it was made from.
        dice_before: mean Dice of the active model on the held-out corrections; None if none were held out.
        dice_after: the same of the new version.
        promoted: whether the new version is now the active model.
        reason: why, for people.
        trained_on: number of corrections that it learned from.
        held_out: number of corrections that it was judged by.
        steps: of training.
        seconds: from beginning to end, in this process.
    """

    version: str
    base: str
    dice_before: float | None
    dice_after: float | None
    promoted: bool
    reason: str
    trained_on: int
    held_out: int
    steps: int
    seconds: float
