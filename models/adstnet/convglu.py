"""ConvGLU, a gated linear unit whose gate sees its neighbours.

Source: Shi, "TransNeXt: Robust Foveal Visual Perception for Vision Transformers", CVPR 2024,
https://arxiv.org/abs/2311.17132, as AdSTNet uses it: without dropout. Nothing differs.

Letters: N images, C channels, K gated channels, H x W positions.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ConvGLU(nn.Module):
    """Linear -> (a, v); Linear(GELU(depthwise 3x3(a)) * v).

    Args:
        channels: C, of input and output.
        hidden: width of the perceptron that this one stands for. K is two thirds of it, rounded down, which makes the
            parameters as many.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        gated = 2 * hidden // 3
        self.expand = nn.Linear(channels, 2 * gated)
        self.depthwise = nn.Conv2d(gated, gated, 3, padding=1, groups=gated)
        self.reduce = nn.Linear(gated, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, H, W) to features of the same shape."""
        a, v = self.expand(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).chunk(2, dim=1)  # (N, K, H, W) each
        x = F.gelu(self.depthwise(a)) * v
        return self.reduce(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (N, K, H, W) -> (N, C, H, W)
