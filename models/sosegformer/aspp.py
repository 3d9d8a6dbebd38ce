"""Atrous spatial pyramid pooling: the deepest map seen at several distances at once.

Source: Chen, Papandreou, Schroff, Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation",
https://arxiv.org/abs/1706.05587, as SoSegFormer's family uses it on its deepest map.
Different: the pooled branch has a bias in the place of its batch norm, which could not be trained on one image,
and SoSegFormer's rates are smaller, since 24 and 36 reach beyond a map of 16 x 16.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .convolutions import conv_bn_relu


class Aspp(nn.Module):
    """CBR_1 of [CBR_1 ⊕ a CBR_3 per rate ⊕ ReLU(W GAP)], with dropout.

    Args:
        in_channels: of the map.
        width: of each branch, and of the answer.
        rates: dilations of the 3x3 convolutions, in positions of the map.
        dropout: chance in training that a value of the answer is zero.
    """

    def __init__(
        self, in_channels: int, width: int, *, rates: tuple[int, ...] = (2, 4, 6), dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.near = conv_bn_relu(in_channels, width)
        self.far = nn.ModuleList(conv_bn_relu(in_channels, width, 3, dilation=rate) for rate in rates)
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(in_channels, width, 1), nn.ReLU(inplace=True))
        self.project = nn.Sequential(conv_bn_relu((2 + len(rates)) * width, width), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, width, H, W)."""
        whole = self.whole(x).expand(-1, -1, *x.shape[-2:])  # (B, width, 1, 1) -> (B, width, H, W)
        return self.project(torch.cat([self.near(x), *(far(x) for far in self.far), whole], dim=1))
