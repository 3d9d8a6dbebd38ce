"""A local function of maps, computed some rows at a time: the same answer, without all that lies on the way at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_rows(function: Callable[..., Tensor], rows: int, reach: int, *maps: Tensor) -> Tensor:
    """`function(*maps)`, from parts of the maps that overlap.

    Args:
        function: of the maps; its answer is (B, K, H, W). Each of its rows depends on rows of the maps that are at most
            `reach` away, and beyond the border of a map it sees zeros.
        rows: of the answer at once; a multiple of what the coarsest map is coarser.
        reach: in rows of the answer; such a multiple, too.
        maps: (B, C, H / n, W / n), the first one with n = 1; n is a whole number.

    Returns:
        (B, K, H, W), in the memory layout of the first map.
    """
    height = maps[0].shape[2]
    answer: Tensor | None = None
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = max(0, top - reach), min(height, bottom + reach)
        parts = [part[:, :, first * part.shape[2] // height : last * part.shape[2] // height] for part in maps]
        found = function(*parts)[:, :, top - first : bottom - first]
        if answer is None:
            shape = (*found.shape[:2], height, found.shape[3])
            answer = torch.empty(shape, dtype=found.dtype, device=found.device, memory_format=_layout(maps[0]))
        answer[:, :, top:bottom] = found
    assert answer is not None
    return answer


def _layout(of: Tensor) -> torch.memory_format:
    last = of.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
