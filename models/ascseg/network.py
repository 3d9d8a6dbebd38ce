"""ASC-Seg, adaptive structure alignment and cross-scale decoding.

Different from the published code: heads return logits (no logistic function), 1x1 before the upsampling, which gives
the same numbers for less work; sides that are no multiple of 16, or under 64, are mirrored outwards inside and cropped.

Letters: B images, H and W their sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from .ase import ASEBlock
from .cnsd import CNSDBlock
from .fac import FAC
from .pooling import halved


class ASCSeg(nn.Module):
    """Encoder of ASE stages, decoder of CNSD levels, a head on each level.

    Args:
        in_channels: channels of the image.
        classes: logit channels; 1 for a binary mask, n >= 2 for a softmax over n classes (background included).
        channels: widths of the four levels, finest first, each a multiple of 4; the default is the published code's.
    """

    def __init__(self, in_channels: int = 3, classes: int = 1, channels: Sequence[int] = (8, 16, 24, 32)) -> None:
        super().__init__()
        if len(channels) != 4 or any(width < 4 or width % 4 for width in channels):
            raise ValueError(f"channels must be four positive multiples of 4, not {tuple(channels)}")
        self.encoder = nn.ModuleList(ASEBlock(before, width) for before, width in pairwise([in_channels, *channels]))
        self.decoder = nn.ModuleList(CNSDBlock(width) for width in channels)
        self.skips = nn.ModuleList(FAC(deep, shallow) for shallow, deep in pairwise(channels))
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in channels)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits of an image.

        Args:
            image: (B, in_channels, H, W), H and W >= 32.

        Returns:
            Logits (B, classes, H, W); in training the four levels' list of them, finest first.
        """
        height, width = image.shape[-2:]
        top, bottom = _margins(height)
        left, right = _margins(width)
        x = F.pad(image, (left, right, top, bottom), mode="reflect")
        maps = self.features(x)[::-1]
        logits = []
        for head, level in zip(self.heads if self.training else self.heads[:1], maps, strict=False):
            whole = F.interpolate(head(level), x.shape[-2:], mode="bilinear", align_corners=True)
            logits.append(whole[..., top : top + height, left : left + width])
        return logits if self.training else logits[0]

    def features(self, image: Tensor) -> list[Tensor]:
        """The decoder's maps.

        Args:
            image: (B, in_channels, H, W), H and W multiples of 16.

        Returns:
            Deepest first: (B, channels[k], H / 2^k, W / 2^k) for k = 3, 2, 1, 0.
        """
        encoded: list[Tensor] = []
        for stage in self.encoder:
            encoded.append(stage(halved(encoded[-1]) if encoded else image))
        maps = [self.decoder[3](encoded[3])]
        for level in (2, 1, 0):
            maps.append(self.decoder[level](self.skips[level](maps[-1], encoded[level])))
        return maps


def _margins(side: int) -> tuple[int, int]:
    """Pixels to add before and after a side, so that it becomes a multiple of 16 and 64 at least."""
    missing = max(64 - side, -side % 16)
    return missing // 2, missing - missing // 2
