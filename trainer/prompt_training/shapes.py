"""Shapes of organs, lesions, vessels and cells, drawn at random.

A shape is its level: float32 (side, side), above 0 inside and below outside, about the distance from the border in
pixels. So the larger of two levels is their union, the smaller their intersection, and a level less a number is the
shape eroded by as many pixels.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter

from .textures import Field, noise, smooth

FAR = np.float32(-1000)
"""Level of what is nowhere near a shape."""


@lru_cache(maxsize=8)
def grid(side: int) -> tuple[Field, Field]:
    """Rows (side, 1) and columns (1, side)."""
    numbers = np.arange(side, dtype=np.float32)
    return numbers[:, None], numbers[None]


def star(
    rng: np.random.Generator,
    side: int,
    centre: tuple[float, float],
    radius: float,
    *,
    roughness: float = 0.1,
    squeeze: float | None = None,
) -> Field:
    """A shape whose contour is a Fourier series around its centre.

    Args:
        rng: source of chance.
        side: of the frame, in pixels.
        centre: row and column.
        radius: mean distance of the contour from the centre, in pixels.
        roughness: standard deviation of that distance over the mean; 0 is an ellipse.
        squeeze: longest over shortest diameter, at least 1; drawn if None.
    """
    rows, columns = grid(side)
    squeeze = squeeze or 1 + abs(rng.normal(0, 0.4))
    turn, longer = rng.uniform(0, np.pi), math.sqrt(squeeze)
    down, across = rows - np.float32(centre[0]), columns - np.float32(centre[1])
    along = (down * np.float32(math.cos(turn)) + across * np.float32(math.sin(turn))) / np.float32(longer)
    aside = (across * np.float32(math.cos(turn)) - down * np.float32(math.sin(turn))) * np.float32(longer)
    distance = np.hypot(along, aside)
    if roughness == 0:
        return np.asarray(np.float32(radius) - distance, np.float32)
    angles = np.linspace(0, 2 * np.pi, 257)
    waves = np.arange(2, 2 + rng.integers(3, 14))[:, None]
    heights = rng.normal(size=waves.shape) * waves ** -rng.uniform(0.5, 1.8)
    contour = (heights * np.cos(waves * angles + rng.uniform(0, 2 * np.pi, waves.shape))).sum(0)
    contour = radius * np.exp(np.clip(roughness * contour / (contour.std() + 1e-6), -1.2, 0.8))
    turns = (np.arctan2(aside, along) * np.float32(128 / np.pi)).astype(np.int16) + 128
    return np.asarray(contour.astype(np.float32)[turns] - distance, np.float32)


def cloud(rng: np.random.Generator, side: int, centre: tuple[float, float], radius: float) -> Field:
    """A shape with a border of no form: smooth noise above a threshold, near a centre."""
    rows, columns = grid(side)
    distance = np.hypot(rows - np.float32(centre[0]), columns - np.float32(centre[1]))
    hills = noise(rng, side, slope=rng.uniform(1.7, 2.8), lowest=side / (3 * radius))
    return np.asarray(np.float32(radius) - distance + np.float32(radius * rng.uniform(0.15, 0.45)) * hills, np.float32)


def lobes(rng: np.random.Generator, side: int, centre: tuple[float, float], radius: float) -> Field:
    """Several stars grown together."""
    parts = []
    for _ in range(int(rng.integers(2, 5))):
        place = (centre[0] + rng.normal(0, 0.5) * radius, centre[1] + rng.normal(0, 0.5) * radius)
        parts.append(star(rng, side, place, radius * rng.uniform(0.4, 0.8), roughness=rng.uniform(0, 0.12)))
    return np.asarray(np.maximum.reduce(parts), np.float32)


def tube(rng: np.random.Generator, side: int, width: float, *, forks: int = 0) -> Field:
    """A vessel or duct along a spline from somewhere to anywhere, with so many branches that are thinner."""
    level = np.full((side, side), FAR, np.float32)
    joints = [(rng.uniform(0.1, 0.9, 2) * side, rng.uniform(0, 2 * np.pi), width)]
    for _ in range(forks + 1):
        start, heading, thick = joints[int(rng.integers(len(joints)))]
        reach, path = side * rng.uniform(0.05, 0.16), [start]
        for _ in range(5):
            heading += rng.normal(0, 0.45)
            path.append(path[-1] + reach * np.array((math.cos(heading), math.sin(heading))))
        line = make_interp_spline(np.arange(6), np.array(path), k=3)(np.linspace(0, 5, 90))
        widths = thick * np.linspace(1, rng.uniform(0.4, 1.0), len(line))
        for (row, column), wide in zip(line, widths, strict=True):
            _stamp(level, row, column, float(wide / 2))
        for joint in range(10, 70, 15):
            down, across = line[joint + 1] - line[joint]
            turn = rng.choice((-1, 1)) * rng.uniform(0.3, 1.0)
            joints.append((line[joint], math.atan2(across, down) + turn, 0.75 * widths[joint]))
    return level


def _stamp(level: Field, row: float, column: float, radius: float) -> None:
    """Add a disc to a level, in place; around it the level is right as far as 3 pixels."""
    top, left = max(0, int(row - radius - 4)), max(0, int(column - radius - 4))
    part = level[top : max(0, int(row + radius + 5)), left : max(0, int(column + radius + 5))]
    rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    if part.size:
        np.maximum(part, (radius - np.hypot(rows - row, columns - column)).astype(np.float32), out=part)


def crowd(rng: np.random.Generator, side: int, radius: float, most: int = 60) -> tuple[npt.NDArray[np.uint8], Field]:
    """Cells that may touch: their labels 1..n and the level of whichever is nearest.

    Args:
        rng: source of chance.
        side: of the frame, in pixels.
        radius: of a cell, in pixels; each has one of its own, near this.
        most: cells.
    """
    labels = np.zeros((side, side), np.uint8)
    level = np.full((side, side), FAR, np.float32)
    distance = radius * rng.uniform(1.5, 3.5)
    places = np.mgrid[0 : side + distance : distance, 0 : side + distance : distance].reshape(2, -1).T
    places = rng.permutation(places + rng.normal(0, 0.25 * distance, places.shape))
    keep = smooth(rng, side, 3)[tuple(np.clip(places.astype(int), 0, side - 1).T)] > rng.uniform(-1.5, 0.8)
    roughness, squeeze = rng.choice((0, 0.03, 0.06, 0.1)), 1 + abs(rng.normal(0, 0.3))
    for number, (row, column) in enumerate(places[keep][:most], start=1):
        size = float(np.clip(radius * np.exp(rng.normal(0, 0.2)), 4.5, side / 4))
        window = 2 * int(1.7 * size * squeeze**0.5) + 3
        cell = star(rng, window, (window // 2, window // 2), size, roughness=roughness, squeeze=squeeze)
        top, left = int(row) - window // 2, int(column) - window // 2
        here = (slice(max(0, top), max(0, top + window)), slice(max(0, left), max(0, left + window)))
        part = level[here]
        cell = cell[max(0, -top) :, max(0, -left) :][: part.shape[0], : part.shape[1]]
        if part.size:
            labels[here][(cell > part) & (cell > 0)] = number
            np.maximum(part, cell, out=part)
    return labels, level


def ragged(rng: np.random.Generator, level: Field, by: float) -> Field:
    """With a border moved to and fro by `by` pixels."""
    return np.asarray(level + np.float32(by) * noise(rng, level.shape[0], slope=1.4, lowest=6), np.float32)


def weld(level: Field, by: float) -> Field:
    """With corners rounded off, `by` pixels wide."""
    return np.asarray(gaussian_filter(np.clip(level, -3 * by, 3 * by), by, truncate=2.5), np.float32)


def somewhere(rng: np.random.Generator, side: int, margin: float = 0.15) -> tuple[float, float]:
    """A place in the frame, so much of its side from the edges; below 0 it may lie outside."""
    row, column = rng.uniform(margin * side, (1 - margin) * side, 2)
    return float(row), float(column)


def lump(
    rng: np.random.Generator, side: int, centre: tuple[float, float], radius: float, *, plain: bool = False
) -> Field:
    """A shape of any compact kind; a `plain` one has no deep bays."""
    kind = rng.choice(4, p=(0.4, 0.5, 0, 0.1) if plain else (0.25, 0.4, 0.2, 0.15))
    if kind == 0:
        return star(rng, side, centre, radius, roughness=0)
    if kind == 1:
        return star(rng, side, centre, radius, roughness=rng.uniform(0.02, 0.1 if plain else 0.3))
    return (cloud if kind == 2 else lobes)(rng, side, centre, radius)
