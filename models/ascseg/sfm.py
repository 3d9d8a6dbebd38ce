"""SFM: a decoder level of ASC-Seg sharpens details (DFB), then places (SAB), then channels (CAB)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .conv_bn import BatchNorm, ConvBN
from .pooling import neighbourhood_maximum, neighbourhood_mean


class SFM(nn.Sequential):
    """Selective feature module: (B, C, H, W) -> (B, C, H, W).

    Args:
        channels: C of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(DFB(channels), SAB(channels), CAB(channels))


class DFB(nn.Module):
    """Detail: three depthwise kernels, weighted where the map differs from its surroundings."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_in = BatchNorm(channels)
        self.branches = nn.ModuleList(
            nn.Sequential(ConvBN(channels, channels, kernel, groups=channels), nn.GELU(), ConvBN(channels, channels))
            for kernel in (7, 5, 3)
        )
        self.norm_sum = BatchNorm(channels)
        self.gate = ConvBN(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_in(x)
        s = self.norm_sum(sum(branch(x) for branch in self.branches))
        high = s - neighbourhood_mean(s)
        return s * torch.sigmoid(self.gate(high)) + s


class SAB(nn.Module):
    """Place: one weight a pixel, from the mean and the maximum of its neighbourhood."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean, self.peak = (
            nn.Sequential(ConvBN(channels, channels), nn.GELU(), ConvBN(channels, 1)) for _ in range(2)
        )
        self.gate = ConvBN(2, 1, kernel=7)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mean(neighbourhood_mean(x))  # (B, 1, H, W)
        peak = self.peak(neighbourhood_maximum(x))
        return torch.sigmoid(self.gate(torch.cat([mean, peak], dim=1))) * x + x


class CAB(nn.Module):
    """Channel: one weight a channel, from its mean and maximum over the map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(ConvBN(channels, channels), nn.GELU(), ConvBN(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.amax((2, 3), keepdim=True) + x.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        return torch.sigmoid(self.gate(pooled)) * x + x
