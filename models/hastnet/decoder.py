"""HASTNet's decoder, from the deepest map of an encoder to its finest.

Source: `HASTNet: A Hierarchical Adaptive Spatial Transformer Network for Cross-Modal Generalization in Medical Image
Segmentation`, https://github.com/Sengokuuuu/HASTNet.
The released decoder is as wide as its encoder and has reduction 1; narrower maps are the network's matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from .hrfa import HRFA
from .maam import MAAM
from .stfcm import STFCM

KERNELS = ((7, 9, 11), (5, 7, 9), (3, 5, 7), (3, 5, 7))
"""Large kernels of HRFA, deepest level first."""


class Narrow(nn.Sequential):
    """1x1-BN-ReLU to the width of the next level."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU())


class Decoder(nn.Module):
    """HRFA and STFCM at every level; between levels, upsampling and MAAM with the skip.

    Args:
        channels: of the four levels, deepest first.
        reduction: of STFCM.
        heads: of MAAM's attention.
    """

    def __init__(self, channels: Sequence[int] = (768, 384, 192, 96), reduction: int = 16, heads: int = 4) -> None:
        super().__init__()
        if len(channels) != len(KERNELS):
            raise ValueError(f"widths {tuple(channels)}: four are needed, deepest level first")
        self.narrow = nn.ModuleList(Narrow(deep, skip) for deep, skip in pairwise(channels))
        self.join = nn.ModuleList(MAAM(width, heads) for width in channels[1:])
        self.aggregate = nn.ModuleList(HRFA(width, kernels) for width, kernels in zip(channels, KERNELS, strict=True))
        self.correct = nn.ModuleList(STFCM(width, reduction) for width in channels)

    def forward(self, deepest: Tensor, *skips: Tensor) -> list[Tensor]:
        """Decode.

        Args:
            deepest: (B, C0, H, W).
            *skips: (B, C1, 2 H, 2 W), (B, C2, 4 H, 4 W) and (B, C3, 8 H, 8 W).

        Returns:
            A map of the shape of each of them, deepest first.
        """
        x = self.correct[0](self.aggregate[0](deepest))
        maps = [x]
        for narrow, join, aggregate, correct, skip in zip(
            self.narrow, self.join, self.aggregate[1:], self.correct[1:], skips, strict=True
        ):
            x = narrow(F.interpolate(x, size=skip.shape[-2:], mode="bilinear"))  # (B, Ck, 2^k H, 2^k W)
            x = correct(aggregate(join(x, skip)))
            maps.append(x)
        return maps
