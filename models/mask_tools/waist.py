"""Where an object is thinnest between two of its pixels.

The object is a landscape whose height is the distance to the border. Its hills (watershed basins) and the passes
between them make a graph; on the way over the highest passes from one click's hill to the other's, the waist is the
pass that is lowest against the lower of the hills on its two sides. A click thus stands for the whole hill that it is
on: flooded from the clicks themselves, a click near the border is overrun from the other side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from skimage.measure import label
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from .change import Region

NECK = 0.9
"""A waist counts as one where the object is less than this share of the thinner part's thickness."""

Depth = npt.NDArray[np.float64]
Part = npt.NDArray[np.bool_]
Hills = npt.NDArray[np.int32]


def beyond_the_waist(depth: Depth, clicks: Sequence[tuple[int, ...]], spacing: Sequence[float]) -> Part | None:
    """The part of an object on the second click's side of its waist.

    Args:
        depth: distance of each pixel to the border, (Y, X) or (Z, Y, X); 0 outside the object, which is in one piece.
        clicks: index of a pixel of each part.
        spacing: between neighbours along each axis, in the unit of `depth`.

    Returns:
        Which pixels those are, in one piece, as is the rest; None if there is no waist between the clicks.
    """
    inside = depth > 0
    peaks = label(local_maxima(depth, connectivity=depth.ndim) & inside, connectivity=depth.ndim)
    hills = np.asarray(watershed(-depth, peaks, connectivity=depth.ndim, mask=inside), np.int32)
    one, other = (int(hills[click]) - 1 for click in clicks)
    if one == other:
        return None
    heights = np.zeros(int(hills.max()))
    np.maximum.at(heights, hills[inside] - 1, depth[inside])
    tree = _highest_passes(hills, depth)
    narrowest = _narrowest(tree, _way(tree, one, other), heights)
    if narrowest is None:
        return None
    side = _cut(tree, [narrowest])
    beyond = np.asarray(inside & (side == side[other])[hills - 1])
    return _straight(beyond, depth, float(tree[narrowest]), clicks, spacing)


def _narrowest(tree: sparse.csr_matrix, way: Sequence[int], heights: npt.NDArray[np.float64]) -> tuple[int, int] | None:
    """The pass on a way that is lowest against the lower of its two sides; None if none is a waist."""
    passes = list(pairwise(way))
    piece = _cut(tree, passes)  # each hill of the way, with those that lie off it
    number = np.zeros(len(way), int)
    number[piece[way]] = np.arange(len(way))
    highest = np.zeros(len(way))
    np.maximum.at(highest, number[piece], heights)
    before, after = np.maximum.accumulate(highest), np.maximum.accumulate(highest[::-1])[::-1]
    shares = np.array([tree[step] for step in passes]) / np.minimum(before[:-1], after[1:])
    at = int(np.argmin(shares))
    return passes[at] if shares[at] < NECK else None


def _straight(
    beyond: Part, depth: Depth, narrow: float, clicks: Sequence[tuple[int, ...]], spacing: Sequence[float]
) -> Part:
    """The same, cut straight through the waist: close to both parts, a pixel belongs to the nearer one.

    A watershed climbs from pixel to pixel, so that beside the middle of the waist it runs aslant.
    """
    thick = depth > narrow
    to_one, to_other = (ndimage.distance_transform_edt(~(thick & part), sampling=spacing) for part in (~beyond, beyond))
    close = (depth > 0) & (np.maximum(to_one, to_other) <= 2 * narrow)
    cut = np.where(close & (to_one != to_other), to_other < to_one, beyond)
    if cut[clicks[0]] or not cut[clicks[1]]:
        return beyond
    cut = _piece_at(cut, clicks[1])
    return (depth > 0) & ~_piece_at((depth > 0) & ~cut, clicks[0])


def _piece_at(part: Part, click: tuple[int, ...]) -> Part:
    pieces = label(part, connectivity=part.ndim)
    return np.asarray(pieces == pieces[click])


def _highest_passes(hills: Hills, depth: Depth) -> sparse.csr_matrix:
    """The tree of the highest passes between neighbouring hills; symmetric, with the height of each pass."""
    size = int(hills.max())
    codes, heights = [], []
    for one, other in _neighbours(depth.ndim):
        apart = (hills[one] != hills[other]) & (hills[one] > 0) & (hills[other] > 0)
        ends = np.sort(np.stack([hills[one][apart], hills[other][apart]]).astype(np.int64) - 1, axis=0)
        codes.append(ends[0] * size + ends[1])
        heights.append(np.minimum(depth[one][apart], depth[other][apart]))
    code, height = np.concatenate(codes), np.concatenate(heights)
    order = np.lexsort((-height, code))
    pairs, first = np.unique(code[order], return_index=True)
    lowness = sparse.csr_matrix((1 / height[order][first], (pairs // size, pairs % size)), (size, size))
    tree = csgraph.minimum_spanning_tree(lowness)
    tree.data = 1 / tree.data
    return sparse.csr_matrix(tree + tree.T)


def _neighbours(axes: int) -> Iterator[tuple[Region, Region]]:
    """Each pixel and its neighbour in one direction, for half of all directions."""
    parts = {-1: (slice(1, None), slice(None, -1)), 0: (slice(None), slice(None)), 1: (slice(None, -1), slice(1, None))}
    for step in product((-1, 0, 1), repeat=axes):
        if step > (0,) * axes:
            yield tuple(parts[along][0] for along in step), tuple(parts[along][1] for along in step)


def _way(tree: sparse.csr_matrix, start: int, end: int) -> list[int]:
    """The hills from one to another, both included."""
    _, before = csgraph.breadth_first_order(tree, start, directed=False)
    way = [end]
    while way[-1] != start:
        way.append(int(before[way[-1]]))
    return way[::-1]


def _cut(tree: sparse.csr_matrix, passes: Sequence[tuple[int, int]]) -> npt.NDArray[np.int32]:
    """Which piece each hill is in once these passes are closed."""
    closed = tree.tolil()
    for one, other in passes:
        closed[one, other] = closed[other, one] = 0
    return np.asarray(csgraph.connected_components(closed.tocsr(), directed=False)[1])
