"""Everything of SoSegFormer behind the encoder: neck, instruction, link decoder, context and classifiers.

Source: "SoSegFormer: A Cross-scale Feature Correlated Network for Small Medical Object Segmentation", ISBI 2024,
doi 10.1109/ISBI56570.2024.10635300, and its released successor SvANet (MIT) without the attentions added there.
Different: a lateral CBR_1 brings each encoder map to a narrower neck, and each map has a classifier of its own whose
logits are summed. A 1x1 convolution commutes with bilinear resizing, so this is the published "resize, concatenate,
one 1x1 convolution" without its large tensor. Bilinear without align_corners.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .aspp import Aspp
from .bottleneck import Bottleneck
from .convolutions import conv_bn_relu
from .instruction import CrossScaleInstruction
from .link_decoder import LinkDecoder
from .stageformer import StageFormer

MAX_ASPP_WIDTH = 512
"""Of the paper, where the deepest map has 2048 channels."""


class SoSegFormerHead(nn.Module):
    """From S encoder maps to the logits of S branches: S - 1 decoder maps and the context of the deepest.

    Args:
        channels: of the encoder's maps, finest first; each map is half as large as the one before.
        widths: of the neck's maps. Where all are equal to `channels`, as in the paper, there are no laterals.
        classes: logit channels.
        depths: transformer layers at each level but the deepest, in neck and decoder; 0 for no StageFormer.
        aspp_rates: dilations of the context, in positions of the deepest map.
        drop_path: of the instruction; see there.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        widths: tuple[int, ...],
        classes: int,
        *,
        depths: tuple[int, ...] = (2, 2, 2, 2),
        aspp_rates: tuple[int, ...] = (2, 4, 6),
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        aspp_width = min(widths[-1], MAX_ASPP_WIDTH)
        self.laterals = nn.ModuleList(
            nn.Identity() if channels == widths else conv_bn_relu(channel, width)
            for channel, width in zip(channels, widths, strict=True)
        )
        self.neck = nn.ModuleList(
            nn.Sequential(Bottleneck(width), StageFormer(width, depth=depth) if depth else nn.Identity())
            for width, depth in zip(widths[:-1], depths, strict=True)
        )
        self.instruction = CrossScaleInstruction(widths[:-1], drop_path=drop_path)
        self.decoder = LinkDecoder(widths, depths=depths)
        self.context = Aspp(widths[-1], aspp_width, rates=aspp_rates)
        self.classifiers = nn.ModuleList(
            nn.Conv2d(width, classes, 1, bias=branch == 0)  # one bias for the sum of all
            for branch, width in enumerate([*widths[:-1], aspp_width])
        )

    def instruct(self, features: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """The instructed maps I, finest first, and the deepest lateral map L_S.

        Args:
            features: E, finest first, the s-th (B, channels[s], H / 2^s, W / 2^s); H and W divisible by 2^(S-1).

        Returns:
            S - 1 maps (B, widths[s], H / 2^s, W / 2^s), and (B, widths[-1], H / 2^(S-1), W / 2^(S-1)).
        """
        *laterals, deepest = (lateral(x) for lateral, x in zip(self.laterals, features, strict=True))
        return self.instruction([stage(x) for stage, x in zip(self.neck, laterals, strict=True)]), deepest

    def decode(self, instructed: list[Tensor], deepest: Tensor) -> list[Tensor]:
        """The maps to classify: D, finest first, then the context A of the deepest map; from what `instruct` gives."""
        return [*self.decoder(deepest, instructed), self.context(deepest)]

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Logits of each branch at its own size, finest first, the context's last; only the first has the bias."""
        maps = self.decode(*self.instruct(features))
        return [classify(x) for classify, x in zip(self.classifiers, maps, strict=True)]


def sum_branches(branches: list[Tensor]) -> Tensor:
    """The network's logits at the finest branch's size, (B, classes, H, W): all branches resized and summed."""
    finest, *coarser = branches
    return finest + sum(resize(logits, finest.shape[-2:]) for logits in coarser)


def resize(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear to `size` (H, W)."""
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
