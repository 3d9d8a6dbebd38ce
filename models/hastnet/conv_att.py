"""A large kernel and a dynamic one on a few channels, as HASTNet's receptive field aggregator uses them.

Source: `HASTNet: A Hierarchical Adaptive Spatial Transformer Network for Cross-Modal Generalization in Medical Image
Segmentation`, https://github.com/Sengokuuuu/HASTNet.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvAtt(nn.Module):
    """The first channels see far, and through a kernel made for their image; a 1x1 tells all the others.

    B images, C channels, P of them convolved, H x W the map.

    Args:
        channels: C.
        kernel: side of the large dense kernel, odd.
        convolved: P, at most.
        reduction: how much narrower than P the layer is that makes the dynamic kernel.
    """

    def __init__(self, channels: int, kernel: int, convolved: int = 16, reduction: int = 2) -> None:
        super().__init__()
        self.convolved = convolved = min(convolved, channels)
        self.far = nn.Conv2d(convolved, convolved, kernel, padding=kernel // 2, bias=False)
        hidden = max(convolved // reduction, 1)
        self.dynamic = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(convolved, hidden, 1), nn.GELU(), nn.Conv2d(hidden, 9 * convolved, 1)
        )
        nn.init.zeros_(self.dynamic[-1].weight)  # at first the dynamic kernel does nothing
        nn.init.zeros_(self.dynamic[-1].bias)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the first P channels and mix all.

        Args:
            x: (B, C, H, W).

        Returns:
            (B, C, H, W).
        """
        seen, passed = x[:, : self.convolved], x[:, self.convolved :]
        kernels = self.dynamic(seen).reshape(-1, 1, 3, 3)  # (B P, 1, 3, 3), a kernel for each image and channel
        images = seen.flatten(0, 1).unsqueeze(0)  # (1, B P, H, W)
        near = F.conv2d(images, kernels, padding=1, groups=kernels.shape[0]).reshape(seen.shape)
        return self.project(torch.cat([self.far(seen) + near, passed], dim=1))
