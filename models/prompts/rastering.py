"""Between the cells of a window and the pixels of a plane. Without torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.draw import line

from .prompts import Box, Lasso, Point, Position, Prompt, Prompts, Scribble
from .proposal import Proposal
from .window import SIDE, Window

Box2D: TypeAlias = tuple[slice, slice]
"""Rows and columns."""


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
    rows = _span(np.asarray(found.any(1)), window.top, window.side, shape[0])
    columns = _span(np.asarray(found.any(0)), window.left, window.side, shape[1])
    fine = _between(logits, rows, window.top, window.side)  # (h, S)
    fine = _between(fine.T, columns, window.left, window.side).T  # (h, w)
    sure = (255 / (1 + np.exp(-np.abs(fine)))).astype(np.uint8)
    return tight(fine > 0, sure, (rows, columns), Proposal.nothing(plane))


def changed_near(found: Proposal, before: Proposal, newest: Prompt) -> Proposal:
    """The mask before, with those of the changes, each a connected region, that the newest prompt touches.

    After the progressive merge of FocalClick (Chen et al., CVPR 2022). A box or a lasso may change everything.
    """
    if isinstance(newest, Box | Lasso):
        return replace(found, corrects=True)
    box = around(*(proposal.box if proposal.extent else None for proposal in (found, before)))
    old, new = within(before, box, before.mask), within(found, box, found.mask)
    regions, _ = ndimage.label(old != new, np.ones((3, 3)))
    rows, columns = pixels_of(newest, old.shape, (box[0].start, box[1].start))
    touched = np.unique(regions[rows, columns])
    mask = old ^ np.isin(regions, touched[touched > 0])
    sure = np.where(mask == new, within(found, box, found.confidence), 255).astype(np.uint8)
    return replace(tight(mask, sure, box, found), corrects=True)


def obeyed(found: Proposal, prompts: Prompts, shape: tuple[int, int]) -> Proposal:
    """The mask with every pixel that was clicked, or scribbled over, as it was said to be; the newest is right."""
    marks = [prompt for prompt in prompts if isinstance(prompt, Point | Scribble)]
    drawn = [pixels_of(prompt, shape) for prompt in marks if prompt.positive]
    box = around(found.box if found.extent else None, *(_box_of(*pixels) for pixels in drawn if len(pixels[0])))
    mask, sure = within(found, box, found.mask), within(found, box, found.confidence)
    for prompt in marks:
        pixels = pixels_of(prompt, mask.shape, (box[0].start, box[1].start))
        mask[pixels], sure[pixels] = prompt.positive, 255
    return tight(mask, sure, box, found)


def deepest(proposal: Proposal) -> Position:
    """The pixel of an object that is farthest from its border."""
    depths = ndimage.distance_transform_edt(np.pad(proposal.mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depths.argmax(), depths.shape)
    return float(row + proposal.box[0].start), float(column + proposal.box[1].start)


def pixels_of(
    prompt: Prompt, shape: tuple[int, ...], corner: tuple[int, int] = (0, 0)
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of the pixels under a click or a scribble's line, in an array that begins at a corner."""
    corners = [(round(row) - corner[0], round(column) - corner[1]) for row, column in prompt.path]
    drawn = [line(*first, *second) for first, second in zip(corners, corners[1:] or corners, strict=False)]
    rows, columns = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    seen = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return rows[seen], columns[seen]


def _box_of(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Box2D:
    return slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)


def around(*boxes: Box2D | None) -> Box2D:
    """The box around boxes; an empty one if there are none."""
    known = [box for box in boxes if box]
    rows, columns = (
        slice(min(box[axis].start for box in known), max(box[axis].stop for box in known)) if known else slice(0, 0)
        for axis in range(2)
    )
    return rows, columns


def tight(mask: npt.NDArray[np.bool_], sure: npt.NDArray[np.uint8], box: Box2D, like: Proposal) -> Proposal:
    """A mask that fills a box, in its bounding box."""
    answer = Proposal.of(mask, like.plane)
    if not answer.extent:
        return Proposal.nothing(like.plane)
    rows, columns = (
        slice(part.start + by.start, part.stop + by.start) for part, by in zip(answer.box, box, strict=True)
    )
    return replace(answer, box=(rows, columns), confidence=sure[answer.box].copy(), corrects=like.corrects)


def within(proposal: Proposal, box: Box2D, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
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


def _between(cells: npt.NDArray[np.float32], span: slice, start: int, length: int) -> npt.NDArray[np.float32]:
    """Rows of cells, (S, N), at each pixel of a span: between the middles of two; beyond the outermost theirs go on.

    No matrix product, whose threads would contend with those of the network.
    """
    at = np.clip((np.arange(span.start, span.stop) - start + 0.5) * len(cells) / length - 0.5, 0, len(cells) - 1)
    low = np.minimum(at.astype(int), len(cells) - 2)
    share = (at - low).astype(np.float32)[:, None]
    return np.asarray(cells[low] * (1 - share) + cells[low + 1] * share)
