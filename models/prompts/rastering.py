"""Between the cells of a window and the pixels of a plane. Without torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.draw import line

from .prompts import Box, Lasso, Position, Prompt
from .proposal import Proposal
from .window import SIDE, Window


def sampled(proposal: Proposal, window: Window, side: int = SIDE) -> npt.NDArray[np.bool_]:
    """The mask at the middle of each cell of a window, (side, side)."""
    steps = (np.arange(side) + 0.5) * window.side / side
    rows, columns = (
        np.floor(start + steps).astype(int) - span.start
        for start, span in zip((window.top, window.left), proposal.box, strict=True)
    )
    height, width = proposal.mask.shape
    seen = np.ix_((rows >= 0) & (rows < height), (columns >= 0) & (columns < width))
    cells = np.zeros((side, side), bool)
    cells[seen] = proposal.mask[
        np.ix_(rows[(rows >= 0) & (rows < height)], columns[(columns >= 0) & (columns < width)])
    ]
    return cells


def raised(logits: npt.NDArray[np.float32], window: Window, shape: tuple[int, int], plane: tuple[int, ...]) -> Proposal:
    """Logits of a window's cells, (S, S), as a mask of pixels, interpolated between the middles of the cells.

    Args:
        logits: above 0 in the object.
        window: where they are.
        shape: of the plane.
        plane: its index.
    """
    found = logits > 0
    if not found.any():
        return Proposal.nothing(plane)
    rows = _span(found.any(1), window.top, window.side, shape[0])
    columns = _span(found.any(0), window.left, window.side, shape[1])
    fine = _weights(rows, window.top, window.side, len(logits)) @ logits  # (h, S)
    fine = fine @ _weights(columns, window.left, window.side, len(logits)).T  # (h, w)
    seen = Proposal.of(fine > 0, plane)
    sure = (255 / (1 + np.exp(-np.abs(fine[seen.box])))).astype(np.uint8)
    moved = tuple(
        slice(part.start + by.start, part.stop + by.start) for part, by in zip(seen.box, (rows, columns), strict=True)
    )
    return replace(seen, box=moved, confidence=sure, corrects=False) if seen.extent else Proposal.nothing(plane)


def changed_near(found: Proposal, before: Proposal, newest: Prompt) -> Proposal:
    """The mask before, with those of the changes, each a connected region, that the newest prompt touches.

    After the progressive merge of FocalClick (Chen et al., CVPR 2022). A box or a lasso may change everything.
    """
    if isinstance(newest, Box | Lasso):
        return replace(found, corrects=True)
    box = _around(found, before)
    old, new = _within(before, box, before.mask), _within(found, box, found.mask)
    regions, _ = ndimage.label(old != new, np.ones((3, 3)))
    rows, columns = pixels_of(newest)
    rows, columns = rows - box[0].start, columns - box[1].start
    seen = (rows >= 0) & (rows < old.shape[0]) & (columns >= 0) & (columns < old.shape[1])
    touched = np.unique(regions[rows[seen], columns[seen]])
    mask = old ^ np.isin(regions, touched[touched > 0])
    answer = Proposal.of(mask, found.plane)
    sure = np.where(mask == new, _within(found, box, found.confidence), 255).astype(np.uint8)
    moved = tuple(slice(part.start + by.start, part.stop + by.start) for part, by in zip(answer.box, box, strict=True))
    return replace(answer, box=moved, confidence=sure[answer.box], corrects=True)


def deepest(proposal: Proposal) -> Position:
    """The pixel of an object that is farthest from its border."""
    depths = ndimage.distance_transform_edt(np.pad(proposal.mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depths.argmax(), depths.shape)
    return float(row + proposal.box[0].start), float(column + proposal.box[1].start)


def pixels_of(prompt: Prompt) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of the pixels under a click or a scribble's line."""
    corners = [(round(row), round(column)) for row, column in prompt.path]
    drawn = [line(*first, *second) for first, second in zip(corners, corners[1:] or corners, strict=False)]
    rows, columns = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return rows, columns


def _around(*proposals: Proposal) -> tuple[slice, slice]:
    boxes = [proposal.box for proposal in proposals if proposal.extent]
    rows, columns = (
        slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes)) if boxes else slice(0, 0)
        for axis in range(2)
    )
    return rows, columns


def _within(proposal: Proposal, box: tuple[slice, slice], values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Values of a proposal's box in a larger box; 0 around it."""
    larger = np.zeros(tuple(span.stop - span.start for span in box), values.dtype)
    rows, columns = (
        slice(part.start - by.start, part.stop - by.start) for part, by in zip(proposal.box, box, strict=True)
    )
    if proposal.extent:
        larger[rows, columns] = values
    return larger


def _span(found: npt.NDArray[np.bool_], start: int, length: int, pixels: int) -> slice:
    """The pixels along an axis that cells with something in them, and their neighbours, touch."""
    cells = np.flatnonzero(found)
    size = length / len(found)
    first, after = start + int((cells[0] - 1) * size), start + int((cells[-1] + 2) * size) + 1
    return slice(min(max(first, 0), pixels), min(max(after, 0), pixels))


def _weights(span: slice, start: int, length: int, side: int) -> npt.NDArray[np.float32]:
    """Shares of each cell in each pixel of a span, (pixels, side); beyond the outermost cells their values go on."""
    at = np.clip((np.arange(span.start, span.stop) - start + 0.5) * side / length - 0.5, 0, side - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(side))).astype(np.float32)
