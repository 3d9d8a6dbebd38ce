"""CNSD: a level of ASC-Seg's decoder."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .msfa import MSFA
from .sfm import SFM


class CNSDBlock(nn.Module):
    """Cross-scale decoding: what MSFA and then SFM find is added to the map.

    Args:
        channels: C of the map, even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.msfa = MSFA(channels)
        self.sfm = SFM(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return F.relu(self.sfm(self.msfa(x)) + x)
