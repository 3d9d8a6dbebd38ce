"""FAC: how a deep map of ASC-Seg's decoder chooses from the encoder's map of the level above."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv_bn import ConvBN


class FAC(nn.Module):
    """Feature alignment between levels.

    Args:
        deep: channels of the deep map.
        shallow: channels of the shallow one.
    """

    def __init__(self, deep: int, shallow: int) -> None:
        super().__init__()
        self.gate = ConvBN(deep, shallow)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """(B, deep, H / 2, W / 2) and (B, shallow, H, W) -> (B, shallow, H, W)."""
        deep = F.interpolate(deep, shallow.shape[-2:], mode="bilinear", align_corners=True)
        return torch.sigmoid(self.gate(deep)) * torch.sigmoid(shallow) + shallow
