"""A local function of maps, computed some rows at a time: the same answer, without all that lies on the way at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_rows(function: Callable[..., Tensor], rows: int, reach: int, *maps: Tensor, over: bool = False) -> Tensor:
    """`function(*maps)`, from parts of the maps that overlap.

    Args:
        function: of the maps. Each row of its answer, (B, K, H / m, W / m), depends on rows of the first map that are
            at most `reach` away, and beyond the border of a map it sees zeros.
        rows: of the first map at once; a multiple of n and m.
        reach: in rows of the first map; a multiple of n and m, too.
        maps: (B, C, H / n, W / n), the first one with n = 1; n and m are whole numbers.
        over: write the answer over the first map, whose shape it has; so both do not have to be there at once.

    Returns:
        (B, K, H / m, W / m), in the memory layout of the first map.
    """
    height = maps[0].shape[2]
    if rows >= height:
        return function(*maps)
    answer = maps[0] if over else None
    above = maps[0][:, :, :0]  # rows of the first map over which the answer was written, and that are still needed
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = max(0, top - reach), min(height, bottom + reach)
        parts = [part[:, :, first * part.shape[2] // height : last * part.shape[2] // height] for part in maps]
        if over and top:
            parts[0] = torch.cat((above, maps[0][:, :, top:last]), dim=2)
        found = function(*parts)  # with rows at its ends that are wrong, since they saw zeros for rows of the maps
        step = (last - first) // found.shape[2]
        if answer is None:
            shape = (*found.shape[:2], height // step, found.shape[3])
            answer = torch.empty(shape, dtype=found.dtype, device=found.device, memory_format=_layout(maps[0]))
        if over:
            above = parts[0][:, :, max(0, bottom - reach) - first : bottom - first].clone()
        answer[:, :, top // step : bottom // step] = found[:, :, (top - first) // step : (bottom - first) // step]
    assert answer is not None
    return answer


def _layout(of: Tensor) -> torch.memory_format:
    last = of.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
