"""SACA, AdSTNet's spatial and channel attention.

Source: "Adaptive Scale Thresholding Made Efficient: AdSTNet for Blurred Lesion Image Segmentation",
https://github.com/chenq4/AdSTNet. It reconstructs features twice, over positions and over channels, as do Li, Wen, He,
"SCConv: Spatial and Channel Reconstruction Convolution for Feature Redundancy", CVPR 2023. Nothing differs.

Letters: N images, C channels, H x W positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpatialReconstruction(nn.Module):
    """Mends what is weak in one half of the channels with what is strong in the other.

    Args:
        channels: C, a multiple of `groups`.
        groups: of the group norm whose scale says how much a channel tells.
        threshold: a gate above it counts as open.
    """

    def __init__(self, channels: int, groups: int = 4, threshold: float = 0.5) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, H, W), reconstructed."""
        importance = self.norm.weight / self.norm.weight.sum()
        gate = torch.sigmoid(self.norm(x) * importance[:, None, None])
        is_open = gate > self.threshold
        strong = torch.where(is_open, 1.0, gate) * x
        weak = torch.where(is_open, 0.0, gate) * x
        return strong + weak.roll(x.shape[1] // 2, dims=1)  # the weak part with its halves swapped


class ChannelReconstruction(nn.Module):
    """Half of the channels through rich convolutions, half through cheap ones, weighed against each other.

    Args:
        channels: C, a multiple of 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.squeeze_upper = nn.Conv2d(half, quarter, 1, bias=False)
        self.squeeze_lower = nn.Conv2d(half, quarter, 1, bias=False)
        self.grouped = nn.Conv2d(quarter, channels, 3, padding=1, groups=2)
        self.pointwise = nn.Conv2d(quarter, channels, 1, bias=False)
        self.cheap = nn.Conv2d(quarter, channels - quarter, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, H, W), reconstructed."""
        upper, lower = x.chunk(2, dim=1)
        upper, lower = self.squeeze_upper(upper), self.squeeze_lower(lower)  # (N, C/2, H, W) -> (N, C/4, H, W)
        rich = self.grouped(upper) + self.pointwise(upper)  # (N, C/4, H, W) -> (N, C, H, W)
        both = torch.cat([rich, self.cheap(lower), lower], dim=1)  # (N, 2C, H, W)
        weighed = both * F.adaptive_avg_pool2d(both, 1).softmax(dim=1)
        first, second = weighed.chunk(2, dim=1)
        return first + second  # (N, 2C, H, W) -> (N, C, H, W)


class SACA(nn.Module):
    """Spatial, then channel reconstruction of features (N, C, H, W).

    Args:
        channels: C, a multiple of 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = SpatialReconstruction(channels)
        self.channel = ChannelReconstruction(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, H, W), reconstructed."""
        return self.channel(self.spatial(x))
