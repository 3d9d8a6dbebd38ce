"""Scenes: some things that medical images show, and labels of them, before any camera.

None copies a kind of image closely. Each varies far more than the kind does, so that a network learns what an object
is and not what a polyp is (as SynthSeg and ScribblePrompt do for their fields).

Each takes (rng, side) and gives a picture, float32 (side, side, 1 or 3) about 0 to 1, and labels, uint8 (side, side).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from . import artefacts
from .artefacts import Picture
from .looks import Look, base_colour, fading, lay, look, rim, unlike
from .shapes import crowd, grid, lump, ragged, somewhere, star, tube, weld
from .textures import Field, mixed, noise, ridges, smooth, texture

Labels = npt.NDArray[np.uint8]


def anything(rng: np.random.Generator, side: int) -> tuple[Picture, Labels]:
    """Regions of any look on a ground of any look."""
    palette = rng.choice(("any", "mucosa", "skin", "stain")) if rng.random() < 0.4 else None
    ground = look(rng, side, base_colour(rng, palette))
    picture = ground.pixels()
    for _ in range(int(rng.integers(0, 5))):  # organs and other things that nobody asks for
        level = lump(rng, side, somewhere(rng, side, -0.1), side * rng.uniform(0.05, 0.5))
        lay(picture, level, unlike(rng, side, ground).pixels(), rng.uniform(0.5, 5))
    labels, levels = layout(rng, side)
    thing = unlike(rng, side, ground)
    only_rim = rng.random() < 0.1
    blur = np.exp(rng.uniform(np.log(0.5), np.log(5)))
    strength = fading(rng, side) if rng.random() < 0.2 else 1.0
    painted = np.full((side, side), -np.inf, np.float32)
    for level in levels:
        if np.minimum(level, painted).max() > -3 or rng.random() < 0.3:  # two that touch are told apart by their looks
            thing = unlike(rng, side, ground)
        painted = np.maximum(painted, level)
        if not only_rim:
            lay(picture, level, thing.pixels(), blur, strength)
        if rng.random() < 0.2:  # a nucleus, a core, a fold within
            part = lump(rng, side, somewhere(rng, side, 0.1), side * rng.uniform(0.05, 0.3))
            lay(picture, np.minimum(level - 3, part), unlike(rng, side, thing).pixels(), blur)
        if only_rim or rng.random() < 0.25:
            rim(rng, picture, level, broken=rng.random() < 0.5)
    return picture, labels


def layout(rng: np.random.Generator, side: int) -> tuple[Labels, Sequence[Field]]:
    """Labelled shapes of some arrangement, later ones over earlier ones, and the level of each."""
    kind = rng.choice(6, p=(0.3, 0.22, 0.12, 0.14, 0.12, 0.1))
    size = side * np.exp(rng.uniform(np.log(0.05), np.log(0.38)))
    if kind == 0:  # one
        levels = [lump(rng, side, somewhere(rng, side, rng.choice((0.0, 0.2, 0.3))), size)]
    elif kind == 1:  # some, apart or one behind the other
        levels = [
            lump(rng, side, somewhere(rng, side, 0.05), size * rng.uniform(0.4, 1)) for _ in range(rng.integers(2, 8))
        ]
    elif kind == 2:  # vessels
        levels = [tube(rng, side, rng.uniform(3, 14), forks=int(rng.integers(0, 6))) for _ in range(rng.integers(1, 3))]
    elif kind == 3:  # a wall around a lumen
        outer = lump(rng, side, somewhere(rng, side, 0.25), max(size, 0.12 * side))
        inner = weld(outer - side * rng.uniform(0.02, 0.06), 2)
        levels = [outer, inner] if rng.random() < 0.6 else [np.minimum(outer, -inner)]
    elif kind == 4:  # side by side, with a common border
        whole, cut = lump(rng, side, somewhere(rng, side, 0.3), max(size, 0.15 * side)), 20 * smooth(rng, side, 2)
        levels = [np.minimum(whole, cut), np.minimum(whole, -cut)]
    else:
        labels, level = crowd(rng, side, np.exp(rng.uniform(np.log(5), np.log(24))))
        return labels, [level]
    if rng.random() < 0.3:
        levels = [ragged(rng, level, rng.uniform(0.5, 4)) for level in levels]
    labels = np.zeros((side, side), np.uint8)
    for number, level in enumerate(levels, start=1):
        labels[level > 0] = number
    return (np.minimum(labels, 1) if kind == 3 and rng.random() < 0.4 else labels), levels  # wall and lumen are one


def cells(rng: np.random.Generator, side: int) -> tuple[Picture, Labels]:
    """Cells or nuclei: glowing on black, stained on a bright ground, or grey on grey."""
    labels, level = crowd(rng, side, np.exp(rng.uniform(np.log(5), np.log(26))))
    way = rng.choice(3, p=(0.4, 0.35, 0.25))
    each = np.exp(rng.normal(0, rng.uniform(0.05, 0.5), 256)).astype(np.float32)[labels]  # every cell its own shade
    if way == 0:
        ground = look(rng, side, np.array([rng.uniform(0.01, 0.15)], np.float32))
        thing = look(rng, side, ground.colour + np.float32(rng.uniform(0.1, 0.8)))
        pixels = thing.pixels() * each[..., None]
    elif way == 1:
        ground = look(rng, side, base_colour(rng, "stain"), rng.uniform(0.03, 0.25))
        thing = look(
            rng, side, ground.colour * np.float32(rng.uniform(0.25, 0.8)) * np.array((0.8, 0.65, 1.1), np.float32)
        )
        pixels = thing.pixels() * each[..., None] ** np.float32(0.4)
    else:
        ground = look(rng, side, base_colour(rng, None), 0.05)
        thing = unlike(rng, side, ground)
        pixels = thing.pixels() * each[..., None] ** np.float32(0.3)
    picture = ground.pixels()
    if rng.random() < 0.4:  # more of the tissue, which is no cell
        lay(
            picture,
            lump(rng, side, somewhere(rng, side, 0), side * rng.uniform(0.1, 0.5)),
            unlike(rng, side, ground).pixels(),
            3,
        )
    lay(picture, level, pixels, rng.uniform(0.5, 1.5))
    if rng.random() < 0.4:
        rim(rng, picture, level, broken=False)
    return picture, labels


def cavity(rng: np.random.Generator, side: int) -> tuple[Picture, Labels]:
    """The inside of a hollow organ, lit by a lamp at the camera: folds, a dark lumen, and bumps, the objects."""
    grain = noise(rng, side, rng.uniform(0.4, 1.6))
    ground = Look(base_colour(rng, "mucosa"), grain, rng.uniform(0.01, 0.1))
    pixels = ground.pixels()
    vessels = ridges(rng, side, int(rng.integers(6, 16)))
    pixels *= 1 - rng.uniform(0, 0.08) * np.maximum(vessels, 0)[..., None] * np.array((0.3, 1, 1), np.float32)
    folds = ridges(rng, side, int(rng.integers(2, 4)), width=rng.uniform(0.4, 1.2), stretch=np.exp(rng.normal(0, 0.5)))
    height = side * (rng.uniform(0, 0.035) * folds + rng.uniform(0.02, 0.07) * smooth(rng, side, 3))
    labels = np.zeros((side, side), np.uint8)
    for number in range(1, 2 + int(rng.random() < 0.25)):
        size = side * np.exp(rng.uniform(np.log(0.06), np.log(0.36)))
        level = weld(lump(rng, side, somewhere(rng, side, 0.12), size, plain=rng.random() < 0.8), 2)
        bump = unlike(rng, side, ground) if rng.random() < 0.7 else ground
        lay(pixels, level, 0.5 * bump.pixels() + 0.5 * pixels, np.exp(rng.uniform(0, 1.6)))
        dome = (np.clip(level, 0, None) / np.float32(size)) ** np.float32(rng.uniform(0.5, 1.3))
        height += np.float32(size * rng.uniform(0.25, 0.9)) * dome
        labels[level > 0] = number
    lamp = somewhere(rng, side, 0.1)
    picture = lit(pixels, height, lamp, rng.uniform(0.5, 2.5))
    if rng.random() < 0.6:  # deep in, no light comes back
        deep = lump(rng, side, somewhere(rng, side, 0), side * rng.uniform(0.1, 0.35))
        deep = np.where(labels > 0, np.float32(-9), deep)
        lay(picture, deep, pixels * np.float32(rng.uniform(0.02, 0.3)), rng.uniform(4, 25))
    if rng.random() < 0.6:
        picture = artefacts.highlights(rng, picture)
    return (artefacts.black_frame(rng, picture) if rng.random() < 0.5 else picture), labels


def lit(pixels: Picture, height: Field, lamp: tuple[float, float], fall: float) -> Picture:
    """A relief in the light of a lamp above `lamp`, by Lambert's law, weaker with the distance."""
    side = len(pixels)
    rows, columns = grid(side)
    down, across = np.gradient(height)
    above = np.float32(0.8 * side)
    to_row, to_column = (lamp[0] - rows), (lamp[1] - columns)
    length = np.sqrt(np.square(to_row) + np.square(to_column) + above * above)
    cosine = (above - down * to_row - across * to_column) / (length * np.sqrt(1 + down * down + across * across))
    light = np.clip(cosine, 0.05, None) * (above / length) ** np.float32(fall)
    return np.asarray(pixels * np.float32(1.25) * light[..., None], np.float32)


