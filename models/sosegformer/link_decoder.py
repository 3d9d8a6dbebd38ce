"""The link decoder: the deepest map climbs back, level by level, and meets the instructed ones.

Source: the family of "SoSegFormer", doi 10.1109/ISBI56570.2024.10635300; the layers are those of its released
successor SvANet. Whether the ISBI version had this decoder could not be read anywhere.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from .convolutions import CONV_EPS, conv_bn_relu
from .stageformer import StageFormer


class LinkUp(nn.Sequential):
    """Twice the size: CBR_1 to a quarter of the channels (at least 16), transposed conv3x3-BN-ReLU, CBR_1."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        middle = max(16, in_channels // 4)
        super().__init__(
            conv_bn_relu(in_channels, middle),
            nn.ConvTranspose2d(middle, middle, 3, stride=2, padding=1, output_padding=1, bias=False),
            nn.BatchNorm2d(middle, eps=CONV_EPS),
            nn.ReLU(inplace=True),
            conv_bn_relu(middle, out_channels),
        )


class LinkDecoder(nn.Module):
    """D_s = StageFormer(CBR_1(CBR_3(Up(D_{s+1}) ⊕ I_s))), from the deepest map up.

    Args:
        widths: channels of the levels, finest first, the deepest one included.
        depths: transformer layers of each level's StageFormer, without the deepest; 0 for no StageFormer.
    """

    def __init__(self, widths: tuple[int, ...], *, depths: tuple[int, ...]) -> None:
        super().__init__()
        self.up = nn.ModuleList(LinkUp(deep, width) for width, deep in pairwise(widths))
        self.merge = nn.ModuleList(
            nn.Sequential(conv_bn_relu(2 * width, width, 3), conv_bn_relu(width, width)) for width in widths[:-1]
        )
        self.correlate = nn.ModuleList(
            StageFormer(width, depth=depth) if depth else nn.Identity()
            for width, depth in zip(widths[:-1], depths, strict=True)
        )

    def forward(self, deepest: Tensor, instructed: list[Tensor]) -> list[Tensor]:
        """The decoder's maps.

        Args:
            deepest: D_S, (B, widths[-1], H / 2^(S-1), W / 2^(S-1)).
            instructed: I, finest first, the s-th (B, widths[s], H / 2^s, W / 2^s).

        Returns:
            D in the shapes of I, finest first.
        """
        maps: list[Tensor] = []
        x = deepest
        for level in reversed(range(len(instructed))):
            x = self.merge[level](torch.cat([self.up[level](x), instructed[level]], dim=1))
            x = self.correlate[level](x)  # (B, widths[level], H / 2^level, W / 2^level)
            maps.insert(0, x)
        return maps
