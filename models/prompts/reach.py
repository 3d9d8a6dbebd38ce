"""A click lies in the middle of what is wrong, so what is about as near to it as the mask's border is wrong, too.

Where an image does not show a border, the network changes little more than what was clicked, however deep in the error
that lies. Without torch.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .prompts import Point
from .proposal import Proposal
from .rastering import Box2D, around, tight, within

REACH = 0.8
"""Share of the way to the border of the mask so far; less than all of it, as hands do not hit the very middle."""

DEEPEST = 0.8
"""The reach at most, as a share of the largest distance of the mask's pixels from its border."""

ROUND = 0.4
"""Share of the mask that a disc as deep as it has to fill: an error in thin things is thin, however long."""

COARSE = 256
"""Pixels along a side from which on a mask is measured in larger steps."""

SURE = 200
"""Confidence of pixels within reach, at least."""


def reaching(found: Proposal, before: Proposal, click: Point, shape: tuple[int, int]) -> Proposal:
    """An answer in which a click that contradicts the mask so far decides all that is within its reach.

    Args:
        found: the answer.
        before: the mask so far.
        click: the newest.
        shape: of the plane.
    """
    radius = reach(before, click)
    if radius <= 1:
        return found
    (row, column), beyond = (round(x) for x in click.at), math.ceil(radius)
    disc_box = _clipped(row, beyond, shape[0]), _clipped(column, beyond, shape[1])
    box: Box2D = around(found.box if found.extent else None, disc_box)
    rows, columns = np.ogrid[box[0], box[1]]
    disc = np.hypot(rows - row, columns - column) < radius
    mask = np.where(disc, click.positive, within(found, box, found.mask))
    sure = within(found, box, found.confidence)
    return tight(mask, np.where(disc, np.maximum(sure, SURE), sure).astype(np.uint8), box, found)


def reach(before: Proposal, click: Point) -> float:
    """Pixels around a click that it decides.

    0 if it contradicts nothing, or the mask is too thin to tell, or farther away than that is wide, which says little.
    """
    corner = before.box[0].start, before.box[1].start
    row, column = (round(x) - start for x, start in zip(click.at, corner, strict=True))
    inside = 0 <= row < before.mask.shape[0] and 0 <= column < before.mask.shape[1] and before.mask[row, column]
    if not before.extent or bool(inside) == click.positive:
        return 0.0
    depths, step = depths_of(before)
    deepest = float(depths.max())
    if math.pi * deepest**2 < ROUND * before.mask.sum():
        return 0.0
    if click.positive:
        rows, columns = np.nonzero(depths)
        away = float(np.hypot((rows - 1) * step - row, (columns - 1) * step - column).min())
    else:
        away = float(depths[row // step + 1, column // step + 1])
    return min(REACH * away, DEEPEST * deepest) if away <= 2 * deepest else 0.0


def depths_of(object_: Proposal) -> tuple[npt.NDArray[np.float64], int]:
    """Distances of a mask's pixels from its border, in pixels.

    Returns:
        (1 + h + 1, 1 + w + 1), with a border of 0 around every `step`-th row and column of the mask; and that step.
    """
    step = -(-max(object_.mask.shape) // COARSE)
    return ndimage.distance_transform_edt(np.pad(object_.mask[::step, ::step], 1)) * step, step


def _clipped(middle: int, beyond: int, length: int) -> slice:
    return slice(max(0, middle - beyond), min(length, middle + beyond + 1))
