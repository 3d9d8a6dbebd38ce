"""Hierarchical receptive field aggregator, which sees each quarter of the channels through ever more kernels.

Source: `HASTNet: A Hierarchical Adaptive Spatial Transformer Network for Cross-Modal Generalization in Medical Image
Segmentation`, https://github.com/Sengokuuuu/HASTNet.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from .conv_att import ConvAtt


class Aggregation(nn.Module):
    """One step: what was gathered so far is attended to, and the next quarter of the channels joins it.

    B images, G channels gathered so far, Q channels of a quarter, H x W the map.

    Args:
        gathered: G.
        quarter: Q.
        kernel: side of the large kernel.
    """

    def __init__(self, gathered: int, quarter: int, kernel: int) -> None:
        super().__init__()
        self.attention = ConvAtt(gathered, kernel)
        self.value = nn.Conv2d(gathered, gathered, 1)
        self.mix = nn.Conv2d(gathered, gathered, 1)
        self.next = nn.Sequential(
            nn.Conv2d(quarter, quarter, 1), nn.Conv2d(quarter, quarter, 3, padding=1, groups=quarter)
        )
        self.narrow = nn.Conv2d(gathered, quarter, 1) if gathered > quarter else nn.Identity()

    def forward(self, x: Tensor, quarter: Tensor) -> Tensor:
        """Gather one quarter more.

        Args:
            x: (B, G, H, W).
            quarter: (B, Q, H, W).

        Returns:
            (B, Q + G, H, W).
        """
        attention = self.attention(x)
        return torch.cat([self.next(quarter) + self.narrow(attention), self.mix(attention * self.value(x))], dim=1)


class HRFA(nn.Module):
    """Three aggregations, from the first quarter of the channels to all four.

    B images, C channels, H x W the map.

    Args:
        channels: C, a multiple of four.
        kernels: sides of the three large kernels, odd.
    """

    def __init__(self, channels: int, kernels: Sequence[int] = (3, 5, 7)) -> None:
        super().__init__()
        if channels % 4 or len(kernels) != 3 or any(kernel % 2 == 0 for kernel in kernels):
            raise ValueError(
                f"{channels} channels and kernels {kernels}: a multiple of 4 and three odd sides are needed"
            )
        quarter = channels // 4
        self.norms = nn.ModuleList(LayerNorm2d(width) for width in (channels, 2 * quarter, 3 * quarter))
        self.steps = nn.ModuleList(
            Aggregation(quarter * step, quarter, kernel) for step, kernel in enumerate(kernels, start=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Aggregate.

        Args:
            x: (B, C, H, W).

        Returns:
            (B, C, H, W).
        """
        x, *quarters = self.norms[0](x).chunk(4, dim=1)  # each (B, C / 4, H, W)
        x = self.steps[0](x, quarters[0])  # (B, C / 2, H, W)
        x = self.steps[1](self.norms[1](x), quarters[1])  # (B, 3 C / 4, H, W)
        return self.steps[2](self.norms[2](x), quarters[2])
