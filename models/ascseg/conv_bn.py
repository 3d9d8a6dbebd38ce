"""A convolution and its batch norm, as ASC-Seg has them everywhere."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that also trains on one value per channel (one image, pooled to a point).

    There, the batch has no variance to divide by: the running statistics take its place and are not updated.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class ConvBN(nn.Sequential):
    """A biased convolution that keeps the size, then batch norm.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: odd side of the kernel, in pixels.
        dilation: distance of the kernel's taps, in pixels.
        groups: of the convolution; as many as channels for a depthwise one.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, dilation: int = 1, groups: int = 1
    ) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation, groups=groups),
            BatchNorm(out_channels),
        )
