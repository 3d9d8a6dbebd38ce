"""Spatial transformation feature correction: a map is held against a shifted copy of itself.

Source: `HASTNet: A Hierarchical Adaptive Spatial Transformer Network for Cross-Modal Generalization in Medical Image
Segmentation`, https://github.com/Sengokuuuu/HASTNet.
Different from the released code: at a single position, where there is no standard deviation, it counts as zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class STFCM(nn.Module):
    """The map and its shifted copy correct one another, place by place and then channel by channel.

    B images, C channels, r the reduction, H x W the map.

    Args:
        channels: C, a multiple of four.
        reduction: r, how much narrower the hidden layers are; 1 is the released code's.
        shift: in pixels.
    """

    def __init__(self, channels: int, reduction: int = 1, shift: int = 1) -> None:
        super().__init__()
        if channels % 4:
            raise ValueError(f"{channels} channels do not fall into four quarters; take a multiple of 4")
        self.shift = shift
        self.balance = nn.Parameter(torch.ones(2))  # of the spatial and of the channel weights
        self.spatial = nn.Sequential(
            nn.Conv2d(2 * channels, max(channels // reduction, 1), 1),
            nn.ReLU(),
            nn.Conv2d(max(channels // reduction, 1), 2, 1),
            nn.Sigmoid(),
        )
        self.channel = nn.Sequential(
            nn.Linear(6 * channels, max(6 * channels // reduction, 1)),
            nn.ReLU(),
            nn.Linear(max(6 * channels // reduction, 1), 2 * channels),
            nn.Sigmoid(),
        )
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Correct.

        Args:
            x: (B, C, H, W).

        Returns:
            (B, C, H, W).
        """
        balance = F.relu(self.balance)
        by_place, by_channel = balance / (balance.sum() + 1e-8)
        copy = shifted(x, self.shift)
        s0, s1 = self.spatial(torch.cat([x, copy], dim=1)).chunk(2, dim=1)  # each (B, 1, H, W)
        x, copy = x + by_place * s1 * copy, copy + by_place * s0 * x
        k0, k1 = self.channel(statistics(torch.cat([x, copy], dim=1)))[..., None, None].chunk(2, dim=1)  # (B, C, 1, 1)
        x, copy = x + by_channel * k1 * copy, copy + by_channel * k0 * x
        return self.project((x + copy) / 2)


def shifted(x: Tensor, by: int) -> Tensor:
    """The four quarters of the channels rolled down, up, right and left by `by` pixels."""
    down, up, right, left = x.chunk(4, dim=1)
    return torch.cat([down.roll(by, -2), up.roll(-by, -2), right.roll(by, -1), left.roll(-by, -1)], dim=1)


def statistics(x: Tensor) -> Tensor:
    """Mean, unbiased standard deviation and maximum over the positions: (B, C, H, W) -> (B, 3 C)."""
    x = x.flatten(2)  # (B, C, H W)
    spread = x.std(dim=-1) if x.shape[-1] > 1 else torch.zeros_like(x[..., 0])
    return torch.cat([x.mean(dim=-1), spread, x.amax(dim=-1)], dim=1)
