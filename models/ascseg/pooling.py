"""Pooling as a few sums or maxima of shifted maps: on a CPU several times faster than torch's window by window."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def halved(x: Tensor) -> Tensor:
    """The maximum of each 2 x 2 pixels, (B, C, H, W) -> (B, C, H // 2, W // 2); an odd last row or column is left."""
    height, width = (side // 2 * 2 for side in x.shape[-2:])
    rows = torch.maximum(x[..., 0:height:2, :width], x[..., 1:height:2, :width])
    return torch.maximum(rows[..., 0::2], rows[..., 1::2])


def neighbourhood_mean(x: Tensor) -> Tensor:
    """The mean of the 3 x 3 pixels around each one, 0 outside of the map; keeps the size."""
    return _over_neighbours(x, torch.add, 0.0) / 9


def neighbourhood_maximum(x: Tensor) -> Tensor:
    """The maximum of the 3 x 3 pixels around each one; keeps the size."""
    return _over_neighbours(x, torch.maximum, -math.inf)


def _over_neighbours(x: Tensor, combine: Callable[[Tensor, Tensor], Tensor], outside: float) -> Tensor:
    x = F.pad(x, (1, 1, 1, 1), value=outside)
    x = combine(combine(x[..., :-2, :], x[..., 1:-1, :]), x[..., 2:, :])
    return combine(combine(x[..., :-2], x[..., 1:-1]), x[..., 2:])
