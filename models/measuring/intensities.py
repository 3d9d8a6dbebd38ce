"""Mean and standard deviation of an image's values under each label, a strip of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..image import Array

_STRIP = 2**22
"""Pixels that are looked at at a time; the values of an image that is read lazily are not held longer than that."""

Figures = npt.NDArray[np.float64]


class Intensities:
    """Sums over the pixels of each label, to which plane after plane is added.

    Args:
        labels: how many there may be, 0 included.
        channels: of the image.
    """

    def __init__(self, labels: int, channels: int) -> None:
        self._number = np.zeros((channels, labels))
        self._mean = np.zeros((channels, labels))
        self._squares = np.zeros((channels, labels))  # of the differences from the mean

    def add(self, mask: Array, plane: Any) -> None:
        """Count a plane.

        Args:
            mask: (Y, X), labels below `labels`.
            plane: (Y, X, C) values; those that are no numbers are left out. NumPy or dask.
        """
        for rows in _strips(mask, plane):
            inside = np.nonzero(mask[rows])
            if not inside[0].size:
                continue
            labels, values = mask[rows][inside], np.asarray(plane[rows])[inside]
            for channel in range(values.shape[-1]):
                self._add(channel, labels, values[:, channel].astype(np.float64))

    def mean(self, label: int) -> tuple[float, ...]:
        """Mean of each channel; NaN without values."""
        return tuple(np.where(self._number[:, label] > 0, self._mean[:, label], np.nan).tolist())

    def sd(self, label: int) -> tuple[float, ...]:
        """Standard deviation of each channel, of all pixels; NaN without values."""
        number = self._number[:, label]
        with np.errstate(invalid="ignore", divide="ignore"):
            return tuple(np.where(number > 0, np.sqrt(self._squares[:, label] / number), np.nan).tolist())

    def _add(self, channel: int, labels: Array, values: Figures) -> None:
        """Join the sums of two sets (Chan, Golub and LeVeque, 1979), which is exact where a sum of squares is not."""
        finite = np.isfinite(values)
        if not finite.all():
            labels, values = labels[finite], values[finite]
        size = self._number.shape[1]
        number = np.bincount(labels, minlength=size)
        some = np.maximum(number, 1)
        mean = np.bincount(labels, values, size) / some
        squares = np.bincount(labels, (values - mean[labels]) ** 2, size)
        before = self._number[channel]
        total = np.maximum(before + number, 1)
        apart = mean - self._mean[channel]
        self._squares[channel] += squares + apart**2 * before * number / total
        self._mean[channel] += apart * number / total
        self._number[channel] += number


def _strips(mask: Array, plane: Any) -> Iterator[slice]:
    """Rows of a plane, some at a time; of a lazy one whole chunks, so that none is read twice."""
    rows, columns = mask.shape
    step = max(1, _STRIP // columns)
    if hasattr(plane, "chunks"):
        step = max(step // plane.chunks[0][0], 1) * plane.chunks[0][0]
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
