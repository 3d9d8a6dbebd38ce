"""What carrying an object to a slice changes there. Without napari."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import label as components

from napari_medseg.models.engine.region import Region
from napari_medseg.models.prompts.proposal import Proposal

Array = npt.NDArray[Any]
Box = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Ready:
    """A change of one slice.

    Attributes:
        box: rows and columns.
        before: labels in it that the change was made for.
        after: labels as they shall be.
        own: the object as it is then; empty if other labels leave no room for it.
    """

    box: Box
    before: Array
    after: Array
    own: Region


def made_ready(pixels: Array, proposal: Proposal, label: int, *, over: bool, replace: bool) -> Ready:
    """Draw an object into a slice.

    Args:
        pixels: (Y, X) of the mask.
        proposal: the object.
        label: that it gets.
        over: whether it may take pixels of other labels.
        replace: whether what the slice has of this label where the object lies goes first.
    """
    old = _touched(pixels == label, proposal) if replace else None
    box = proposal.box if old is None else _united(proposal.box, old.box)
    before = pixels[box].copy()
    after = before.astype(np.promote_types(before.dtype, np.min_scalar_type(label)))
    if old is not None:
        after[_within(old.box, box)][old.mask] = 0
    inside = np.zeros(after.shape, bool)
    inside[_within(proposal.box, box)] = proposal.mask
    if not over:
        inside &= (after == 0) | (after == label)
    after[inside] = label
    return Ready(box, before, after, region_of(inside, box))


def region_of(inside: npt.NDArray[np.bool_], box: Box | None = None) -> Region:
    """A mask (rows, columns), of a box or of a whole plane, in the smallest box that holds it."""
    top, left = (0, 0) if box is None else (box[0].start, box[1].start)
    part = Proposal.of(inside, ())
    rows, columns = part.box
    return Region.of(
        (slice(rows.start + top, rows.stop + top), slice(columns.start + left, columns.stop + left)), part.mask
    )


def _touched(here: npt.NDArray[np.bool_], proposal: Proposal) -> Region | None:
    """The parts that lie where the object comes to lie; None if there are none."""
    if not (here[proposal.box] & proposal.mask).any():
        return None
    parts = components(here, connectivity=2)
    touched = np.unique(parts[proposal.box][proposal.mask & here[proposal.box]])
    return region_of(np.isin(parts, touched))


def _united(one: Box, other: Box) -> Box:
    (a, b), (c, d) = one, other
    return slice(min(a.start, c.start), max(a.stop, c.stop)), slice(min(b.start, d.start), max(b.stop, d.stop))


def _within(box: Box, outer: Box) -> Box:
    top, left = outer[0].start, outer[1].start
    return slice(box[0].start - top, box[0].stop - top), slice(box[1].start - left, box[1].stop - left)
