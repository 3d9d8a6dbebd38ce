"""Planes brought to the scale at which a network works, and answers brought back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import sparse


def scaled_shape(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """(Y, X) after scaling; at least one pixel each."""
    return max(1, round(shape[-2] * scale)), max(1, round(shape[-1] * scale))


def resize_plane(plane: npt.NDArray[np.float32], scale: float) -> npt.NDArray[np.float32]:
    """(C, Y, X) -> (C, scale Y, scale X), bilinear; smoothed first where it shrinks."""
    return plane if scale == 1 else resize_map(torch.from_numpy(plane), scaled_shape(plane.shape, scale)).numpy()


def resize_map(values: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(C, Y, X) -> (C, *size), bilinear; smoothed first where it shrinks."""
    return F.interpolate(values[None], size, mode="bilinear", align_corners=False, antialias=True)[0]


def resize_labels(labels: npt.NDArray[Any], scale: float) -> npt.NDArray[Any]:
    """(C, Y, X) -> (C, scale Y, scale X), each pixel taking the label at its centre."""
    if scale == 1:
        return labels
    size = scaled_shape(labels.shape, scale)
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, labels.shape[-2:], strict=True)
    )
    return labels[:, rows[:, None], columns]


class Resampling:
    """One axis brought to another length, some of its values at a time, exactly as if all were there.

    The weights are those of `resize_map`: a triangle around the place that a new value comes from, two old values wide,
    and wider where the axis shrinks, so that it is smoothed first.

    Attributes:
        length: old number of values.
        new: new number of values.
    """

    def __init__(self, length: int, new: int) -> None:
        self.length, self.new = length, new
        self._weights = None if self.same else _triangles(length, new)

    @property
    def same(self) -> bool:
        """Whether nothing changes."""
        return self.length == self.new

    def sources(self, start: int, stop: int) -> tuple[int, int]:
        """The first old value that new values `start` to `stop` - 1 need, and the one after the last."""
        if self._weights is None:
            return start, stop
        found = self._weights.indices[self._weights.indptr[start] : self._weights.indptr[stop]]
        return int(found.min()), int(found.max()) + 1

    def ready(self, known: int) -> int:
        """How many new values, from the first on, need only the first `known` old ones."""
        if self._weights is None:
            return known
        last = self._weights.indices[self._weights.indptr[1:] - 1]  # which rises
        return int(np.searchsorted(last, known - 1, side="right"))

    def ready_from(self, first: int) -> int:
        """The first new value that needs no old one before `first`."""
        if self._weights is None:
            return first
        return int(np.searchsorted(self._weights.indices[self._weights.indptr[:-1]], first, side="left"))

    def apply(
        self, values: npt.NDArray[np.float32], axis: int, start: int = 0, stop: int | None = None
    ) -> npt.NDArray[np.float32]:
        """New values `start` to `stop` - 1 along an axis of (C, Y, X), out of the old ones that `sources` names."""
        stop = self.new if stop is None else stop
        if self._weights is None:
            return values
        first, last = self.sources(start, stop)
        weights = self._weights[start:stop, first:last]
        moved = np.moveaxis(values, axis, 0)
        made = weights @ moved.reshape(moved.shape[0], -1)
        return np.ascontiguousarray(np.moveaxis(made.reshape(stop - start, *moved.shape[1:]), 0, axis))


def _triangles(length: int, new: int) -> sparse.csr_array:
    """(new, length) weights, each row with a sum of 1."""
    ratio = length / new
    reach = max(1.0, ratio)
    middles = ratio * (np.arange(new) + 0.5)
    first = np.maximum((middles - reach + 0.5).astype(int), 0)
    last = np.minimum((middles + reach + 0.5).astype(int), length)
    counts = last - first
    indptr = np.concatenate([[0], np.cumsum(counts)])
    columns = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - first, counts)
    away = (columns + 0.5 - np.repeat(middles, counts)) / reach
    weights = np.maximum(0, 1 - np.abs(away))
    weights /= np.repeat(np.add.reduceat(weights, indptr[:-1]), counts)
    return sparse.csr_array((weights.astype(np.float32), columns, indptr), shape=(new, length))
