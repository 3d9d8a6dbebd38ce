"""Whether a click says that not a part of the mask is wrong, but that it is of another thing. Without torch.

The first click may lie on a vessel in a liver in a body, and nobody knows yet which of them is meant. If the answer was
the body, the click that takes something away lies where the body is thickest, as nearly all of it is wrong. If the
answer was the vessel and a little more, it lies near the mask's border.
"""

from __future__ import annotations

from .prompts import Point, Prompt
from .proposal import Proposal
from .reach import depths_of

DEEP = 0.6
"""Depth of the click in the mask, as a share of the mask's largest, from which another thing is meant."""


def mistaken(before: Proposal, newest: Prompt) -> bool:
    """Whether a click takes away about the thickest of the mask so far.

    Args:
        before: that mask.
        newest: the click; other prompts never say so.
    """
    if not before.extent or not isinstance(newest, Point) or newest.positive:
        return False
    row, column = (round(x) - span.start for x, span in zip(newest.at, before.box, strict=True))
    if not (0 <= row < before.mask.shape[0] and 0 <= column < before.mask.shape[1] and before.mask[row, column]):
        return False
    depths, step = depths_of(before)
    depth = depths[row // step + 1, column // step + 1]
    return bool(depth > 0 and depth >= DEEP * depths.max())
