"""Giving a mask a wider type when it has to hold a larger label: the one time that its array is replaced."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .boxes import Array
from .difference import Difference
from .label_type import label_type


def held(layer: Any, pixels: Array) -> Array:
    """New pixels in the type of a mask, which is given a wider one first if it cannot hold them.

    Args:
        layer: the mask's.
        pixels: at least one, whole numbers or booleans of any type.
    """
    own = np.dtype(layer.data.dtype)
    if not np.can_cast(pixels.dtype, own):
        lowest, highest = np.min_scalar_type(pixels.min()), np.min_scalar_type(pixels.max())
        _widen(layer, label_type(lowest, highest))
    else:
        _writeable(layer)
    return pixels.astype(layer.data.dtype, copy=False)


def widen_for(layer: Any, difference: Difference) -> None:
    """Have a mask take what a step had before and after, whatever array it was given meanwhile."""
    for piece in difference.pieces:
        for dtype in piece.dtypes:
            _widen(layer, dtype)
    if difference.pieces:
        _writeable(layer)


def _writeable(layer: Any) -> None:
    if isinstance(layer.data, np.ndarray) and not layer.data.flags.writeable:
        layer.data = np.array(layer.data)


def _widen(layer: Any, dtype: npt.DTypeLike) -> None:
    own = np.dtype(layer.data.dtype)
    wider = label_type(own, dtype)
    if wider != own:
        layer.data = layer.data.astype(wider)
