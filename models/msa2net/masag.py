"""MASAG, the multi-scale adaptive spatial attention gate.

Source: "MSA²Net: Multi-scale Adaptive Attention-guided Network for Medical Image Segmentation", section 3.3,
equations 1 to 6, https://github.com/xmindflow/MSA-2Net.
Different from the paper, as in its code: the dilated convolution of equation 1 is dense, every convolution but the
one of equation 2 is followed by a batch norm, and so is their sum U.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MASAG(nn.Module):
    """The encoder's map, weighed by where it and the decoder's agree, near and far.

    Args:
        channels: C of both maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local_context = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
        )
        self.global_context = nn.Sequential(nn.Conv2d(2, 1, 1), nn.BatchNorm2d(1))
        self.fused_norm = nn.BatchNorm2d(channels)
        self.selection = nn.Conv2d(channels, 2, 1)
        self.attention = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.Sigmoid())
        self.recalibration = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        """The encoder's map, recalibrated.

        Args:
            x: X, the encoder's map, (B, C, H, W).
            g: G, the decoder's, of the same shape.

        Returns:
            (B, C, H, W).
        """
        pooled = torch.cat([g.mean(1, keepdim=True), g.amax(1, keepdim=True)], dim=1)  # (B, C, H, W) -> (B, 2, H, W)
        fused = self.fused_norm(self.local_context(x) + self.global_context(pooled))  # eq. 1, (B, C, H, W)
        weight_x, weight_g = self.selection(fused).softmax(1).split(1, dim=1)  # (B, 1, H, W) each; they sum to 1
        x_selected, g_selected = x * weight_x + x, g * weight_g + g  # eq. 2
        x_crossed, g_crossed = x_selected * g_selected.sigmoid(), g_selected * x_selected.sigmoid()  # eq. 4
        return self.recalibration(self.attention(x_crossed * g_crossed) * x)  # eq. 6
