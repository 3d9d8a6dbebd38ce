"""The neck's residual bottleneck, with squeeze and excitation.

Source: the family of "SoSegFormer", doi 10.1109/ISBI56570.2024.10635300 (its released successor is SvANet, MIT);
squeeze and excitation after Hu, Shen, Sun, "Squeeze-and-Excitation Networks", https://arxiv.org/abs/1709.01507.
Different from SvANet: squeeze and excitation, as in its predecessor, in the place of Monte-Carlo attention.
"""

from __future__ import annotations

from torch import Tensor, nn

from .convolutions import conv_bn, conv_bn_relu


class SqueezeExcitation(nn.Module):
    """u · σ(W_2 ReLU(W_1 GAP(u))): each channel weighted by what the whole image holds.

    Args:
        channels: of the map.
        squeeze: the hidden width is `channels / squeeze`, but at least 16.
    """

    def __init__(self, channels: int, squeeze: int = 4) -> None:
        super().__init__()
        hidden = max(16, channels // squeeze)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh (B, C, H, W) by (B, C, 1, 1)."""
        return x * self.gate(x)


class Bottleneck(nn.Module):
    """x + BN(Conv_1(SE(CBR_3(CBR_1(x))))), wide in the middle; no activation after the sum.

    Args:
        channels: of the map, in and out.
        expansion: width of the middle, in `channels`.
        squeeze_excitation: weigh the channels of the middle.
    """

    def __init__(self, channels: int, *, expansion: int = 2, squeeze_excitation: bool = True) -> None:
        super().__init__()
        hidden = expansion * channels
        self.widen = conv_bn_relu(channels, hidden)
        self.mix = conv_bn_relu(hidden, hidden, 3)
        self.excite = SqueezeExcitation(hidden) if squeeze_excitation else nn.Identity()
        self.narrow = conv_bn(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to the same shape."""
        return x + self.narrow(self.excite(self.mix(self.widen(x))))
