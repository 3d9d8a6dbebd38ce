"""Longest and shortest diameter in a plane, as radiologists measure a lesion.

RECIST 1.1 (Eisenhauer et al., European Journal of Cancer 45, 2009) takes the longest diameter in the plane in which
the image was acquired, and for lymph nodes the short axis: the longest one at right angles to it.

The outline runs through the middle between a pixel inside and its neighbour outside (marching squares at 0.5), so a
row of n pixels is n long, and discs come out neither too large nor too small on average.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull

Points = npt.NDArray[np.float64]

_EQUAL = 1e-9
"""Share by which two chords may differ and still be equally long."""


def axial_diameters(inside: npt.NDArray[np.bool_], spacing: Sequence[float]) -> tuple[float, float]:
    """Longest and shortest diameter of the piece with the longest one; pieces that touch at a corner are one.

    Args:
        inside: (Y, X), with at least one pixel.
        spacing: along Y and X.

    Returns:
        The longest distance between two points of the outline, and the longest distance between two points of it
        along a line at right angles to that. Both reach across holes and notches. Of several that are equally long
        the one with the longest counterpart is taken, so turning the image over changes nothing.
    """
    from skimage.measure import find_contours  # slow to import, and the command line's start measures nothing

    walled = np.zeros((inside.shape[0] + 2, inside.shape[1] + 2))
    walled[1:-1, 1:-1] = inside
    outlines = [
        outline[:-1] * np.asarray(spacing, np.float64)  # the last point is the first one again
        for outline in find_contours(walled, 0.5, fully_connected="high")
    ]
    found = [_diameters(outline) for outline in outlines]
    longest = max(along for along, _ in found)
    return longest, max(across for along, across in found if along >= longest * (1 - _EQUAL))


def _diameters(outline: Points) -> tuple[float, float]:
    """Of one closed outline (N, 2); the outlines of holes are shorter than the one around them."""
    corners = outline[ConvexHull(outline).vertices]
    one, other = np.triu_indices(len(corners), 1)
    chords = corners[other] - corners[one]
    lengths = np.sqrt((chords**2).sum(1))
    longest = float(lengths.max())
    return longest, max(_chord_across(outline, chord) for chord in chords[lengths >= longest * (1 - _EQUAL)])


def _chord_across(outline: Points, along: Points) -> float:
    """The longest chord of an outline at right angles to a direction.

    From point to point along the direction, the chord's ends move on straight lines, so it is longest at one of the
    outline's points.
    """
    along = along / np.hypot(*along)
    at = outline @ along
    aside = outline @ np.array((-along[1], along[0]))
    order = np.sort(at)
    at_next, aside_next = np.append(at[1:], at[0]), np.append(aside[1:], aside[0])
    # each edge meets the chords of the points that lie between its ends
    low, high = np.minimum(at, at_next), np.maximum(at, at_next)
    first, last = np.searchsorted(order, low, "left"), np.searchsorted(order, high, "right")
    met = last - first
    edge = np.repeat(np.arange(len(at)), met)
    chord = np.arange(met.sum()) - np.repeat(np.cumsum(met) - met, met) + first[edge]
    run = (at_next - at)[edge]
    share = np.divide(order[chord] - at[edge], run, out=np.zeros(len(edge)), where=run != 0)
    meets = aside[edge] + share * (aside_next - aside)[edge]
    # an edge along the chord meets it with both ends; the other end is met by the next edge
    top, bottom = np.full(len(at), -np.inf), np.full(len(at), np.inf)
    np.maximum.at(top, chord, meets)
    np.minimum.at(bottom, chord, meets)
    return float((top - bottom).max())
