"""Cuts through a body that is full of organs, each with a grey near its neighbours', through a chest, and an organ."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import zoom

from .artefacts import Picture
from .looks import Look, lay, look, unlike
from .shapes import grid, ragged, star, tube
from .textures import Field, smooth, texture

Labels = npt.NDArray[np.uint8]


def organs(rng: np.random.Generator, side: int) -> tuple[Picture, Labels]:
    """A body that its organs fill like a mosaic, with thin layers of fat between some of them."""
    picture, body, flesh = _body(rng, side)
    levels = _mosaic(rng, side, int(rng.integers(4, 18)))
    gap, spread = rng.uniform(-1, 3), np.exp(rng.uniform(np.log(0.08), np.log(0.4)))
    blur, depth = rng.uniform(0.4, 2), np.exp(rng.uniform(np.log(0.01), np.log(0.15)))
    labels, wanted = np.zeros((side, side), np.uint8), 0
    for piece in levels:
        level = np.minimum(piece - np.float32(gap), body - 2)
        shade = flesh.colour * np.float32(np.exp(rng.normal(0, spread))) + np.float32(rng.normal(0, 0.02))
        lay(picture, level, Look(np.clip(shade, 0.02, 1), texture(rng, side), depth).pixels(), blur)
        if rng.random() < 0.75:
            wanted += 1
            labels[level > 0] = wanted
    return _coarse(rng, picture), labels


def chest(rng: np.random.Generator, side: int) -> tuple[Picture, Labels]:
    """Two lungs, dark, with bright vessels, and the heart between them; each is an object."""
    picture, body, flesh = _body(rng, side)
    air = look(rng, side, flesh.colour * np.float32(rng.uniform(0.02, 0.6)), rng.uniform(0.01, 0.2))
    vessels = tube(rng, side, rng.uniform(1.5, 5), forks=int(rng.integers(2, 8)))
    labels = np.zeros((side, side), np.uint8)
    apart = rng.uniform(0.1, 0.24)
    for number, where in enumerate((0.5 - apart, 0.5 + apart), start=1):
        middle = side * rng.normal(0.48, 0.04), side * (where + rng.normal(0, 0.02))
        lung = star(rng, side, middle, side * rng.uniform(0.1, 0.24), roughness=rng.uniform(0, 0.12), squeeze=1.4)
        lung = np.minimum(ragged(rng, lung, rng.uniform(0, 2)), body - 4)
        lung[labels > 0] = -9  # where they touch, a thin wall belongs to the first
        lay(picture, lung, air.pixels(), rng.uniform(0.4, 2))
        lay(picture, np.minimum(lung - 1, vessels), flesh.pixels(), 0.7)
        labels[lung > 0] = number
    heart = star(rng, side, (side * 0.52, side * rng.uniform(0.45, 0.55)), side * rng.uniform(0.05, 0.14))
    heart[labels > 0] = -9
    lay(picture, heart, unlike(rng, side, flesh).pixels(), rng.uniform(0.5, 2))
    labels[heart > 0] = 3
    return _coarse(rng, picture), labels


def parenchyma(rng: np.random.Generator, side: int) -> tuple[Picture, Labels]:
    """An organ with vessels and lesions in it, each an object, the organ at times; in noise, or with black around."""
    picture, body, flesh = _body(rng, side)
    labels = np.zeros((side, side), np.uint8)
    if rng.random() < 0.4:
        labels[body > 0] = 1
    for number in range(2, 2 + int(rng.integers(1, 7))):
        if rng.random() < 0.5:
            level = tube(rng, side, rng.uniform(2, 9), forks=int(rng.integers(0, 4)))
        else:
            level = star(rng, side, tuple(rng.uniform(0.1, 0.9, 2) * side), rng.uniform(4, 16), roughness=0.1)
        level = np.minimum(level, body - 1)
        shade = flesh.colour * np.float32(np.exp(rng.choice((-1, 1)) * rng.uniform(np.log(1.08), np.log(2.5))))
        lay(picture, level, Look(np.clip(shade, 0.01, 1), flesh.texture, flesh.depth).pixels(), rng.uniform(0.4, 1.5))
        labels[level > 0] = number
    grain = rng.standard_normal((side, side), np.float32) * np.float32(rng.uniform(0, 0.3))
    picture += grain[..., None]
    if rng.random() < 0.4:
        picture[body <= 0] = 0
    return _coarse(rng, picture), labels


def _body(rng: np.random.Generator, side: int) -> tuple[Picture, Field, Look]:
    """Flesh in air: the picture, the body's level, and the look of its flesh."""
    air = np.array([rng.uniform(0, 0.2)], np.float32)
    picture = look(rng, side, air, 0.03).pixels()
    middle = side * rng.uniform(0.42, 0.58), side / 2
    body = star(rng, side, middle, side * rng.uniform(0.36, 0.7), roughness=0.04, squeeze=rng.uniform(1, 1.5))
    flesh = look(rng, side, air + np.float32(rng.uniform(0.15, 0.6)), rng.uniform(0.01, 0.08))
    lay(picture, body, flesh.pixels())
    return picture, body, flesh


def _mosaic(rng: np.random.Generator, side: int, pieces: int) -> list[Field]:
    """The frame cut into pieces with bent borders: the level of each, above 0 in one piece at most."""
    rows, columns = grid(side)
    bend = np.float32(side * rng.uniform(0, 0.08))
    rows, columns = rows + bend * smooth(rng, side, 4), columns + bend * smooth(rng, side, 4)
    seeds = rng.uniform(0.05, 0.95, (pieces, 2)).astype(np.float32) * side
    weight = np.float32(side) * rng.uniform(0, 0.12, pieces).astype(np.float32)  # a head start: larger pieces
    away = [np.hypot(rows - row, columns - column) - ahead for (row, column), ahead in zip(seeds, weight, strict=True)]
    distances = np.stack(away)  # (pieces, side, side)
    nearest, second = np.partition(distances, 1, axis=0)[:2]
    return [np.where(one <= nearest, (second - one) / 2, (nearest - one) / 2) for one in distances]


def _coarse(rng: np.random.Generator, picture: Picture) -> Picture:
    """As large voxels show it, in half of all pictures."""
    if rng.random() < 0.5:
        return picture
    factor = rng.uniform(1.3, 4)
    small = zoom(picture, (1 / factor, 1 / factor, 1), order=1, grid_mode=True, mode="nearest")
    back = [large / little for large, little in zip(picture.shape, small.shape, strict=True)]
    return np.asarray(zoom(small, back, order=1, grid_mode=True, mode="nearest"), np.float32)
