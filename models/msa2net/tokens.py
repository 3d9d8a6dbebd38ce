"""One image, two views: a map (B, C, H, W) for convolutions and tokens (B, H W, C) for attention.

Both go by (B, H, W, C), so that maps, and the gradients of maps, are channels-last with exact strides also for one
image. The customary `flatten(2).transpose(1, 2)` hands back a gradient whose stride over that one image is arbitrary,
which torch's batch norm takes for another layout on the CPU (seen with torch 2.15): wrong gradients, no error.
"""

from __future__ import annotations

from torch import Tensor


def to_tokens(x: Tensor) -> Tensor:
    """Tokens, row by row: (B, C, H, W) -> (B, H W, C)."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """The map of tokens in rows, without a copy: (B, H W, C) -> (B, C, H, W)."""
    return tokens.unflatten(1, (height, width)).permute(0, 3, 1, 2)
