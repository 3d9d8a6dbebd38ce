"""Outlines of an object along the edges of its pixels, so that the polygons cover these pixels and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Ring = npt.NDArray[np.int64]

_NEXT_TO = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Steps (y, x) along the edges: right, down, left, up; turning right is going on in this order."""


@dataclass(frozen=True, eq=False)
class Polygon:
    """One piece of an object: connected by the sides of its pixels.

    Attributes:
        outer: corners (N, 2) of its outline as (x, y), 0 being the outer edge of the first pixel; where the outline
            is straight there is none. Clockwise as one sees it (y runs down); the first one is not repeated.
        holes: outlines of its holes, the other way round.

    No outline meets or crosses itself; two may have a corner in common.
    """

    outer: Ring
    holes: tuple[Ring, ...]


def polygons(inside: npt.NDArray[np.bool_]) -> list[Polygon]:
    """The pieces of an object.

    Args:
        inside: (Y, X). Pixels that touch at a corner only are pieces of their own, which is what polygons with
            a corner in common are; holes are connected by sides, too.
    """
    pieces, _ = ndimage.label(inside)
    return [
        _moved(_polygon(pieces[box] == number), box[1].start, box[0].start)
        for number, box in enumerate(ndimage.find_objects(pieces), start=1)
    ]


def _polygon(piece: npt.NDArray[np.bool_]) -> Polygon:
    """Of one piece that is connected by sides."""
    rings = _rings(piece)
    # the outer outline is the one that turns right all in all; clockwise has a positive area where y runs down
    outer = [ring for ring in rings if _area(ring) > 0]
    return Polygon(outer[0], tuple(ring for ring in rings if _area(ring) < 0))


def _rings(piece: npt.NDArray[np.bool_]) -> list[Ring]:
    """Follow the edges with the piece to the right, until each has been walked along."""
    ways = _ways(piece)
    rings = []
    while ways:
        start, directions = next(iter(ways.items()))
        direction = directions[0]
        at, corners = start, list[tuple[int, int]]()
        while True:
            left = ways[at]
            # At a corner where four edges meet there are two ways on. To the left, around the pixel outside, keeps
            # what is inside in one piece and every outline simple.
            turned = (direction - 1) % 4
            taken = turned if len(left) > 1 and turned in left else left[0]
            left.remove(taken)
            if not left:
                del ways[at]
            if not corners or taken != direction:
                corners.append((at[1], at[0]))
            direction = taken
            step = _NEXT_TO[direction]
            at = (at[0] + step[0], at[1] + step[1])
            if at == start:
                break
        rings.append(_without_straight_start(np.array(corners, np.int64)))
    return rings


def _ways(piece: npt.NDArray[np.bool_]) -> dict[tuple[int, int], list[int]]:
    """For each corner (y, x) of a pixel where an edge of the piece begins, its directions, by index of `_NEXT_TO`."""
    walled = np.pad(piece, 1)
    here = walled[1:-1, 1:-1]
    edges = (
        (here & ~walled[:-2, 1:-1], (0, 0)),  # along the top to the right, from the upper left corner
        (here & ~walled[1:-1, 2:], (0, 1)),  # down the right side
        (here & ~walled[2:, 1:-1], (1, 1)),  # along the bottom to the left
        (here & ~walled[1:-1, :-2], (1, 0)),  # up the left side
    )
    ways: dict[tuple[int, int], list[int]] = {}
    for direction, (edge, (down, right)) in enumerate(edges):
        for y, x in np.argwhere(edge).tolist():
            ways.setdefault((y + down, x + right), []).append(direction)
    return ways


def _without_straight_start(ring: Ring) -> Ring:
    """The walk may begin in the middle of a straight edge, which is no corner."""
    before, after = ring[0] - ring[-1], ring[1] - ring[0]
    return ring[1:] if before[0] * after[1] == before[1] * after[0] else ring


def _area(ring: Ring) -> float:
    """By the shoelace formula; positive where the ring is clockwise to the eye."""
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _moved(polygon: Polygon, x: int, y: int) -> Polygon:
    by = np.array((x, y))
    return Polygon(polygon.outer + by, tuple(hole + by for hole in polygon.holes))
