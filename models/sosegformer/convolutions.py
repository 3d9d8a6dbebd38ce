"""The convolution that all parts of SoSegFormer are made of."""

from __future__ import annotations

from torch import nn

CONV_EPS = 1e-3
"""Of every batch norm behind a convolution, as published; those on StageFormer's tokens keep 1e-5."""


def conv_bn(
    in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """CB_k: a convolution without bias that keeps the size (at stride 1), then batch norm."""
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels, eps=CONV_EPS))


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """CBR_k: `conv_bn`, then ReLU."""
    conv = conv_bn(in_channels, out_channels, kernel, stride=stride, dilation=dilation)
    return conv.append(nn.ReLU(inplace=True))
