"""What an object looks like where somebody drew or confirmed it, and what of an answer looks so, too. Without torch.

A network that is shown where an object was one plane before finds it again at the same place, also where a neighbour
has begun: its answer creeps from one organ into the next, plane by plane. What it cannot have learned is how this
object looks in this image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .proposal import Proposal
from .rastering import tight

SHARE = 2.0
"""Per cent of an object's pixels at either end of its brightness that do not count: they lie on its border."""

MARGIN = 0.2
"""By how much of the range of its brightness a pixel may lie beyond it."""

LEAST_RANGE = 0.02
"""Of the image's range that an object's brightness is taken to vary by at least: noise changes from plane to plane."""

BINS = 32
"""Steps of brightness, between the image's dark and bright, in which an object's pixels are counted."""

BLUR = 1.5
"""Steps by which those counts are blurred: noise is no difference, nor is a little more or less light."""

LEAST_SHARED = 0.6
"""Share of the pixels that has to be of the brightness that as many are where the object is known."""

SOLID = 0.7
"""Share of what is left that has to hang together if single pixels and thin threads are cleared away."""

Pixels = npt.NDArray[Any]
"""(Y, X, C), of any type."""


@dataclass(frozen=True, eq=False)
class Appearance:
    """The brightness of an object, for each channel, in the image's own units.

    Attributes:
        mean: (C,).
        low: (C,), darker pixels are not the object's.
        high: (C,), brighter ones neither.
        limits: (C, 2), intensities between which brightness is counted.
        shares: (C, BINS), share of its pixels of each brightness.
    """

    mean: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    limits: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]

    @classmethod
    def of(cls, seen: Sequence[tuple[Pixels, Proposal]], limits: npt.NDArray[np.float64]) -> Appearance:
        """How an object looks on some planes.

        Args:
            seen: pixels of each plane, and the object on it; not empty.
            limits: (C, 2), intensities that become 0 and 1.
        """
        values = np.concatenate([pixels[object_.box][object_.mask] for pixels, object_ in seen]).astype(np.float64)
        values = values[np.isfinite(values).all(1)]  # (N, C)
        if not len(values):
            values = limits.mean(1, keepdims=True).T
        low, high = np.percentile(values, (SHARE, 100 - SHARE), axis=0)
        margin = MARGIN * np.maximum(high - low, LEAST_RANGE * (limits[:, 1] - limits[:, 0]))
        return cls(values.mean(0), low - margin, high + margin, limits, _shares(values, limits))

    def kept(self, pixels: Pixels, found: Proposal) -> Proposal:
        """What of an answer looks like the object; holes in it, such as vessels and reflections, are the object's."""
        here = pixels[found.box]
        like = found.mask & ((here >= self.low) & (here <= self.high)).all(-1)
        if like.sum() == found.mask.sum():
            return found
        like = ndimage.binary_fill_holes(like) & found.mask
        opened = ndimage.binary_opening(like)
        kept = opened if opened.sum() >= SOLID * like.sum() else like
        return tight(kept, found.confidence, found.box, found)

    def spread_differs(self, pixels: Pixels, found: Proposal) -> bool:
        """Whether too few of an answer's pixels are of the brightness that the object's are."""
        shares = _shares(pixels[found.box][found.mask].astype(np.float64), self.limits)
        return float(np.minimum(shares, self.shares).sum(1).mean()) < LEAST_SHARED


def _shares(values: npt.NDArray[np.float64], limits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(C, BINS), share of the values (N, C) that are of each brightness, blurred; beyond the limits is outermost."""
    channels = zip(values.T, limits, strict=True)
    counted = [np.histogram(np.clip(one, low, high), BINS, (low, high))[0] for one, (low, high) in channels]
    return np.asarray(ndimage.gaussian_filter1d(np.array(counted, np.float64), BLUR) / max(1, len(values)))


def mean_of(pixels: Pixels, found: Proposal) -> npt.NDArray[np.float64]:
    """(C,), the mean brightness of an object; not empty."""
    return np.asarray(np.nanmean(pixels[found.box][found.mask].astype(np.float64), 0))
