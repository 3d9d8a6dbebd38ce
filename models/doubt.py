"""Where a mask is most likely wrong, from the confidence of the network that made it. Without torch.

Every network hesitates along borders, so a border counts only where it is uncertain over more than its usual width.
A large image is looked at in cells of several pixels: what is smaller than a cell is nothing to send anybody to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label as components

from .doubt_cells import Cells, Merged

MOST = 100
"""Places at most; nobody looks at more."""

REACH = 2.5
"""Pixels around each pixel over which doubt is averaged (a Gaussian's standard deviation)."""

USUAL = 0.4
"""Share of the borders that are less doubtful than what is usual; so up to half of them may stand out."""

WIDER = 1.6
"""How many times the usual doubt along borders is too much."""

LEAST, ENOUGH = 25.0, 85.0
"""Averaged doubt, out of 255, below which nothing is doubtful, and above which everything is."""

UNSURE_OBJECT = 70.0
"""Mean doubt of an object, out of 255, from which the whole of it is in question."""

LESS_SURE = 1.8
"""How many times the mean doubt of the typical object makes one stand out."""

SMALL = 0.1
"""Share of the typical object's size up to which a part is an island, and a gap a hole."""

LIKELY_WRONG = 0.25
"""Share of islands and holes that are taken to be wrong, however sure the network is."""

NEAR, LARGEST = 12, 96
"""Pixels between places that are looked at together, and side of what is still one look."""

BORDER = "its border is uncertain"
INSIDE = "the model is unsure inside of it"
MISSED = "something may have been missed here"
OBJECT = "the model is unsure of the whole object"
ISLAND = "a small island"
HOLE = "a small hole"

Box = tuple[slice, ...]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class DoubtfulPlace:
    """A region of a mask that somebody should look at.

    Attributes:
        box: from where to where along each axis of the mask.
        centre: index of the most doubtful pixel, or of the middle of its cell.
        score: how many pixels are expected to be wrong there.
        size: pixels that are in doubt.
        label: of the object that it is in, or nearest to the centre; 0 if there is none.
        why: what is doubtful, in a few words.
    """

    box: Box
    centre: tuple[int, ...]
    score: float
    size: int
    label: int
    why: str


def doubtful_places(
    confidence: npt.NDArray[np.uint8], mask: Array, predicted: Array | None = None, *, most: int = MOST
) -> list[DoubtfulPlace]:
    """The most doubtful places of a mask, the worst first.

    Args:
        confidence: 255 times the probability of the winning side, in the shape of the mask, (..., Y, X).
        mask: labels as they are now; 0 is background.
        predicted: labels as they were when the confidence was told; what differs since was corrected by somebody, so
            places in which anything does are left out.
        most: how many places at most.

    Raises:
        ValueError: the arrays differ in shape, or have fewer than two axes.
    """
    if mask.ndim < 2 or not all(other.shape == mask.shape for other in (confidence, predicted) if other is not None):
        raise ValueError(f"A mask of shape {mask.shape} needs a confidence and a prediction of that very shape.")
    if not mask.size:
        return []
    cells = Cells.of(confidence, mask)
    around = _averaged(cells)
    found = [*_doubtful_regions(cells, around), *_objects(cells, around)]
    found.sort(key=lambda place: -place.score)
    untouched = (place for place in found if predicted is None or _same(mask, predicted, place.box))
    return [_named(place, mask) for place in _joined(untouched, most)]


def _averaged(cells: Cells) -> npt.NDArray[np.float32]:
    """Doubt around each cell, out of 255, within its plane."""
    sigma = (0.0,) * (cells.doubt.ndim - 2) + (REACH / cells.side,) * 2
    return ndimage.gaussian_filter(cells.doubt, sigma, mode="nearest")


def _doubtful_regions(cells: Cells, around: npt.NDArray[np.float32]) -> Iterator[DoubtfulPlace]:
    """Where there is more doubt than borders usually have."""
    window = (1,) * (around.ndim - 2) + (3, 3)
    border = ndimage.maximum_filter(cells.labels, window) != ndimage.minimum_filter(cells.labels, window)
    usual = float(np.quantile(around[border], USUAL)) if border.any() else 0.0
    regions, _ = ndimage.label(around > np.clip(WIDER * usual, LEAST, ENOUGH), _neighbours(around.ndim))
    for number, box, merged in cells.parts(regions):
        inside = regions[box] == number
        yield _place(cells, box, inside, around, merged, _why(cells.labels[box], inside, border[box]))


def _why(labels: Array, inside: npt.NDArray[np.bool_], border: npt.NDArray[np.bool_]) -> str:
    if not labels[inside].any():
        return MISSED
    return BORDER if border[inside].any() else INSIDE


def _objects(cells: Cells, around: npt.NDArray[np.float32]) -> Iterator[DoubtfulPlace]:
    """Objects that are doubtful as a whole, and islands and holes, which are suspect by their size alone."""
    parts = _components(cells.labels, corners=True)
    found = list(cells.parts(parts))
    if not found:
        return
    sizes = np.array([merged.pixels for _, _, merged in found])
    doubts = np.array([merged.mean for _, _, merged in found])
    typical = _weighted_median(sizes, sizes)
    less_sure = LESS_SURE * float(np.median(doubts)) if len(found) > 4 else np.inf
    cut_off = _at_the_edges(parts)  # and nobody knows how large they are
    for number, box, merged in found:
        inside = parts[box] == number
        if merged.pixels <= SMALL * typical and number not in cut_off:
            yield _suspect(_place(cells, box, inside, around, merged, ISLAND))
        elif merged.mean > min(UNSURE_OBJECT, max(less_sure, LEAST)):
            yield _place(cells, box, inside, around, merged, OBJECT)
    gaps = _components(cells.labels == 0, corners=False)
    outside = _at_the_edges(gaps)
    for number, box, merged in cells.parts(gaps, lambda number, pixels: pixels <= SMALL * typical):
        if number not in outside:
            yield _suspect(_place(cells, box, gaps[box] == number, around, merged, HOLE))


def _components(labels: Array, *, corners: bool) -> npt.NDArray[np.int64]:
    """Numbers the connected parts of each label, from 1; those of each time point by themselves."""
    if labels.ndim <= 3:
        parts: npt.NDArray[np.int64] = components(labels, background=0, connectivity=labels.ndim if corners else 1)
        return parts
    frames = [_components(frame, corners=corners) for frame in labels]
    before = np.cumsum([0, *(int(frame.max(initial=0)) for frame in frames[:-1])])
    return np.stack([np.where(frame > 0, frame + offset, 0) for frame, offset in zip(frames, before, strict=True)])


def _place(
    cells: Cells, box: Box, inside: npt.NDArray[np.bool_], around: Array, merged: Merged, why: str
) -> DoubtfulPlace:
    worst = np.unravel_index(np.where(inside, around[box], -1).argmax(), inside.shape)
    at = tuple(int(part.start + index) for part, index in zip(box, worst, strict=True))
    return DoubtfulPlace(cells.box(box), cells.middle(at), merged.doubt / 255, merged.pixels, 0, why)


def _suspect(place: DoubtfulPlace) -> DoubtfulPlace:
    return replace(place, score=place.score + LIKELY_WRONG * place.size)


def _joined(places: Iterator[DoubtfulPlace], most: int) -> list[DoubtfulPlace]:
    """The first ones; what lies within reach of a worse one is looked at together with it."""
    kept: list[DoubtfulPlace] = []
    for place in places:
        near = next((number for number, other in enumerate(kept) if _one_look(other, place)), None)
        if near is not None:
            kept[near] = replace(
                kept[near],
                box=_union(kept[near].box, place.box),
                size=max(kept[near].size, place.size),
                score=max(kept[near].score, place.score),
                why=OBJECT if place.why == OBJECT and 2 * place.size > kept[near].size else kept[near].why,
            )
        elif len(kept) < most:
            kept.append(place)
        else:
            break
    return kept


def _one_look(kept: DoubtfulPlace, place: DoubtfulPlace) -> bool:
    union = _union(kept.box, place.box)
    if union == kept.box:
        return True
    if max(side.stop - side.start for side in union[-2:]) > LARGEST:
        return False
    reach = (1,) * (len(union) - 2) + (NEAR, NEAR)
    return all(
        max(one.start, other.start) - min(one.stop, other.stop) <= far
        for one, other, far in zip(kept.box, place.box, reach, strict=True)
    )


def _union(one: Box, other: Box) -> Box:
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def _named(place: DoubtfulPlace, mask: Array) -> DoubtfulPlace:
    """With the label at its centre, or else with the most frequent one in or right beside its box on that plane."""
    plane = mask[place.centre[:-2]]
    box = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in place.box[-2:])
    label = int(plane[place.centre[-2:]])
    if not label:
        here = plane[box]
        labels, counts = np.unique(here[here > 0], return_counts=True)
        label = int(labels[counts.argmax()]) if len(labels) else 0
    return replace(place, label=label)


def _same(mask: Array, predicted: Array, box: Box) -> bool:
    return np.array_equal(mask[box], predicted[box])


def _neighbours(axes: int) -> npt.NDArray[np.bool_]:
    """Corners touch within a plane; from plane to plane only what lies on top of each other."""
    touching = ndimage.generate_binary_structure(axes, 1)
    touching[(1,) * (axes - 2)] = True
    return touching


def _at_the_edges(parts: Array) -> set[int]:
    """Numbers of the parts that reach the edge of their plane."""
    edges: Sequence[Array] = (parts[..., 0, :], parts[..., -1, :], parts[..., :, 0], parts[..., :, -1])
    return set(np.unique(np.concatenate([edge.ravel() for edge in edges])).tolist())


def _weighted_median(values: npt.NDArray[np.int64], weights: npt.NDArray[np.int64]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
