"""DCB: the shape-following half of an encoder stage of ASC-Seg, a depthwise deformable convolution as a gate.

After Dai et al., "Deformable Convolutional Networks", https://arxiv.org/abs/1703.06211.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

from .conv_bn import ConvBN
from .deformable import deform_depthwise


class DCB(nn.Module):
    """Deformable convolution block.

    Args:
        channels: of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pre = nn.Sequential(ConvBN(channels, channels), nn.GELU())
        self.offsets = ConvBN(channels, 2 * 3 * 3, kernel=3)
        self.deform = DeformConv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.post = nn.Sequential(ConvBN(channels, channels), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        p = self.pre(x)
        offsets = self.offsets(p)  # (B, 18, H, W): dy, dx of each of the 9 taps, in pixels
        precision = self.deform.weight.dtype  # in autocast, too: there is no bfloat16 kernel
        d = self._deformed(p.to(precision), offsets.to(precision))
        return self.post(d) * x + x

    def _deformed(self, p: Tensor, offsets: Tensor) -> Tensor:
        if p.device.type == "cpu" and not torch.is_grad_enabled():
            return deform_depthwise(p, offsets, self.deform.weight)
        return self.deform(p, offsets)
