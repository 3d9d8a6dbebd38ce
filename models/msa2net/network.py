"""MSA2Net, put together.

Source: "MSA²Net: Multi-scale Adaptive Attention-guided Network for Medical Image Segmentation", figure 1,
https://github.com/xmindflow/MSA-2Net.
Different from the published code, which departs from its figure: DAE-Former blocks work at the bottleneck and at
stride 16, each of the three skips has its MASAG, and tokens become maps by moving axes, not by re-viewing memory,
which mixes pixels with channels. That makes 105 M parameters with nine classes, where the paper counts 112.77 M.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from ..encoder_weights import create_encoder, load_encoder
from .dae_former import DAEFormerBlock
from .lka import LKABlock
from .masag import MASAG
from .patch_expanding import PatchExpanding
from .tokens import to_map, to_tokens

SIDE = 224
"""Pixels; MaxViT's 7 x 7 windows fit into all of its maps, down to stride 32, for multiples of this only."""


class MSA2Net(nn.Module):
    """A MaxViT encoder with maps of stride 4, 8, 16 and 32, and a decoder that refines them from the deepest on.

    Any image size will do. A side that is no multiple of 224 is resized (bilinear, antialiased) to the nearest
    multiple, 224 at least, since the paper resizes its images, too, and the logits are resized back: 256 becomes 224,
    352 and 512 become 448. So tiles of a large image had best be 224 or 448 pixels wide.

    Args:
        in_channels: channels of the image.
        classes: logit channels; 1 for a binary mask, n >= 2 for a softmax over n classes (background included).
        encoder: timm's name of a MaxViT with relative positions by MLP (`maxvit_rmlp_...`), whose windows may be
            7 x 7 whatever it was trained with.
        encoder_weights: a local file of the encoder, timm's.
        pretrained: let timm fetch its ImageNet weights of the encoder, if no file is given.

    Raises:
        ValueError: an encoder whose maps do not fit.
        ModelError: no such encoder, or weights of it that cannot be had or do not fit.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 1,
        *,
        encoder: str = "maxvit_rmlp_small_rw_224",
        encoder_weights: str | Path | None = None,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = create_encoder(
            encoder,
            in_channels=in_channels,
            pretrained=pretrained and encoder_weights is None,
            features_only=True,
            out_indices=(1, 2, 3, 4),  # without the stem's map, of stride 2
            img_size=SIDE,
        )
        if encoder_weights is not None:
            load_encoder(self.encoder, encoder, encoder_weights)
        strides = self.encoder.feature_info.reduction()
        if strides != [4, 8, 16, 32]:
            raise ValueError(f"MSA2Net needs maps of strides 4, 8, 16 and 32; those of '{encoder}' have {strides}")
        finest, fine, deep, deepest = self.encoder.feature_info.channels()
        self.bottleneck = DAEFormerStage(deepest)
        self.rises = nn.ModuleList([Rise(deepest, deep), Rise(deep, fine), Rise(fine, finest)])
        self.stages = nn.ModuleList(
            [
                DAEFormerStage(deep),
                nn.Sequential(LKABlock(fine), LKABlock(fine)),
                nn.Sequential(LKABlock(finest), LKABlock(finest)),
            ]
        )
        self.expand = PatchExpanding(finest, finest, scale=4)
        self.head = nn.Conv2d(finest, classes, 1)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits of an image.

        Args:
            image: (B, in_channels, H, W), H and W >= 32.

        Returns:
            Logits (B, classes, H, W); in training a list of them, of length one.
        """
        size = image.shape[-2:]
        inside = [_nearest_multiple(side) for side in size]
        *skips, x = self.encoder(_resized(image, inside))  # (B, C_s, H' / s, W' / s), s = 4, 8, 16 and 32
        x = self.bottleneck(x)
        for rise, stage, skip in zip(self.rises, self.stages, reversed(skips), strict=True):
            x = stage(rise(x, skip))  # stride 32 -> 16 -> 8 -> 4
        x = to_map(self.expand(to_tokens(x), *x.shape[-2:]), *inside)  # (B, C_4, H' / 4, W' / 4) -> (B, C_4, H', W')
        logits = _resized(self.head(x), size)
        return [logits] if self.training else logits


class DAEFormerStage(nn.Module):
    """Two DAE-Former blocks on a map (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([DAEFormerBlock(channels), DAEFormerBlock(channels)])

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        tokens = to_tokens(x)
        for block in self.blocks:
            tokens = block(tokens, height, width)
        return to_map(tokens, height, width)


class Rise(nn.Module):
    """From one stride to the next finer one: patch expanding, then the encoder's map of that stride through a MASAG.

    Args:
        deep: channels of the coarser map.
        fine: channels D of the finer one.
    """

    def __init__(self, deep: int, fine: int) -> None:
        super().__init__()
        self.expand = PatchExpanding(deep, fine, scale=2)
        self.linear = nn.Linear(fine, fine)
        self.gate = MASAG(fine)
        self.norm = nn.LayerNorm(fine)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """The decoder's map (B, C, H, W) and the encoder's (B, D, 2 H, 2 W), merged into (B, D, 2 H, 2 W)."""
        height, width = skip.shape[-2:]
        tokens = self.linear(self.expand(to_tokens(x), *x.shape[-2:]))  # (B, C, H, W) -> (B, 4 H W, D)
        gated = to_tokens(self.gate(skip, to_map(tokens, height, width)))
        return to_map(self.norm(tokens + gated), height, width)  # (B, 4 H W, D) -> (B, D, 2 H, 2 W)


def _nearest_multiple(side: int) -> int:
    return max(SIDE, (side + SIDE // 2) // SIDE * SIDE)


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    # in float32, since antialiasing knows no bfloat16
    resized = F.interpolate(x.float(), tuple(size), mode="bilinear", align_corners=False, antialias=True)
    return resized.to(x.dtype)
