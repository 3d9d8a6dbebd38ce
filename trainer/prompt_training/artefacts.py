"""What light, optics, probes, people and files do to an image; each takes and gives float32 (side, side, C), 0 to 1.

C is 1 or 3.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d, uniform_filter1d

from .shapes import grid, somewhere, star, tube
from .textures import smooth, speckle

Picture = npt.NDArray[np.float32]
"""(side, side, C), 0 to 1, C is 1 or 3."""


def camera(rng: np.random.Generator, picture: Picture) -> Picture:
    """What may happen to any image: light, contrast, focus, noise, compression, marks."""
    for chance, artefact in (
        (0.35, uneven_light),
        (0.15, vignette),
        (0.3, tone),
        (0.25, out_of_focus),
        (0.35, grain),
        (0.06, marks),
        (0.25, compressed),
    ):
        if rng.random() < chance:
            picture = artefact(rng, picture)
    if rng.random() < 0.06:
        picture = 1 - picture
    return np.clip(picture, 0, 1)


def uneven_light(rng: np.random.Generator, picture: Picture) -> Picture:
    """Brighter on one side, or here and there."""
    light = smooth(rng, len(picture), int(rng.integers(1, 4)))
    return np.asarray(picture * np.exp(np.float32(rng.uniform(0.05, 0.35)) * light)[..., None], np.float32)


def vignette(rng: np.random.Generator, picture: Picture) -> Picture:
    """Darker towards the corners."""
    side = len(picture)
    rows, columns = grid(side)
    row, column = somewhere(rng, side, 0.35)
    far = np.square((rows - row) / side) + np.square((columns - column) / side)
    return np.asarray(picture * np.exp(-np.float32(rng.uniform(0.5, 3)) * far)[..., None], np.float32)


def tone(rng: np.random.Generator, picture: Picture) -> Picture:
    """Another contrast, brightness and gamma."""
    low, high = rng.uniform(-0.15, 0.25), rng.uniform(0.75, 1.25)
    stretched = np.clip((picture - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(stretched ** np.float32(np.exp(rng.normal(0, 0.35))), np.float32)


def out_of_focus(rng: np.random.Generator, picture: Picture) -> Picture:
    """Blurred, sometimes in one direction only."""
    width = rng.uniform(0.4, 1.8)
    if rng.random() < 0.2:
        return np.asarray(uniform_filter1d(picture, int(3 * width) + 1, axis=int(rng.integers(2))), np.float32)
    return np.asarray(gaussian_filter(picture, (width, width, 0), truncate=2.5), np.float32)


def grain(rng: np.random.Generator, picture: Picture) -> Picture:
    """A sensor's noise, more of it where it is bright in some."""
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(0.005, 0.06))
    if rng.random() < 0.3:
        noise = gaussian_filter(noise, (0.7, 0.7, 0)) * 2
    return np.asarray(picture + noise * (np.sqrt(np.clip(picture, 0, 1)) + np.float32(0.3)), np.float32)


def compressed(rng: np.random.Generator, picture: Picture) -> Picture:
    """As a JPEG of low quality shows it."""
    file = io.BytesIO()
    levels = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    quality = int(rng.integers(25, 85))
    Image.fromarray(levels[..., 0] if picture.shape[2] == 1 else levels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32).reshape(picture.shape) / np.float32(255)


