"""What regions of a scene look like, and how they are painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .artefacts import Picture
from .textures import Field, smooth, texture

PALETTES = {
    "mucosa": ((0.78, 0.45, 0.34), (0.1, 0.09, 0.08)),
    "skin": ((0.8, 0.62, 0.55), (0.1, 0.1, 0.12)),
    "stain": ((0.75, 0.55, 0.75), (0.15, 0.18, 0.12)),
    "any": ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
}
"""Mean and spread of base colours, red, green, blue."""


@dataclass(frozen=True)
class Look:
    """What a region looks like: a colour (C,), and a texture that brightens and darkens it by `depth` of itself."""

    colour: npt.NDArray[np.float32]
    texture: Field
    depth: float

    def pixels(self) -> Picture:
        """All over the frame."""
        return np.asarray(self.colour * (1 + np.float32(self.depth) * self.texture)[..., None], np.float32)


def look(rng: np.random.Generator, side: int, colour: npt.NDArray[np.float32], depth: float | None = None) -> Look:
    """A random texture on a colour."""
    return Look(colour, texture(rng, side), np.exp(rng.uniform(-3.9, -1.1)) if depth is None else depth)


def base_colour(rng: np.random.Generator, palette: str | None) -> npt.NDArray[np.float32]:
    """A colour of a palette, or a grey (1,) if that is None."""
    if palette is None:
        return rng.uniform(0.05, 0.9, 1).astype(np.float32)
    mean, spread = PALETTES[palette]
    return np.clip(rng.normal(mean, spread), 0.03, 0.98).astype(np.float32)


def unlike(rng: np.random.Generator, side: int, ground: Look) -> Look:
    """A look that differs from another by colour, by texture, or both; by a lot or hardly."""
    kind = rng.choice(3, p=(0.45, 0.2, 0.35))
    if kind == 1:  # by texture only
        return Look(ground.colour, texture(rng, side), max(0.1, ground.depth) * np.exp(rng.choice((-1.2, 0.4, 0.8))))
    by = np.exp(rng.uniform(np.log(max(0.04, 0.4 * ground.depth)), np.log(0.7))) * rng.choice((-1, 1))
    tint = rng.normal(0, 0.25 * abs(by), ground.colour.size) if ground.colour.size == 3 else 0
    colour = np.clip(ground.colour * (1 + by) + 0.15 * by + tint, 0.01, 1).astype(np.float32)
    return Look(colour, ground.texture, ground.depth) if kind == 0 else look(rng, side, colour)


def lay(
    picture: Picture,
    level: Field,
    pixels: Picture | npt.NDArray[np.float32],
    blur: float = 0.7,
    strength: Field | float = 1.0,
) -> None:
    """Paint a shape over a picture in place, so strongly; its border is `blur` pixels soft to either side."""
    cover = np.clip(level / np.float32(2 * blur) + np.float32(0.5), 0, 1) * np.asarray(strength, np.float32)
    picture += cover[..., None] * (pixels - picture)


def fading(rng: np.random.Generator, side: int) -> Field:
    """A strength for `lay` that leaves a shape hardly to be seen in places, also along a part of its border."""
    return np.clip(0.6 + rng.uniform(0.2, 0.6) * smooth(rng, side, int(rng.integers(1, 5))), 0.05, 1)


def rim(rng: np.random.Generator, picture: Picture, level: Field, *, broken: bool) -> None:
    """Draw the border of a shape, brighter or darker than what is there, in place; in parts if `broken`."""
    width, by = rng.uniform(0.8, 4), rng.uniform(0.15, 0.7) * rng.choice((-1, 1), p=(0.3, 0.7))
    line = np.exp(-np.square((level - width) / np.float32(width)))
    if broken:
        line = line * np.clip(smooth(rng, len(picture), int(rng.integers(2, 6))) + rng.uniform(0, 1), 0, 1)
    picture += np.float32(by) * line[..., None]
