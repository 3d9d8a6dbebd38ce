"""A block of large kernel attention, for maps too large for self-attention.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", 2022, https://arxiv.org/abs/2202.09741, as the shallow
stages of MSA²Net's decoder use it (https://github.com/xmindflow/MSA-2Net).
Different from the Visual Attention Network: layer norm over channels where it has batch norm; no dropped paths.
"""

from __future__ import annotations

import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn


class LargeKernelAttention(nn.Module):
    """A map times its own 23 x 23 context, whose kernel is a 5 x 5, a dilated 7 x 7 and a 1 x 1 in turn."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kernel = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=2, groups=channels),
            nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.kernel(x)


class LKABlock(nn.Module):
    """Large kernel attention between two 1 x 1 convolutions, then a convolutional MLP; both scaled and added.

    Args:
        channels: C of the map.
        expansion: width of the MLP over C.
        scale: of both branches at the start, learned channel by channel.
    """

    def __init__(self, channels: int, *, expansion: int = 4, scale: float = 0.01) -> None:
        super().__init__()
        hidden = expansion * channels
        self.attention_norm = LayerNorm2d(channels, eps=1e-5)
        self.attention = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.GELU(),
            LargeKernelAttention(channels),
            nn.Conv2d(channels, channels, 1),
        )
        self.attention_scale = nn.Parameter(torch.full((channels,), scale))
        self.mlp_norm = LayerNorm2d(channels, eps=1e-5)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
        )
        self.mlp_scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """A map (B, C, H, W), refined."""
        normed = self.attention_norm(x)
        x = x + self.attention_scale[:, None, None] * (self.attention(normed) + normed)
        return x + self.mlp_scale[:, None, None] * self.mlp(self.mlp_norm(x))
