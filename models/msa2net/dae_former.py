"""A DAE-Former block: attention over positions, then over channels, both linear in the number of positions.

Source: Azad, Arimond, Aghdam, Kazerouni, Merhof, "DAE-Former: Dual Attention-guided Efficient Transformer for Medical
Image Segmentation", 2022, https://arxiv.org/abs/2212.13504, as the deep stages of MSA²Net's decoder use it
(https://github.com/xmindflow/MSA-2Net). Its parts are after Shen et al., "Efficient Attention",
https://arxiv.org/abs/1812.01243, El-Nouby et al., "XCiT", https://arxiv.org/abs/2106.09681, and Xie et al.,
"SegFormer", https://arxiv.org/abs/2105.15203.
Different from DAE-Former: the feed-forward is SegFormer's own, without the inner skip and norm.

B images, N = H W tokens, C channels, h heads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .tokens import to_map, to_tokens


class EfficientAttention(nn.Module):
    """Attention over positions with one C x C context for the whole image, one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.keys = nn.Conv2d(channels, channels, 1)
        self.queries = nn.Conv2d(channels, channels, 1)
        self.values = nn.Conv2d(channels, channels, 1)
        self.projection = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """A map (B, C, H, W) -> (B, C, H, W)."""
        keys = self.keys(x).flatten(2).softmax(2)  # (B, C, H, W) -> (B, C, N); a distribution over positions
        queries = self.queries(x).flatten(2).softmax(1)  # (B, C, N); a distribution over channels
        values = self.values(x).flatten(2)  # (B, C, N)
        context = values @ keys.transpose(1, 2)  # (B, C, C)
        return self.projection((context @ queries).unflatten(2, x.shape[-2:]))  # (B, C, N) -> (B, C, H, W)


class ChannelAttention(nn.Module):
    """Attention of channels to channels, by the cosine of their maps.

    Args:
        channels: C, a multiple of `heads`.
        heads: groups of channels that see each other.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(
                f"{channels} channels cannot be shared out to {heads} heads; try {-(-channels // heads) * heads}"
            )
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.projection = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, N, C) -> (B, N, C)."""
        qkv = self.qkv(tokens).transpose(1, 2)  # (B, N, C) -> (B, 3 C, N)
        queries, keys, values = qkv.unflatten(1, (3, len(self.temperature), -1)).unbind(1)  # (B, h, C / h, N) each
        cosine = F.normalize(queries, dim=-1) @ F.normalize(keys, dim=-1).transpose(-2, -1)  # (B, h, C / h, C / h)
        attended = (cosine * self.temperature).softmax(-1) @ values  # (B, h, C / h, N)
        return self.projection(attended.flatten(1, 2).transpose(1, 2))  # (B, h, C / h, N) -> (B, N, C)


class MixFFN(nn.Module):
    """A feed-forward that sees its neighbours: linear, depthwise 3 x 3, GELU, linear."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.widen = nn.Linear(channels, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.narrow = nn.Linear(hidden, channels)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Tokens (B, N, C) -> (B, N, C)."""
        x = self.depthwise(to_map(self.widen(tokens), height, width))  # (B, N, C) -> (B, 4 C, H, W)
        return self.narrow(F.gelu(to_tokens(x)))  # (B, 4 C, H, W) -> (B, N, C)


class DAEFormerBlock(nn.Module):
    """Efficient attention, Mix-FFN, channel attention, Mix-FFN; each after a layer norm and added to what it saw.

    Args:
        channels: C of the tokens, a multiple of `heads`.
        heads: of the channel attention.
        expansion: width of the Mix-FFNs over C.
    """

    def __init__(self, channels: int, *, heads: int = 8, expansion: int = 4) -> None:
        super().__init__()
        self.spatial_norm = nn.LayerNorm(channels)
        self.spatial_attention = EfficientAttention(channels)
        self.spatial_ffn_norm = nn.LayerNorm(channels)
        self.spatial_ffn = MixFFN(channels, expansion * channels)
        self.channel_norm = nn.LayerNorm(channels)
        self.channel_attention = ChannelAttention(channels, heads)
        self.channel_ffn_norm = nn.LayerNorm(channels)
        self.channel_ffn = MixFFN(channels, expansion * channels)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Tokens (B, height width, C), row by row, refined."""
        tokens = tokens + to_tokens(self.spatial_attention(to_map(self.spatial_norm(tokens), height, width)))
        tokens = tokens + self.spatial_ffn(self.spatial_ffn_norm(tokens), height, width)
        tokens = tokens + self.channel_attention(self.channel_norm(tokens))
        return tokens + self.channel_ffn(self.channel_ffn_norm(tokens), height, width)
