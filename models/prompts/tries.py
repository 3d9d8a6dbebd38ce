"""What may be looked through for one answer, while nobody knows yet how large the object is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import candidates
from .mistaking import mistaken
from .prompts import Extent, Prompts, Sizes
from .proposal import Proposal
from .window import Window

CHOSEN = 2
"""Of the windows that were glanced through, so many are looked at with all cells: the ones that promise most."""

MISTAKEN = 3
"""So many if the mask so far is of something larger, of which the network still expects much at a glance."""

UNLIKELY = 1.0
"""Logit by which the network expects too much of a window that is as wide as something that is not meant."""

SLACK = 1.5
"""By so much may a window be narrower than that around the smallest known object, or wider than around the largest."""

STRANGE = 2.0
"""The same for a window of another width than those around objects of the kind."""

TOO_WIDE = 0.75
"""Side of windows that are as wide as something larger that is not meant, as a share of that of the one around it."""


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

    Windows of all widths, as if there were no mask yet; those that are too wide or too narrow for objects as large as
    others of the kind were, with a handicap. If there is one, only those about as wide as what is known of
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
        return [Try(window, nothing, _strangeness(window, prompts.sizes)) for window in windows], CHOSEN
    around = candidates.around(before.extent)
    if not mistaken(before, prompts.items[-1]):
        return [*(Try(window, nothing) for window in candidates.near(windows, extent)), Try(around, before)], CHOSEN
    narrow = [window for window in windows if window.side < TOO_WIDE * around.side]
    wide = [Try(window, nothing, UNLIKELY) for window in windows if window not in narrow]
    return [*(Try(window, nothing) for window in narrow), *wide, Try(around, before, UNLIKELY)], MISTAKEN


def _strangeness(window: Window, sizes: Sizes | None) -> float:
    """The handicap of a window for being another width than those around objects of these sizes."""
    if sizes is None:
        return 0.0
    least, most = (candidates.around(((0, 0), (size - 1, size - 1))).side for size in sizes)
    return 0.0 if least / SLACK <= window.side <= most * SLACK else STRANGE


def hopes(quality: Tensor, tries: Sequence[Try]) -> Tensor:
    """What is to be expected of each, (N,) logits, given what the network expects, (N,)."""
    return quality.float().cpu() - torch.tensor([one.handicap for one in tries])
