"""U-Net, as the AdSTNet paper shows its training-time head with.

Source: the network of "Adaptive Scale Thresholding Made Efficient: AdSTNet for Blurred Lesion Image
Segmentation", after Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015, https://arxiv.org/abs/1505.04597.
Different from the published code: sides that are no multiple of 16 are padded inside by mirroring and cropped.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .rows import in_rows


class DoubleConv(nn.Sequential):
    """Two biased conv3x3-BN-ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(*_conv_bn_relu(in_channels, out_channels), *_conv_bn_relu(out_channels, out_channels))


class UpConv(nn.Sequential):
    """Nearest-neighbour upsampling by 2, then a biased conv3x3-BN-ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.Upsample(scale_factor=2), *_conv_bn_relu(in_channels, out_channels))


class UNet(nn.Module):
    """Five levels of width `base` to 16 `base`, with skips.

    Args:
        in_channels: channels of the image.
        classes: logit channels; 1 for a binary mask, n >= 2 for a softmax over n classes (background included).
        base: width of the first level; 16 is the paper's.

    Attributes:
        rows_at_once: rows of a level that are computed at once, a multiple of 2; None for all of them. For answers
            alone, on processors: with few, the maps stay in the processor's caches, and take less than half the memory.
    """

    def __init__(self, in_channels: int = 3, classes: int = 1, base: int = 16) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(5)]
        self.down = nn.ModuleList(
            DoubleConv(before, width) for before, width in zip([in_channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(UpConv(deep, skip) for skip, deep in pairwise(widths))
        self.merge = nn.ModuleList(DoubleConv(2 * width, width) for width in widths[:-1])
        self.head = nn.Conv2d(base, classes, 1)
        self.rows_at_once: int | None = None

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits of an image.

        Args:
            image: (B, in_channels, H, W), H and W >= 32.

        Returns:
            Logits (B, classes, H, W); in training a list of them, of length one.
        """
        height, width = image.shape[-2:]
        missing = -width % 16, -height % 16
        x = F.pad(image, (0, missing[0], 0, missing[1]), mode="reflect") if any(missing) else image  # it copies
        rows = None if torch.is_grad_enabled() else self.rows_at_once
        logits = (self._at_once(x) if rows is None else self._by_rows(x, rows))[..., :height, :width]
        return [logits] if self.training else logits

    def _at_once(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for level, conv in enumerate(self.down):
            x = conv(x if level == 0 else F.max_pool2d(x, 2))  # (B, base 2^level, H / 2^level, W / 2^level)
            skips.append(x)
        skips.pop()  # x itself; popped, each is let go of as soon as it was used
        for level in reversed(range(len(self.up))):
            x = self._raised(level, skips.pop(), x)
        return self.head(x)

    def _by_rows(self, image: Tensor, rows: int) -> Tensor:
        """The same; what the finest level says on the way down is computed twice, so that it need not be kept."""
        finest = self.down[0]
        x = in_rows(lambda part: F.max_pool2d(finest(part), 2), rows, 2, image)  # (B, base, H / 2, W / 2)
        skips: list[Tensor] = []
        for conv in self.down[1:-1]:
            skips.append(in_rows(conv, rows, 2, x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.down[-1](x)
        for level in reversed(range(1, len(self.up))):
            x = in_rows(partial(self._raised, level), rows, 4, skips.pop(), x, over=True)
        return in_rows(lambda part, x: self.head(self._raised(0, finest(part), x)), rows, 6, image, x)

    def _raised(self, level: int, skip: Tensor, x: Tensor) -> Tensor:
        """A level from the one below, which is half as large."""
        return self.merge[level](torch.cat([skip, self.up[level](x)], dim=1))


def _conv_bn_relu(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
