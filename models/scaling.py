"""Planes brought to the scale at which a network works, and answers brought back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F


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