def skin(rng: np.random.Generator, side: int) -> tuple[Picture, Labels]:
    """A spot on a surface: skin and what grows on it, with hairs, freckles and a ruler."""
    ground = Look(base_colour(rng, "skin"), noise(rng, side, rng.uniform(0.2, 1.6)), rng.uniform(0.01, 0.08))
    picture = ground.pixels()
    picture *= 1 + np.float32(0.08) * smooth(rng, side, 3)[..., None] * np.array((0.3, 1, 0.8), np.float32)
    if rng.random() < 0.3:  # freckles
        _, freckles = crowd(rng, side, rng.uniform(4.5, 7), most=20)
        lay(picture, freckles, picture * np.float32(rng.uniform(0.75, 0.95)), 3)
    size = side * np.exp(rng.uniform(np.log(0.06), np.log(0.36)))
    level = ragged(
        rng, lump(rng, side, somewhere(rng, side, 0.25), size, plain=rng.random() < 0.6), rng.uniform(0.2, 4)
    )
    shade = np.array((0.75, 0.6, 0.55), np.float32) ** np.float32(rng.uniform(0.2, 3)) * rng.uniform(0.9, 1.1, 3)
    spot = look(rng, side, np.asarray(ground.colour * shade, np.float32), rng.uniform(0.03, 0.3))
    lay(picture, level, spot.pixels(), size * np.exp(rng.uniform(np.log(0.03), np.log(0.35))))
    for _ in range(int(rng.integers(0, 4))):  # darker, redder or paler inside
        part = np.minimum(level, lump(rng, side, somewhere(rng, side, 0.3), size * rng.uniform(0.3, 0.8)))
        lay(picture, part, picture * rng.uniform(0.5, 1.3, 3).astype(np.float32), rng.uniform(1, 8))
    for chance, artefact in (
        (0.35, artefacts.hairs),
        (0.15, artefacts.ruler),
        (0.15, artefacts.sticker),
        (0.2, artefacts.black_frame),
    ):
        if rng.random() < chance:
            picture = artefact(rng, picture)
    return picture, (level > 0).astype(np.uint8)


