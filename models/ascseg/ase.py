"""ASE: a stage of ASC-Seg's encoder, where long range (PMB) and local shape (DCB) are seen side by side."""

from __future__ import annotations

from torch import Tensor, nn

from .conv_bn import ConvBN
from .dcb import DCB
from .pmb import PMB


class ASEBlock(nn.Module):
    """Adaptive structure encoder: an inverted pyramid of kernels f, then PMB(f) + DCB(f).

    Args:
        in_channels: channels of the image or of the stage before.
        channels: of the result, a multiple of 4.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.pyramid = nn.Sequential(
            *(ConvBN(in_channels, channels, kernel=7), nn.ReLU(inplace=True)),
            *(ConvBN(channels, channels, kernel=3), nn.ReLU(inplace=True)),
            *(ConvBN(channels, channels, kernel=1), nn.ReLU(inplace=True)),
        )
        self.pmb = PMB(channels)
        self.dcb = DCB(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, channels, H, W)."""
        f = self.pyramid(x)
        return self.pmb(f) + self.dcb(f)
