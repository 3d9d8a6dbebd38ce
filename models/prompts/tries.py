"""What may be looked through for one answer, while nobody knows yet how large the object is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import candidates
from .mistaking import mistaken
from .prompts import Extent, Prompts
from .proposal import Proposal
from .window import Window

CHOSEN = 2
"""Of the windows that were glanced through, so many are looked at with all cells: the ones that promise most."""

MISTAKEN = 3
"""So many if the mask so far is of something larger, of which the network still expects much at a glance."""

UNLIKELY = 1.0
"""Logit by which the network then expects too much of windows that are about as wide as that, or wider."""

TOO_WIDE = 0.75
"""Side of such windows, as a share of that of the window around it, at least."""


@dataclass(frozen=True, eq=False)
class Try:
    """A window to look through.

    Attributes:
        window: it.
        begun: the mask to begin with; nothing to look as if there were none.
        handicap: logit that is taken off the quality which the network expects.
    """

    window: Window
    begun: Proposal
    handicap: float = 0.0


def possible(prompts: Prompts, shape: tuple[int, int], before: Proposal, extent: Extent) -> tuple[list[Try], int]:
    """Windows that may show the object best, and how many of them are worth a close look.

    Windows of all widths, as if there were no mask yet. If there is one, only those about as wide as what is known of
    the object, and the one around the mask with it. If the newest click says that the mask is of something larger, all
    again, the wide ones with a handicap.

    Args:
        prompts: points and scribbles, at least one.
        shape: of the plane.
        before: the object until now.
        extent: the box around that and what was clicked to be the object.
    """
    nothing = Proposal.nothing(prompts.plane)
    windows = candidates.scales(prompts, shape)
    if not before.extent:
        return [Try(window, nothing) for window in windows], CHOSEN
    around = candidates.around(before.extent)
    if not mistaken(before, prompts.items[-1]):
        return [*(Try(window, nothing) for window in candidates.near(windows, extent)), Try(around, before)], CHOSEN
    narrow = [window for window in windows if window.side < TOO_WIDE * around.side]
    wide = [Try(window, nothing, UNLIKELY) for window in windows if window not in narrow]
    return [*(Try(window, nothing) for window in narrow), *wide, Try(around, before, UNLIKELY)], MISTAKEN


def hopes(quality: Tensor, tries: Sequence[Try]) -> Tensor:
    """What is to be expected of each, (N,) logits, given what the network expects, (N,)."""
    return quality.float().cpu() - torch.tensor([one.handicap for one in tries])
