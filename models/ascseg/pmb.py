"""PMB: the long-range half of an encoder stage of ASC-Seg, one small Mamba for four quarters of the channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .mamba import Mamba


class PMB(nn.Module):
    """Parallel Mamba block: tokens in row order, mixed by quarters, then by a depthwise feed-forward part.

    The four quarters share one Mamba and run as one batch; one layer norm serves in three places.

    Args:
        channels: of the map, a multiple of 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mamba = Mamba(channels // 4)
        self.proj = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        tokens = x.flatten(2).transpose(1, 2)  # (B, H W, C)
        quarters = torch.cat(self.norm(tokens).chunk(4, dim=-1))  # (4 B, H W, C / 4)
        quarters = quarters + self.mamba(quarters)
        mixed = torch.cat(quarters.chunk(4), dim=-1)  # (B, H W, C)
        tokens = self.norm(self.proj(self.norm(mixed)) + tokens)
        return self.mlp(tokens.transpose(1, 2).reshape(x.shape))
