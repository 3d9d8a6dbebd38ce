"""SoSegFormer, for objects of less than a hundredth of the image.

Source: W. Dai, Z. Wu, R. Liu, J. Zhou, M. Wang, T. Wu, J. Liu, "SoSegFormer: A Cross-scale Feature Correlated Network
for Small Medical Object Segmentation", IEEE ISBI 2024, doi 10.1109/ISBI56570.2024.10635300. Its code was not
released; the graph is that of the authors' journal successor SvANet (https://github.com/anthonyweidai/SvANet, MIT)
without the attentions added there, written anew from its equations. MobileViTv2 and v3: see `stageformer`.
Different: a narrower neck (35.5 M parameters for 197.2 M; `widths=(64, 256, 512, 1024, 2048)` and
`aspp_rates=(12, 24, 36)` give the published one), no batch norm in the pooled branch, align_corners=False, any number
of channels, any size of image, optional deep supervision. The published scores are not this configuration's.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch.nn.functional as F
from timm.layers import Format
from torch import Tensor, nn

from ..encoder_weights import create_encoder, load_encoder
from .head import SoSegFormerHead, resize, sum_branches

MIN_SIDE = 64
"""Smaller images are padded: a batch of one leaves 2 x 2 values a channel on the deepest map to normalise over."""


class SoSegFormer(nn.Module):
    """An encoder whose fine maps instruct the coarse ones, and a decoder that climbs back to stride 2.

    Args:
        in_channels: channels of the image.
        classes: logit channels; 1 for a binary mask, n >= 2 for a softmax over n classes (background included).
        encoder: a timm model that gives feature maps of strides 2 (or 4), 8, 16, 32 in channels-first order.
        widths: neck channels of strides 2, 4, 8, 16, 32; the first are left out where the encoder starts later.
        depths: transformer layers of the StageFormers of strides 2, 4, 8, 16; 0 for no StageFormer.
        aspp_rates: dilations of the context, in positions of the stride-32 map.
        drop_path: stochastic depth of the instruction.
        deep_supervision: in training also answer with the logits of the branches of strides 4, 8 and 16.
        encoder_weights: a local file of the encoder, timm's.
        pretrained: let timm fetch its ImageNet weights of the encoder, if no file is given.

    Raises:
        ValueError: an encoder, or numbers of widths and depths, that do not fit.
        ModelError: no such encoder, or weights of it that cannot be had or do not fit.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 1,
        *,
        encoder: str = "resnet50",
        widths: tuple[int, ...] = (32, 64, 128, 256, 256),
        depths: tuple[int, ...] = (2, 2, 2, 2),
        aspp_rates: tuple[int, ...] = (2, 4, 6),
        drop_path: float = 0.2,
        deep_supervision: bool = False,
        encoder_weights: str | Path | None = None,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = _encoder(encoder, in_channels, pretrained and encoder_weights is None)
        if encoder_weights is not None:
            load_encoder(self.encoder, encoder, encoder_weights)
        channels, strides = self.encoder.feature_info.channels(), self.encoder.feature_info.reduction()
        if len(depths) != len(widths) - 1 or len(widths) < len(strides):
            raise ValueError(
                f"'{encoder}' needs at least {len(strides)} widths and one depth fewer than widths,"
                f" not {len(widths)} and {len(depths)}"
            )
        self.head = SoSegFormerHead(
            tuple(channels),
            tuple(widths[-len(strides) :]),
            classes,
            depths=tuple(depths[1 - len(strides) :]),
            aspp_rates=tuple(aspp_rates),
            drop_path=drop_path,
        )
        self.deepest_stride = strides[-1]
        coarse = [branch for branch, stride in enumerate(strides[:-1]) if stride > 2]
        self.supervised = coarse if deep_supervision else []

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits of an image.

        Args:
            image: (B, in_channels, H, W), H and W >= 32.

        Returns:
            Logits (B, classes, H, W); in training a list of them: the answer, and with deep supervision the branches
            of strides 4, 8 and 16.
        """
        padded, (top, left) = self._pad(image)
        height, width = image.shape[-2:]
        branches = self.head(self.encoder(padded))  # (B, classes, H / stride, W / stride) each
        answers = [sum_branches(branches)]
        if self.training:
            shared_bias = self.head.classifiers[0].bias.view(-1, 1, 1)
            answers += [branches[k] + (shared_bias if k else 0) for k in self.supervised]
        full = [resize(x, padded.shape[-2:])[..., top : top + height, left : left + width] for x in answers]
        return full if self.training else full[0]

    def _pad(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Mirror all four sides up to the next multiple of the deepest stride; also tell the top and left margin."""
        rows, columns = (max(MIN_SIDE, side + -side % self.deepest_stride) - side for side in image.shape[-2:])
        top, left = rows // 2, columns // 2  # half to either side: mirroring gives less than a whole image
        return F.pad(image, (left, columns - left, top, rows - top), mode="reflect"), (top, left)


def _encoder(name: str, in_channels: int, pretrained: bool) -> nn.Module:
    """A timm model as a list of feature maps of which each is half as large as the one before."""
    encoder = create_encoder(name, in_channels=in_channels, pretrained=pretrained, features_only=True)
    strides = encoder.feature_info.reduction()
    if len(strides) < 2 or any(coarse != 2 * fine for fine, coarse in pairwise(strides)):
        raise ValueError(f"SoSegFormer needs an encoder whose maps halve; those of '{name}' have strides {strides}")
    if getattr(encoder, "output_fmt", Format.NCHW) != Format.NCHW:
        raise ValueError(f"SoSegFormer needs maps with their channels first; '{name}' gives them last")
    return encoder
