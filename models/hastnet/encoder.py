"""SAM 2's Hiera trunk with an adapter before each block, HASTNet's encoder.

Source: `HASTNet: A Hierarchical Adaptive Spatial Transformer Network for Cross-Modal Generalization in Medical Image
Segmentation`, https://github.com/Sengokuuuu/HASTNet; the trunk is timm's, after `SAM 2: Segment Anything in Images and
Videos`, https://arxiv.org/abs/2408.00714.
Different from the released code: smaller trunks can be chosen, and a trunk without published weights is not frozen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from ..encoder_weights import create_encoder, load_encoder
from ..errors import ModelError

Variant = Literal["tiny", "small", "base_plus", "large"]


class Adapter(nn.Module):
    """x + GELU(W2 GELU(W1 x)), the part of a block that learns when the block is frozen.

    Args:
        channels: of the tokens.
        bottleneck: width between W1 and W2.
    """

    def __init__(self, channels: int, bottleneck: int = 8) -> None:
        super().__init__()
        self.down = nn.Linear(channels, bottleneck)
        self.up = nn.Linear(bottleneck, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.gelu(self.up(F.gelu(self.down(x))))


class AdaptedBlock(nn.Module):
    """A block of the trunk behind its adapter."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.adapter = Adapter(block.dim)
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.adapter(x))


class HieraEncoder(nn.Module):
    """Maps of stride 4, 8, 16 and 32.

    Args:
        in_channels: channels of the image.
        variant: which of SAM 2's trunks; "large" is the paper's.
        encoder_weights: a local file of this trunk, timm's or SAM 2's own.
        pretrained: let timm fetch the published weights, if no file is given.
        freeze: let only the adapters learn; by default so if the trunk has published weights.

    Attributes:
        channels: of the four maps, finest first.

    Raises:
        ModelError: no such variant, or weights that cannot be had or do not fit.
    """

    multiple = 32
    """What the sides of an image must be a multiple of."""

    def __init__(
        self,
        in_channels: int = 3,
        variant: Variant = "large",
        *,
        encoder_weights: str | Path | None = None,
        pretrained: bool = False,
        freeze: bool | None = None,
    ) -> None:
        super().__init__()
        if variant not in get_args(Variant):
            raise ModelError(f"There is no trunk '{variant}'; there are: {', '.join(get_args(Variant))}.")
        name, fetch = f"sam2_hiera_{variant}", pretrained and encoder_weights is None
        trunk = create_encoder(name, in_channels=in_channels, pretrained=fetch, num_classes=0)
        trunk.reset_classifier(0, reset_other=True)
        if encoder_weights is not None:
            load_encoder(trunk, name, encoder_weights)
        self.channels: list[int] = [info["num_chs"] for info in trunk.feature_info]
        trunk.blocks = nn.Sequential(*(AdaptedBlock(block) for block in trunk.blocks))
        self.trunk = trunk
        if freeze if freeze is not None else pretrained or encoder_weights is not None:
            self.freeze()

    def freeze(self) -> None:
        """Let only the adapters learn, and a stem that was made for other than three channels."""
        self.trunk.requires_grad_(False)
        for block in self.trunk.blocks:
            block.adapter.requires_grad_(True)
        stem = self.trunk.patch_embed.proj
        stem.requires_grad_(stem.in_channels != 3)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Encode.

        Args:
            image: (B, in_channels, H, W), H and W multiples of 32.

        Returns:
            (B, channels[k], H / 2^(k + 2), W / 2^(k + 2)) for k = 0 to 3.
        """
        return self.trunk.forward_intermediates(image, intermediates_only=True)
