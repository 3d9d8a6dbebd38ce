"""HASTNet, for segmentation across modalities: endoscopy, ultrasound, microscopy, CT.

Source: `HASTNet: A Hierarchical Adaptive Spatial Transformer Network for Cross-Modal Generalization in Medical Image
Segmentation`, https://github.com/Sengokuuuu/HASTNet.
Different from the released code: the decoder is narrower than the trunk by default and its STFCM has a bottleneck,
since the released one's 99.3 M parameters cannot be the paper's 9.9 M; all answers have the input's size (there: half
of it); sides that are no multiple of 32, or less than 64, are padded inside by mirroring and cropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from .decoder import Decoder
from .encoder import HieraEncoder, Variant

SMALLEST = 64
"""Pixels; a smaller side would leave maps that the decoder's kernels cannot mirror."""


class HASTNet(nn.Module):
    """An adapted SAM 2 trunk and a decoder that attends, aggregates and corrects, supervised at four depths.

    Args:
        in_channels: channels of the image.
        classes: logit channels; 1 for a binary mask, n >= 2 for a softmax over n classes (background included).
        variant: of the trunk; "large" is the paper's.
        width: of the decoder's levels, deepest first, each a multiple of 4; "released" is as wide as the trunk.
        reduction: of STFCM's hidden layers; 1 is the released code's.
        encoder_weights: a local file of the trunk, timm's or SAM 2's own.
        pretrained: let timm fetch the published weights of the trunk, if no file is given.
        freeze: of the trunk let only the adapters learn, and a stem for other than three channels. By default a trunk
            with published weights is frozen, as in the paper, and one without learns.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 1,
        *,
        variant: Variant = "large",
        width: Sequence[int] | Literal["released"] = (768, 384, 192, 96),
        reduction: int = 16,
        encoder_weights: str | Path | None = None,
        pretrained: bool = False,
        freeze: bool | None = None,
    ) -> None:
        super().__init__()
        if isinstance(width, str) and width != "released":
            raise ValueError(f"width '{width}': four numbers or 'released' are possible")
        self.encoder = HieraEncoder(
            in_channels, variant, encoder_weights=encoder_weights, pretrained=pretrained, freeze=freeze
        )
        channels = self.encoder.channels[::-1]  # deepest first, from here on
        widths = channels if width == "released" else width
        self.decoder = Decoder(widths, reduction)
        self.laterals = nn.ModuleList(
            nn.Identity() if width == "released" else nn.Conv2d(before, after, 1)
            for before, after in zip(channels, widths, strict=True)
        )
        self.heads = nn.ModuleList(nn.Conv2d(level, classes, 1) for level in widths)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits of an image.

        Args:
            image: (B, in_channels, H, W), H and W >= 32.

        Returns:
            Logits (B, classes, H, W); in training a list of four of them, from the finest map to the deepest.
        """
        height, width = image.shape[-2:]
        (top, bottom), (left, right) = _margins(height), _margins(width)
        x = F.pad(image, (left, right, top, bottom), mode="reflect")  # (B, in_channels, H', W')
        maps = self.encoder(x)[::-1]  # (B, C, H' / 32, W' / 32) to (B, C, H' / 4, W' / 4)
        maps = self.decoder(*(lateral(level) for lateral, level in zip(self.laterals, maps, strict=True)))
        answers = [
            F.interpolate(head(level), size=x.shape[-2:], mode="bilinear")[..., top : top + height, left : left + width]
            for head, level in list(zip(self.heads, maps, strict=True))[:: -1 if self.training else -4]
        ]
        return answers if self.training else answers[0]


def _margins(side: int) -> tuple[int, int]:
    """Pixels to add on both ends of a side, about equally: to mirror 32 of 32 pixels at one end is not possible."""
    missing = max(SMALLEST, side + -side % HieraEncoder.multiple) - side
    return missing // 2, missing - missing // 2
