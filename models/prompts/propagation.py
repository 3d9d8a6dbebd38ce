"""When to stop following an object from plane to plane. Without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from .appearance import Appearance, Pixels, mean_of
from .contrast import Contrast, contrast, faded
from .inside import Inside, Step, broke_off, step_between
from .proposal import Proposal

LEAST_OVERLAP = 0.4
"""Intersection over union with the plane before, below which it may be another object."""

LARGEST_CHANGE = 2.5
"""Factor by which its area may grow or shrink from plane to plane."""

LEAST_LIKE = 0.5
"""Share of an answer that has to look like the object where it is known."""

LEAST_EXPECTED = 0.35
"""Intersection over union that the network has to expect of its own answer."""

LARGEST_DROP = 0.1
"""By which that may be less than where the object is known; where there is no object the network copies the one before,
and expects about 0.15 less of it."""

SMALL = 40
"""Pixels of area below which an object may change as it likes: near its ends it does."""

ENDED = 5
"""Pixels of area below which nothing is left of it."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of an object that is followed.

    Attributes:
        expected: intersection over union, 0 to 1, that the network expects of its answer where the object is known.
        appearance: how it looks there.
        contrast: (C,), how much it stands out there.
        last: (C,), how much it stands out on the plane that it has come to.
        inside: its pixels there.
        steps: how they changed from plane to plane so far.
    """

    expected: float
    appearance: Appearance
    contrast: Contrast
    last: Contrast
    inside: Inside
    steps: tuple[Step, ...] = ()

    @classmethod
    def of(cls, expected: float, seen: Sequence[tuple[Pixels, Proposal]], limits: npt.NDArray[np.float64]) -> Known:
        """From the planes on which somebody drew or confirmed it, the one that it is followed from first."""
        stands_out = contrast(*seen[0], limits)
        return cls(expected, Appearance.of(seen, limits), stands_out, stands_out, Inside.of(*seen[0]))


@dataclass(frozen=True, eq=False)
class Followed:
    """An object on one plane.

    Attributes:
        proposal: it; with a reason, the last one that was good, again.
        reason: why it is not followed any further, a sentence; empty while it goes on.
        known: what is known of it, to go on with; None if nothing was asked.
    """

    proposal: Proposal
    reason: str = ""
    known: Known | None = field(default=None, repr=False)


def judged(
    before: Proposal,
    found: Proposal,
    expected: float,
    known: Known,
    pixels: Pixels,
    limits: npt.NDArray[np.float64],
    place: str,
) -> Followed:
    """What of the network's answer is the object, or why none of it is to be taken.

    Args:
        before: the object on the plane before.
        found: the answer on this one.
        expected: intersection over union that the network expects of it, 0 to 1.
        known: of the object.
        pixels: of this plane.
        limits: (C, 2), intensities that become 0 and 1.
        place: what this plane is called: "slice 41".
    """
    kept = known.appearance.kept(pixels, found) if found.extent else found
    reason = reason_to_stop(before, kept, expected, known.expected, place)
    reason = _unlike(found, kept, known.appearance, pixels, place) or reason
    if reason:
        return Followed(before, reason, known)
    step = step_between(known.inside, before, pixels, kept)
    if step is not None and broke_off(known.steps, step):
        reason = f"Stopped at {place}: the inside does not go on there; look whether another object begins."
        return Followed(before, reason, known)
    stands_out = contrast(pixels, kept, limits)
    if area(kept) > SMALL and (faded(known.last, stands_out) or faded(known.contrast, stands_out)):
        reason = f"Stopped at {place}: the object would not stand out there any more; look whether it ended before."
        return Followed(before, reason, known)
    steps = known.steps if step is None else (*known.steps, step)
    return Followed(kept, "", replace(known, last=stands_out, inside=Inside.of(pixels, kept), steps=steps))


def _unlike(found: Proposal, kept: Proposal, appearance: Appearance, pixels: Pixels, place: str) -> str:
    """Why an answer does not look like the object; empty if it does, or is too small to tell."""
    if area(found) > SMALL and area(kept) < LEAST_LIKE * area(found):
        here, there = (_in_words(mean) for mean in (mean_of(pixels, found), appearance.mean))
        return f"Stopped at {place}: what is inside the mask there looks different (mean {here} instead of {there})."
    if area(kept) > SMALL and appearance.spread_differs(pixels, kept):
        return f"Stopped at {place}: bright and dark inside the mask are others there; look whether it ended."
    return ""


def reason_to_stop(before: Proposal, found: Proposal, expected: float, usual: float, place: str) -> str:
    """Why what was found on a plane is not to be taken, by its shape and by the network; empty if it is.

    Args:
        before: the object on the plane before.
        found: what may be the object on this one.
        expected: intersection over union that the network expects of it, 0 to 1.
        usual: the same where the object is known.
        place: what this plane is called.
    """
    old, new = area(before), area(found)
    if new < ENDED:
        return f"The object ended before {place}."
    if max(old, new) > SMALL and not old / LARGEST_CHANGE <= new <= old * LARGEST_CHANGE:
        return f"Stopped at {place}: its area would be {new} pixels there, after {old}; look whether that is right."
    if _overlap(before, found) < LEAST_OVERLAP and max(old, new) > SMALL:
        return f"Stopped at {place}: it would lie elsewhere than before; look whether it is the same object."
    if expected < max(LEAST_EXPECTED, usual - LARGEST_DROP):
        return f"Stopped at {place}: the network is unsure there; correct it and go on."
    return ""


def area(found: Proposal) -> int:
    """Pixels of an object."""
    return int(found.mask.sum())


def _in_words(means: npt.NDArray[np.float64]) -> str:
    """One number for each channel, with as many digits as tell something."""
    return " / ".join(f"{mean:.0f}" if abs(mean) >= 10 else f"{mean:.2g}" for mean in means)


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
    return both / (area(first) + area(second) - both)