def echo(rng: np.random.Generator, side: int) -> tuple[Picture, Labels]:
    """Layers of tissue in speckle, seen from above: dark or bright lumps, rings of bone, and what lies below them."""
    layers = noise(rng, side, rng.uniform(1.0, 1.8), stretch=rng.uniform(1.5, 8))
    fibres = ridges(rng, side, int(rng.integers(6, 14)), stretch=rng.uniform(1.5, 4))
    tissue = mixed(layers, fibres, rng.uniform(0.6, 1))
    picture = np.exp(rng.uniform(0.2, 0.6) * tissue)[..., None] * np.float32(rng.uniform(0.15, 0.5))
    for _ in range(int(rng.integers(0, 4))):  # fat, muscle, shadows of other things
        other = lump(rng, side, somewhere(rng, side, -0.1), side * rng.uniform(0.05, 0.35))
        lay(picture, other, picture * np.float32(np.exp(rng.normal(0, 0.6))), rng.uniform(2, 12))
    labels = np.zeros((side, side), np.uint8)
    for number in range(1, 2 + int(rng.random() < 0.3)):
        size = side * np.exp(rng.uniform(np.log(0.05), np.log(0.36)))
        level = (_ring if rng.random() < 0.35 else _lesion)(rng, picture, size)
        labels[level > 0] = number
    picture = artefacts.speckled(rng, picture, rng.uniform(0.2, 0.52))
    for chance, artefact in (
        (0.6, artefacts.depth_gain),
        (0.4, artefacts.beams),
        (0.25, artefacts.wedge),
        (0.1, artefacts.ruler),
    ):
        if rng.random() < chance:
            picture = artefact(rng, picture)
    picture = picture * np.float32(rng.uniform(0.7, 1.1) / (np.percentile(picture, 98) + 1e-3))
    return np.clip(picture, 0, 4) ** np.float32(rng.uniform(0.5, 1.2)), labels


