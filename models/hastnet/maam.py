"""Modality-adaptive attention, HASTNet's way of joining a decoder map with a skip.

Source: `HASTNet: A Hierarchical Adaptive Spatial Transformer Network for Cross-Modal Generalization in Medical Image
Segmentation`, https://github.com/Sengokuuuu/HASTNet.
As in the released code the gate goes through the logistic function twice, so it lies between 0.5 and 0.73.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .csafm import CSAFM


class MAAM(nn.Module):
    """A gate, taken from the sparse attention of the sum of two maps, weighs one map against the other.

    B images, C channels, H x W the map; a side of the map has more than 3 pixels (the gate's kernel reflects it).

    Args:
        channels: C of both maps.
        heads: of the attention.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.attention = CSAFM(channels, heads)
        self.gate = nn.Conv2d(2 * channels, channels, 7, padding=3, padding_mode="reflect", groups=channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """The joined map.

        Args:
            x: the decoder's, (B, C, H, W).
            skip: the encoder's, (B, C, H, W).

        Returns:
            (B, C, H, W).
        """
        both = x + skip
        pairs = torch.stack([both, self.attention(both)], dim=2).flatten(1, 2)  # (B, 2 C, H, W), channel by channel
        gate = self.gate(pairs).sigmoid().sigmoid()  # (B, C, H, W)
        return self.project(both + gate * x + (1 - gate) * skip)
