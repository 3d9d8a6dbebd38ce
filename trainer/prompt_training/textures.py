"""Textures of tissue, drawn at random: each is float32 (side, side) with mean 0 and standard deviation 1, about."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import fft
from scipy.ndimage import gaussian_filter

Field = npt.NDArray[np.float32]
"""One number a pixel, (side, side)."""


def texture(rng: np.random.Generator, side: int) -> Field:
    """A texture of any kind."""
    kind = rng.choice(6, p=(0.5, 0.16, 0.1, 0.04, 0.08, 0.12))
    if kind == 0:
        return noise(rng, side, slope=rng.uniform(0.3, 2.2), stretch=np.exp(rng.normal(0, 0.4)))
    if kind == 1:
        return speckle(rng, side, grain=rng.uniform(0.5, 2.5))
    if kind == 2:
        return ridges(rng, side)
    if kind == 3:
        return stripes(rng, side)
    if kind == 4:
        return dots(rng, side, size=rng.uniform(0.7, 2.5))
    return mixed(noise(rng, side, 2.0), speckle(rng, side, 0.6), rng.uniform(0.2, 0.8))


@lru_cache(maxsize=8)
def _frequencies(side: int) -> tuple[Field, Field]:
    """Of the rows and the columns of a real spectrum, in cycles a frame."""
    rows = np.asarray(fft.fftfreq(side, 1 / side), np.float32)[:, None]
    return rows, np.asarray(fft.rfftfreq(side, 1 / side), np.float32)[None]


def noise(rng: np.random.Generator, side: int, slope: float, stretch: float = 1.0, lowest: float = 1.0) -> Field:
    """Noise whose amplitude falls with the frequency f as f^-slope: 0 is white, 1 cloudy, 2 smooth.

    Args:
        rng: source of chance.
        side: of the frame, in pixels.
        slope: of the spectrum.
        stretch: how many times longer its grains are across than down.
        lowest: cycles a frame below which the spectrum is flat.
    """
    rows, columns = _frequencies(side)
    squared = np.square(rows / stretch) + np.square(columns * stretch)
    spectrum = fft.rfft2(rng.standard_normal((side, side), np.float32))
    spectrum *= np.maximum(squared, lowest * lowest) ** np.float32(-slope / 2)
    spectrum[0, 0] = 0
    return standardised(fft.irfft2(spectrum, (side, side)))


def smooth(rng: np.random.Generator, side: int, cells: int, stretch: float = 1.0) -> Field:
    """Smooth noise with about so many hills from top to bottom, `stretch` times longer across."""
    coarse = rng.standard_normal((cells + 3, max(2, round(cells / stretch)) + 3), np.float32)
    heights, widths = (round(side * (size / (size - 3))) for size in coarse.shape)
    fine = np.asarray(Image.fromarray(coarse).resize((widths, heights), Image.Resampling.BICUBIC))
    row, column = rng.integers(0, (heights - side + 1, widths - side + 1))
    return standardised(fine[row : row + side, column : column + side])


def speckle(rng: np.random.Generator, side: int, grain: float, stretch: float = 1.6) -> Field:
    """Fully developed speckle: the Rayleigh-distributed length of a complex noise with grains of `grain` pixels."""
    waves = rng.standard_normal((2, side, side), np.float32)
    waves = gaussian_filter(waves, (0, grain / stretch, grain * stretch), mode="wrap", truncate=2.5)
    return standardised(np.hypot(waves[0], waves[1]))


def ridges(
    rng: np.random.Generator, side: int, cells: int | None = None, *, width: float | None = None, stretch: float = 1.0
) -> Field:
    """Bright lines that wind and fork, like fibres, vessels or folds.

    Args:
        rng: source of chance.
        side: of the frame, in pixels.
        cells: lines from top to bottom, about.
        width: of a line, as a share of what lies between two; fine ones if None.
        stretch: as `smooth` has it.
    """
    hills = smooth(rng, side, cells or int(rng.integers(4, 14)), stretch)
    return standardised(np.exp(-np.square(hills / np.float32(width or rng.uniform(0.08, 0.4)))))


def stripes(rng: np.random.Generator, side: int) -> Field:
    """Waves that bend, 4 to 20 pixels long."""
    rows, columns = np.ogrid[:side, :side]
    angle = rng.uniform(0, np.pi)
    along = (rows * np.cos(angle) + columns * np.sin(angle)) / rng.uniform(4, 20)
    return standardised(np.sin(2 * np.pi * along + rng.uniform(0.2, 3) * smooth(rng, side, 3)))


def dots(rng: np.random.Generator, side: int, size: float) -> Field:
    """Dots of one size at random places."""
    spots = (rng.random((side, side), np.float32) < rng.uniform(0.02, 0.15) / (size * size)).astype(np.float32)
    return standardised(gaussian_filter(spots, size, truncate=2.5))


def mixed(first: Field, second: Field, share: float) -> Field:
    """Both together, so much of the first."""
    return standardised(np.float32(share) * first + np.float32(1 - share) * second)


def standardised(field: npt.NDArray[np.floating]) -> Field:
    """With mean 0 and standard deviation 1; what is far out is cut at 4."""
    field = np.asarray(field, np.float32)
    field = (field - field.mean()) / (field.std() + np.float32(1e-6))
    return np.clip(field, -4, 4)