def _lesion(rng: np.random.Generator, picture: Picture, size: float) -> Field:
    """Paint a lump that sends less or more back, with a shadow or a bright band below; gives its level."""
    side = len(picture)
    level = lump(rng, side, somewhere(rng, side, 0.15), size, plain=rng.random() < 0.6)
    if rng.random() < 0.4:
        level = ragged(rng, level, rng.uniform(1, 6))
    below = np.cumsum(level > 0, 0, dtype=np.float32) / (2 * size)
    behind = np.where(level > 0, 0, np.minimum(below, 1))
    if rng.random() < 0.6:
        picture *= np.exp(np.float32(rng.normal(-0.2, 0.7)) * behind)[..., None]
    by = -np.exp(rng.uniform(np.log(0.15), np.log(2.2))) if rng.random() < 0.8 else rng.uniform(0.15, 0.8)
    inside = picture * np.exp(by)
    if rng.random() < 0.5:
        inside = inside.mean() * np.exp(rng.uniform(0, 0.5) * texture(rng, side))[..., None]
    strength = fading(rng, side) if rng.random() < 0.35 else 1.0
    lay(picture, level, inside.astype(np.float32), np.exp(rng.uniform(0, 1.9)), strength)
    if rng.random() < 0.25:
        rim(rng, picture, level, broken=True)
    return level


def _ring(rng: np.random.Generator, picture: Picture, size: float) -> Field:
    """Paint a closed bright border, broken in places, around much the same as outside; gives its level."""
    side = len(picture)
    level = star(
        rng, side, somewhere(rng, side, 0.25), size, roughness=rng.choice((0, 0.03)), squeeze=rng.uniform(1, 1.6)
    )
    inside = picture * np.float32(rng.uniform(0.25, 1)) * np.exp(0.3 * texture(rng, side))[..., None]
    lay(picture, level, inside.astype(np.float32), 3)
    width = side * rng.uniform(0.008, 0.03)
    parts = np.clip(smooth(rng, side, 3) + rng.uniform(0.3, 1.5), 0.05, 1)
    picture += (rng.uniform(0.3, 0.9) * parts * np.exp(-np.square((level - width) / width)))[..., None].astype(
        np.float32
    )
    return level


def section(rng: np.random.Generator, side: int) -> tuple[Picture, Labels]:
    """A cut through a body: organs side by side of nearly one grey, dark lungs, bright bones, vessels in an organ."""
    air = np.array([rng.uniform(0, 0.3)], np.float32)
    picture = look(rng, side, air, 0.03).pixels()
    body = star(
        rng,
        side,
        (side * rng.uniform(0.42, 0.58), side / 2),
        side * rng.uniform(0.32, 0.6),
        roughness=0.04,
        squeeze=rng.uniform(1, 1.5),
    )
    flesh = look(rng, side, air + np.float32(rng.uniform(0.1, 0.4)), rng.uniform(0.01, 0.08))
    lay(picture, body, flesh.pixels())
    labels = np.zeros((side, side), np.uint8)
    wanted = 0
    for _ in range(int(rng.integers(2, 9))):
        size = side * np.exp(rng.uniform(np.log(0.035), np.log(0.25)))
        level = np.minimum(lump(rng, side, somewhere(rng, side, 0.2), size, plain=rng.random() < 0.7), body - 3)
        organ = unlike(rng, side, flesh)
        lay(
            picture,
            level,
            replace(organ, depth=min(organ.depth, rng.uniform(0.01, 0.15))).pixels(),
            rng.uniform(0.5, 2),
        )
        if asked := rng.random() < 0.75:
            wanted += 1
        labels[level > 0] = wanted if asked else 0
    if rng.random() < 0.35:
        liver = lump(rng, side, somewhere(rng, side, 0.3), side * rng.uniform(0.15, 0.35))
        vessels = np.minimum(tube(rng, side, rng.uniform(3, 8), forks=int(rng.integers(1, 7))), liver)
        lay(picture, liver, look(rng, side, flesh.colour, None).pixels())
        labels[liver > 0] = wanted + 1
        lay(picture, vessels, unlike(rng, side, flesh).pixels())
        labels[vessels > 0] = wanted + 2
    return picture, labels
