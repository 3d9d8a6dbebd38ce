"""When to stop following an object from plane to plane. Without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .proposal import Proposal

LEAST_OVERLAP = 0.4
"""Intersection over union with the plane before, below which it may be another object."""

LARGEST_CHANGE = 2.5
"""Factor by which its area may grow or shrink from plane to plane."""

LEAST_EXPECTED = 0.35
"""Intersection over union that the network has to expect of its own answer."""

LARGEST_DROP = 0.1
"""By which that may be less than where it came from; where there is no object it copies the one before, and expects
about 0.15 less of it."""

SMALL = 40
"""Pixels of area below which an object may change as it likes: near its ends it does."""


@dataclass(frozen=True, eq=False)
class Followed:
    """An object on one plane.

    Attributes:
        proposal: it; with a reason, the last one that was good, again.
        reason: why it is not followed any further, a sentence; empty while it goes on.
    """

    proposal: Proposal
    reason: str = ""


def reason_to_stop(before: Proposal, found: Proposal, expected: float, usual: float = 0.0) -> str:
    """Why what was found on a plane is not to be taken; empty if it is.

    Args:
        before: the object on the plane before.
        found: what may be the object on this one.
        expected: intersection over union that the network expects of it, 0 to 1.
        usual: the same on the plane that it was followed from.
    """
    name = ", ".join(map(str, found.plane))
    if found.extent is None:
        return f"It ended before plane {name}."
    old, new = int(before.mask.sum()), int(found.mask.sum())
    if max(old, new) > SMALL and not old / LARGEST_CHANGE <= new <= old * LARGEST_CHANGE:
        return f"On plane {name} its area would be {new} pixels, after {old}; look whether that is right."
    if _overlap(before, found) < LEAST_OVERLAP and max(old, new) > SMALL:
        return f"On plane {name} it would lie elsewhere than before; look whether it is the same object."
    if expected < max(LEAST_EXPECTED, usual - LARGEST_DROP):
        return f"On plane {name} the network is unsure; correct it there and go on."
    return ""


def _overlap(first: Proposal, second: Proposal) -> float:
    """Intersection over union of two objects, each in its box."""
    rows, columns = (
        slice(max(one.start, other.start), min(one.stop, other.stop))
        for one, other in zip(first.box, second.box, strict=True)
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return 0.0
    pieces = [
        proposal.mask[
            rows.start - proposal.box[0].start : rows.stop - proposal.box[0].start,
            columns.start - proposal.box[1].start : columns.stop - proposal.box[1].start,
        ]
        for proposal in (first, second)
    ]
    both = int(np.logical_and(*pieces).sum())
    return both / (int(first.mask.sum()) + int(second.mask.sum()) - both)
