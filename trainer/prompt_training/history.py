"""What there is before a network is asked: the object on a neighbouring slice, or the mask that many clicks left.

A few rounds of training show a network how a correction begins. How it ends is another task: the mask is nearly right,
a dozen clicks lie along the border, and where the image shows no border they alone say where it is. What a user wants
then is that the next click mends its place and nothing else moves.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_medseg.models.prompts.channels import MASK, MASKED, POSITIVE, Channels, stamp

from .simulation import Mask, correct, deep_cell, deeper_error, depth, flawed
from .textures import smooth


def corrected(channels: Channels, truth: Mask, others: Mask, clicks: int, rng: np.random.Generator) -> None:
    """Draw a click into the object, up to `clicks` corrections of a first guess, and the mask before the last of them.

    Args:
        channels: (6, S, S), see `models.prompts.channels`.
        truth: (S, S), the object.
        others: (S, S), other objects, which the guess may have taken for parts of it.
        clicks: at least 1.
        rng: of everything random.
    """
    stamp(channels[POSITIVE], *deep_cell(depth(truth), rng))
    mask = guess(truth, others, rng)
    for _ in range(clicks - 1):
        channel, error = deeper_error(truth, mask)
        if error.max() == 0:
            break
        at = deep_cell(error, rng)
        stamp(channels[channel], *at)
        near = _disc(mask.shape, at, 1 + error[at] * rng.uniform(0.7, 2))
        mask = np.where(near, truth, mask)
    correct(channels, truth, mask, rng)
    channels[MASK], channels[MASKED] = mask, 1


def carried(channels: Channels, truth: Mask, others: Mask, rng: np.random.Generator) -> None:
    """Draw the object as it may be one slice before, and a click in its middle: it is followed from slice to slice.

    Args:
        channels: (6, S, S), see `models.prompts.channels`.
        truth: (S, S), the object on this slice.
        others: (S, S), other objects.
        rng: of everything random.
    """
    before = guess(_resized(truth, rng), others, rng)
    before = before if before.any() else truth
    channels[MASK], channels[MASKED] = before, 1
    depths = depth(before)
    row, column = divmod(int(depths.argmax()), len(truth))
    if truth[row, column]:
        stamp(channels[POSITIVE], row, column)
    elif (before & truth).any():
        stamp(channels[POSITIVE], *deep_cell(depth(before & truth), rng))
    else:
        correct(channels, truth, before, rng)


def guess(truth: Mask, others: Mask, rng: np.random.Generator) -> Mask:
    """An object with another border: bent here and there, at times too wide or too narrow all around, or flawed."""
    amplitude = np.sqrt(truth.sum()) * np.exp(rng.uniform(np.log(0.02), np.log(0.25)))
    side, cells = len(truth), int(rng.integers(3, 14))
    rows, columns = (
        np.clip(np.rint(places + amplitude * smooth(rng, side, cells)), 0, side - 1).astype(int)
        for places in np.indices(truth.shape)
    )
    bent = truth[rows, columns]
    kind = rng.random()
    if kind < 0.2:
        return flawed(bent, others, rng)
    if kind < 0.7:
        return _moved(bent, rng)
    return bent


def _resized(mask: Mask, rng: np.random.Generator) -> Mask:
    """An object two thirds to one and a half times as long, and off its place by about a tenth of that."""
    cells = np.argwhere(mask)
    zoom = np.exp(rng.uniform(-0.45, 0.45))
    middle = cells.mean(0) + 0.1 * np.ptp(cells, axis=0) * rng.standard_normal(2)
    rows, columns = (
        np.clip(np.rint((np.arange(len(mask)) - to) * zoom + since), 0, len(mask) - 1).astype(int)
        for to, since in zip(middle, cells.mean(0), strict=True)
    )
    return np.asarray(mask[np.ix_(rows, columns)])


def _moved(mask: Mask, rng: np.random.Generator) -> Mask:
    """A mask whose border lies farther out, or farther in, by a sixth of its width at most, but by a cell at least."""
    width = max(1, int(depth(mask).max()) // 3)
    steps = int(rng.integers(1, max(2, min(6, width + 1))))
    if rng.random() < 0.6:
        return np.asarray(ndimage.binary_dilation(mask, iterations=steps))
    return np.asarray(ndimage.binary_erosion(mask, iterations=steps, border_value=1))


def _disc(shape: tuple[int, ...], at: tuple[int, int], radius: float) -> Mask:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= radius**2)
