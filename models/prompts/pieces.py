"""An object in pieces that lie apart, such as both lungs on a slice: each is worked on by itself. Without torch.

A window around all of them would show none of them well, and what is said of one says nothing of the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .prompts import Box, Lasso, Prompt, Prompts
from .proposal import Piece, Proposal
from .rastering import Box2D, around, pixels_of, tight, within

NEIGHBOURS = np.ones((3, 3), bool)
"""Pixels that touch by a corner are of one piece."""

FOLLOWED = 4
"""Pieces of an object that are followed to the next plane by themselves, at most; crumbs are followed as a whole."""

PIECE = 40
"""Pixels that such a piece has at least."""

SHARE = 0.1
"""Share of the largest one's pixels that it has at least; smaller ones go with the largest."""

CLEAR = 2.0
"""A piece that is looked for by itself has to be so many times as large as the one that was found without."""


def meant(before: Proposal, prompts: Prompts) -> tuple[list[Piece], int]:
    """The pieces of an object before the newest prompt, and which of them that is about: the nearest."""
    newest = prompts.items[-1]
    if not before.pieces or isinstance(newest, Box | Lasso):
        return [Piece(prompts.but_newest(), replace(before, pieces=()))], 0
    away = [_distance(piece.proposal, newest) for piece in before.pieces]
    return list(before.pieces), away.index(min(away))


def lies_apart(found: Proposal, before: Proposal, newest: Prompt) -> bool:
    """Whether the newest prompt says that something is the object which no answer joined to it."""
    if not newest.positive or isinstance(newest, Box | Lasso) or not before.extent:
        return False
    touched = under(found, newest)
    return touched.extent is not None and not touching(touched, [before])


def found_again(whole: Proposal, prompts: Prompts) -> Proposal:
    """A mask that a brush, say, has been in since, with its pieces: parts that lie apart and were each clicked on.

    What was not clicked on, and a prompt beside all of them, belong to the nearest. An object that a box or a lasso
    went around is worked on as a whole, as is one of which no two parts were clicked on.

    Args:
        whole: the object as it is.
        prompts: that it has got so far.
    """
    if not whole.extent or any(isinstance(prompt, Box | Lasso) for prompt in prompts):
        return whole
    parts, _ = ndimage.label(whole.mask, NEIGHBOURS)
    sizes = np.bincount(parts.ravel())
    corner = whole.box[0].start, whole.box[1].start
    hit = [parts[pixels_of(prompt, parts.shape, corner)] for prompt in prompts if prompt.positive]
    numbers = dict.fromkeys(int(number) for here in hit for number in here if number)
    clicked = [number for number in numbers if sizes[number] >= SHARE * sizes[1:].max()]
    if len(clicked) < 2:
        return whole
    nearest = ndimage.distance_transform_edt(~np.isin(parts, clicked), return_distances=False, return_indices=True)
    owner = parts[tuple(nearest)]
    found = [tight(whole.mask & (owner == number), whole.confidence, whole.box, whole) for number in clicked]
    about: list[list[Prompt]] = [[] for _ in found]
    for prompt in prompts:
        away = [_distance(one, prompt) for one in found]
        about[away.index(min(away))].append(prompt)
    known = (Piece(Prompts(tuple(those)), one) for those, one in zip(about, found, strict=True))
    return replace(whole, pieces=tuple(known))


def under(found: Proposal, prompt: Prompt) -> Proposal:
    """What of an answer hangs together with the pixels of a prompt."""
    pieces, _ = ndimage.label(found.mask, NEIGHBOURS)
    rows, columns = pixels_of(prompt, found.mask.shape, (found.box[0].start, found.box[1].start))
    numbers = np.unique(pieces[rows, columns])
    return tight(np.isin(pieces, numbers[numbers > 0]), found.confidence, found.box, found)


def to_follow(whole: Proposal) -> list[Proposal]:
    """The pieces of an object that are followed by themselves, the largest first; itself if it is in one."""
    numbers, _ = ndimage.label(whole.mask, NEIGHBOURS)
    sizes = np.bincount(numbers.ravel())[1:]
    large = [number + 1 for number in np.argsort(-sizes) if sizes[number] >= max(PIECE, SHARE * sizes.max())]
    if not 2 <= len(large) <= FOLLOWED:
        return [whole]
    first = whole.mask & ~np.isin(numbers, large[1:])
    masks = [first, *(numbers == number for number in large[1:])]
    return [tight(mask, whole.confidence, whole.box, whole) for mask in masks]


def touching(one: Proposal, others: Sequence[Proposal]) -> bool:
    """Whether a mask lies over another one, or beside it."""
    for other in others:
        if not one.extent or not other.extent:
            continue
        box = around(one.box, other.box)
        grown = ndimage.binary_dilation(_full(one, box), NEIGHBOURS)
        if (grown & _full(other, box)).any():
            return True
    return False


def larger(alone: Proposal, found: Proposal) -> bool:
    """Whether looking for a piece by itself has brought more than a spot."""
    return int(alone.mask.sum()) > CLEAR * int(found.mask.sum())


def joined(pieces: Sequence[Piece]) -> Proposal:
    """All pieces as one object."""
    proposals = [piece.proposal for piece in pieces]
    box = around(*(one.box if one.extent else None for one in proposals))
    mask = np.any([_full(one, box) for one in proposals], axis=0)
    sure = np.max([within(one, box, np.where(one.mask, one.confidence, 0)) for one in proposals], axis=0)
    known = np.max([within(one, box, one.confidence) for one in proposals], axis=0)
    sure = np.where(mask, sure, known).astype(np.uint8)
    return tight(mask, sure, box, proposals[0])


def _distance(piece: Proposal, prompt: Prompt) -> float:
    """Pixels from the middle of where a prompt began to the nearest pixel of a piece; infinite if it is empty."""
    rows, columns = np.nonzero(piece.mask)
    if not len(rows):
        return math.inf
    row, column = prompt.path[0]
    return float(np.hypot(rows + piece.box[0].start - row, columns + piece.box[1].start - column).min())


def _full(one: Proposal, box: Box2D) -> npt.NDArray[np.bool_]:
    return within(one, box, one.mask)
