"""Patch expanding: upsampling by a linear layer whose outputs are laid out as pixels.

Source: Cao et al., "Swin-Unet: Unet-like Pure Transformer for Medical Image Segmentation", 2021,
https://arxiv.org/abs/2105.05537, as MSA²Net's decoder uses it (https://github.com/xmindflow/MSA-2Net).
"""

from __future__ import annotations

from torch import Tensor, nn


class PatchExpanding(nn.Module):
    """Each token becomes `scale` x `scale` tokens, then a layer norm.

    Args:
        in_channels: C of the tokens.
        out_channels: D of what they become: C / 2 between two strides, C in front of the head.
        scale: s, of height and width.
    """

    def __init__(self, in_channels: int, out_channels: int, *, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.widen = nn.Linear(in_channels, scale * scale * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Tokens (B, height width, C), row by row, expanded.

        Returns:
            (B, s height s width, D), row by row.
        """
        s = self.scale
        x = self.widen(tokens).unflatten(2, (s, s, -1))  # (B, H W, C) -> (B, H W, s, s, D)
        x = x.unflatten(1, (height, width))  # (B, H, W, s, s, D)
        return self.norm(x.transpose(2, 3).flatten(1, 4))  # (B, H, s, W, s, D) -> (B, s H s W, D)
