"""A user that is simulated: where the next click, scribble or box goes, given the object and the mask so far.

After RITM (Sofiiuk et al., ICIP 2022): a click in the middle of the largest error; scribbles, boxes and lassos after
ScribblePrompt (Wong et al., ECCV 2024).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.draw import polygon

from napari_medseg.models.prompts.channels import BOX, LASSO, NEGATIVE, POSITIVE, Channels, draw_stroke, stamp

Mask = npt.NDArray[np.bool_]


def correct(channels: Channels, truth: Mask, mask: Mask, rng: np.random.Generator) -> None:
    """Draw the next prompt into the channels: a click, at times a scribble, in the larger error; none if all is right.

    Args:
        channels: (4 or more, S, S), see `models.prompts.channels`.
        truth: (S, S), the object.
        mask: (S, S), the answer so far.
        rng: of everything random.
    """
    channel, error = deeper_error(truth, mask)
    if error.max() == 0:
        return
    if rng.random() < 0.15:
        scribble(channels[channel], error, rng)
    else:
        stamp(channels[channel], *deep_cell(error, rng))


def deeper_error(truth: Mask, mask: Mask) -> tuple[int, npt.NDArray[np.int32]]:
    """The channel of the prompt that mends the larger error of a mask, and how deep each cell lies in that error."""
    missing, surplus = depth(truth & ~mask), depth(mask & ~truth)
    return (POSITIVE, missing) if missing.max() >= surplus.max() else (NEGATIVE, surplus)


def depth(region: Mask) -> npt.NDArray[np.int32]:
    """Steps from each cell of a region to its border, chessboard distance; 0 outside."""
    padded = np.pad(region, 1)
    return ndimage.distance_transform_cdt(padded)[1:-1, 1:-1]


def deep_cell(depths: npt.NDArray[np.int32], rng: np.random.Generator) -> tuple[int, int]:
    """A cell near the middle of the deepest part."""
    least = depths.max() * rng.uniform(0.5, 1.0)
    rows, columns = np.nonzero(depths >= least)
    chosen = rng.integers(len(rows))
    return int(rows[chosen]), int(columns[chosen])


def scribble(channel: Channels, depths: npt.NDArray[np.int32], rng: np.random.Generator) -> None:
    """Draw a line from one cell of a region to another, by way of the middle, as far as it stays inside."""
    rows, columns = np.nonzero(depths > 0)
    ends = rng.integers(len(rows), size=2)
    path = np.array([(rows[ends[0]], columns[ends[0]]), deep_cell(depths, rng), (rows[ends[1]], columns[ends[1]])])
    drawn = np.zeros_like(channel)
    draw_stroke(drawn, path.astype(np.float64), int(rng.integers(1, 4)))
    np.maximum(channel, drawn * (depths > 0), out=channel)


def box(channels: Channels, truth: Mask, rng: np.random.Generator) -> None:
    """Draw a box around the object, each side off by up to a tenth of it."""
    rows, columns = np.nonzero(truth)
    low, high = np.array([rows.min(), columns.min()]), np.array([rows.max(), columns.max()]) + 1
    off = (high - low) * rng.uniform(-0.05, 0.1, (2, 2))
    (top, left), (bottom, right) = np.rint([low - off[0], high + off[1]]).astype(int).clip(0)
    channels[BOX, top:bottom, left:right] = 1


def lasso(channels: Channels, truth: Mask, rng: np.random.Generator) -> None:
    """Draw a loose loop around the object: its convex surroundings, some way off."""
    rows, columns = np.nonzero(truth)
    middle = np.array([rows.mean(), columns.mean()])
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(7, 16)))
    directions = np.stack([np.sin(angles), np.cos(angles)], 1)
    reach = (directions @ (np.stack([rows, columns]) - middle[:, None])).max(1)  # of the object, to each side
    corners = middle + directions * (reach * rng.uniform(1.05, 1.35, len(angles)) + rng.uniform(1, 5))[:, None]
    inside = polygon(corners[:, 0], corners[:, 1], truth.shape)
    channels[LASSO][inside] = 1
    channels[LASSO][truth] = 1  # sparse corners may cut something off, which a user would see and avoid


def flawed(truth: Mask, others: Mask, rng: np.random.Generator) -> Mask:
    """A mask with errors as networks, neighbouring slices and hasty hands make them.

    Args:
        truth: (S, S), the object.
        others: (S, S), other objects, which may have been taken for parts of it.
        rng: of everything random.
    """
    mask = truth.copy()
    for _ in range(rng.integers(1, 4)):
        match rng.integers(6):
            case 0:
                mask = np.roll(mask, tuple(rng.integers(-9, 10, 2)), (0, 1))
            case 1:
                mask = ndimage.binary_dilation(mask, iterations=int(rng.integers(1, 7)))
            case 2:
                mask = ndimage.binary_erosion(mask, iterations=int(rng.integers(1, 5)))
            case 3:
                mask = mask & ~_half_plane(mask, rng)
            case 4:
                mask = mask ^ _blob(mask.shape, rng)
            case 5:
                mask = mask | others
    return mask


def _half_plane(mask: Mask, rng: np.random.Generator) -> Mask:
    """All that lies on one side of a line through a cell of the mask."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return mask
    at, angle = rng.integers(len(rows)), rng.uniform(0, 2 * np.pi)
    grid = np.indices(mask.shape)
    return (grid[0] - rows[at]) * np.sin(angle) + (grid[1] - columns[at]) * np.cos(angle) > 0


def _blob(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """A disc with a wavy border, anywhere."""
    grid = np.indices(shape) - rng.uniform(0, shape[0], (2, 1, 1))
    angle = np.arctan2(*grid)
    radius = rng.uniform(4, 24) * (1 + 0.3 * np.sin(rng.integers(2, 6) * angle + rng.uniform(0, 6)))
    return np.hypot(*grid) < radius
