"""MSFA: a decoder level of ASC-Seg looks at its map with eight receptive fields on three scales."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv_bn import ConvBN
from .pooling import halved


class MSFA(nn.Module):
    """Multi-scale feature aggregation.

    Args:
        channels: C of the map, even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.same = nn.ModuleList(_branch(channels, half, dilation) for dilation in (1, 2, 3, 4))
        self.finer = nn.ModuleList(_branch(channels, half, dilation) for dilation in (1, 3))
        self.coarser = nn.ModuleList(_branch(channels, half, dilation) for dilation in (1, 3))
        self.fuse = nn.Sequential(
            ConvBN(4 * channels, channels, kernel=3, groups=channels),
            nn.ReLU(inplace=True),
            ConvBN(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W), H and W >= 2."""
        size = x.shape[-2:]
        finer = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)  # (B, C, 2 H, 2 W)
        coarser = halved(x)  # (B, C, H / 2, W / 2)
        seen = [branch(x) for branch in self.same]
        seen += [halved(branch(finer)) for branch in self.finer]
        seen += [F.interpolate(branch(coarser), size, mode="bilinear", align_corners=True) for branch in self.coarser]
        return self.fuse(torch.cat(seen, dim=1))  # (B, 8 C / 2, H, W) -> (B, C, H, W)


def _branch(channels: int, half: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(ConvBN(channels, half, kernel=3, dilation=dilation), nn.ReLU(inplace=True), ConvBN(half, half))