def marks(rng: np.random.Generator, picture: Picture) -> Picture:
    """Burned-in letters, crosses and a box."""
    picture, side = picture.copy(), len(picture)
    value = rng.choice((0.0, 1.0))
    for _ in range(int(rng.integers(1, 4))):  # rows of strokes that look like writing from afar
        row, column = rng.integers(0, side - 10, 2)
        length = int(rng.integers(8, 60))
        letters = rng.random((5, length)) < 0.45
        letters[:, ::4] = False
        part = picture[row : row + 5, column : column + length]
        part[letters[: part.shape[0], : part.shape[1]]] = value
    if rng.random() < 0.5:
        height, width = rng.integers(side // 10, side // 4, 2)
        picture[-height:, :width] = 0
    return picture


def ruler(rng: np.random.Generator, picture: Picture) -> Picture:
    """A scale along one side."""
    picture, side = picture.copy(), len(picture)
    first, length, at = int(rng.integers(2, side // 2)), int(rng.integers(side // 4, side)), int(rng.integers(3, 20))
    step, value = int(rng.integers(4, 9)), np.float32(rng.choice((0.1, 0.95)))
    scale = np.moveaxis(picture, 1, 0) if rng.random() < 0.5 else picture
    scale[-at, first : first + length] = value
    scale[-at - 3 : -at, first : first + length : step] = value
    return picture


def hairs(rng: np.random.Generator, picture: Picture) -> Picture:
    """A few hairs, dark or bright."""
    side = len(picture)
    shade = np.float32(rng.choice((0.08, 0.12, 0.2, 0.8)))
    for _ in range(int(rng.integers(1, 4))):
        level = tube(rng, side, rng.uniform(0.6, 2.0), forks=int(rng.integers(0, 3)))
        cover = np.float32(rng.uniform(0.4, 1)) * np.clip(level + 0.5, 0, 1)[..., None]
        picture = picture * (1 - cover) + shade * cover
    return picture


def highlights(rng: np.random.Generator, picture: Picture) -> Picture:
    """Where wet tissue mirrors the lamp: small white spots in groups."""
    side = len(picture)
    glitter = smooth(rng, side, int(rng.integers(12, 30))) + smooth(rng, side, 3) - np.float32(rng.uniform(2.0, 3.2))
    cover = np.clip(3 * glitter, 0, 1)[..., None] * np.float32(rng.uniform(0.6, 1))
    return np.asarray(picture * (1 - cover) + cover, np.float32)


def black_frame(rng: np.random.Generator, picture: Picture) -> Picture:
    """Seen through a tube: a round or eight-cornered window, black around it."""
    side = len(picture)
    rows, columns = grid(side)
    middle = side / 2 + rng.normal(0, side / 25, 2)
    down, across = np.abs(rows - middle[0]), np.abs(columns - middle[1])
    if rng.random() < 0.5:
        level = side * rng.uniform(0.48, 0.62) - np.hypot(down, across)
    else:
        half, cut = side * rng.uniform(0.4, 0.5), side * rng.uniform(0.6, 0.85)
        level = np.minimum(half - np.maximum(down, across), cut - down - across)
    edge = np.clip(level / np.float32(rng.uniform(0.5, 3)), 0, 1)[..., None]
    return np.asarray(picture * edge + np.float32(rng.uniform(0, 0.06)) * (1 - edge), np.float32)


def wedge(rng: np.random.Generator, picture: Picture) -> Picture:
    """The fan that a curved probe sees, black beside it."""
    side = len(picture)
    rows, columns = grid(side)
    apex = (-side * rng.uniform(0.05, 0.6), side * rng.uniform(0.4, 0.6))
    distance = np.hypot(rows - apex[0], columns - apex[1])
    angle = np.abs(np.arctan2(columns - apex[1], rows - apex[0]))
    near = -apex[0] * rng.uniform(0.9, 1.2)
    inside = (angle < rng.uniform(0.45, 0.9)) & (distance > near) & (distance < near + side * rng.uniform(0.85, 1.2))
    return np.asarray(picture * inside[..., None], np.float32)


def depth_gain(rng: np.random.Generator, picture: Picture) -> Picture:
    """Brightness that changes with the depth, as an ultrasound's gain is set."""
    gain = np.cumsum(rng.normal(0, 1, len(picture)))
    gain = gaussian_filter1d(gain, len(picture) / 10)
    gain = (gain - gain.mean()) / (gain.std() + 1e-6) - rng.uniform(0, 1.5) * np.linspace(-1, 1, len(picture))
    return np.asarray(picture * np.exp(0.3 * gain).astype(np.float32)[:, None, None], np.float32)


def beams(rng: np.random.Generator, picture: Picture) -> Picture:
    """Columns that a probe sees less of: gas, bone, no contact."""
    width = len(picture)
    shade = gaussian_filter1d(rng.normal(0, 1, width), rng.uniform(3, 20))
    shade = np.clip(shade / (shade.std() + 1e-6) - rng.uniform(0.5, 1.5), 0, 1)
    below = np.linspace(0.3, 1, width)[:, None]
    return np.asarray(
        picture * (1 - (rng.uniform(0.3, 0.9) * below * shade[None]))[..., None].astype(np.float32), np.float32
    )


def speckled(rng: np.random.Generator, picture: Picture, strength: float) -> Picture:
    """Multiplied by speckle, whose spread is `strength` of its mean."""
    grains = 1 + np.float32(strength) * speckle(rng, len(picture), rng.uniform(0.5, 1.6), rng.uniform(1.0, 1.8))
    return np.asarray(picture * np.maximum(grains, 0)[..., None], np.float32)


def sticker(rng: np.random.Generator, picture: Picture) -> Picture:
    """A disc of paper of a loud colour at the edge."""
    side = len(picture)
    place = (side * rng.choice((-0.02, 1.02)), rng.uniform(0, side))
    cover = np.clip(star(rng, side, place, side * rng.uniform(0.08, 0.25), roughness=0) + 0.5, 0, 1)[..., None]
    colour = rng.random(picture.shape[2], np.float32)
    return np.asarray(picture * (1 - cover) + cover * colour, np.float32)
