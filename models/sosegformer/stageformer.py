"""StageFormer: local features by convolution and global ones by a linear transformer, fused again.

Source: "SoSegFormer: A Cross-scale Feature Correlated Network for Small Medical Object Segmentation", ISBI 2024,
doi 10.1109/ISBI56570.2024.10635300, whose block is not spelled out in print; the layers are those of its released
successor SvANet. The attention is MobileViTv2's, https://arxiv.org/abs/2206.02680, the fusion with the local map
MobileViTv3's, https://arxiv.org/abs/2209.15159.

Letters: B images, C channels, d token width, H x W the map, p the patch's side, P = p² places in a patch,
N = HW / p² patches.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .convolutions import conv_bn


def unfold(x: Tensor, patch: int) -> Tensor:
    """The patches of a map, (B, C, H, W) -> (B, C, P, N); `patch` divides H and W."""
    return F.pixel_unshuffle(x, patch).reshape(x.shape[0], x.shape[1], patch**2, -1)


def fold(tokens: Tensor, patch: int, height: int, width: int) -> Tensor:
    """The map of given size from its patches, (B, C, P, N) -> (B, C, H, W); undoes `unfold`."""
    places = tokens.reshape(tokens.shape[0], -1, height // patch, width // patch)  # (B, C P, H / p, W / p)
    return F.pixel_shuffle(places, patch)


class LinearAttention(nn.Module):
    """W_o(ReLU(V) ⊙ Σ_N softmax_N(q) ⊙ K) with [q | K | V] = W T: every patch meets one summary of all, in O(N)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(width, 1 + 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        self.split = (1, width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Over N, separately for each of the P places; (B, d, P, N) to the same shape."""
        score, key, value = self.project(tokens).split(self.split, dim=1)  # (B, 1, P, N), twice (B, d, P, N)
        context = (score.softmax(dim=-1) * key).sum(dim=-1, keepdim=True)  # (B, d, P, 1)
        return self.out(F.relu(value) * context)


class TransformerLayer(nn.Module):
    """T ← T + Attn(BN(T)), then T ← T + W_2 SiLU(W_1 BN(T)), twice as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.BatchNorm2d(width), LinearAttention(width))
        self.feed_forward = nn.Sequential(
            nn.BatchNorm2d(width), nn.Conv2d(width, 2 * width, 1), nn.SiLU(), nn.Conv2d(2 * width, width, 1)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, d, P, N) to the same shape."""
        tokens = tokens + self.attention(tokens)
        return tokens + self.feed_forward(tokens)


class StageFormer(nn.Module):
    """x + BN(W_f [global ⊕ local]); tokens are half as wide as the map.

    Args:
        channels: of the map, in and out; even.
        depth: number of transformer layers.
        patch: side p of the patches; it must divide H and W.
    """

    def __init__(self, channels: int, *, depth: int = 2, patch: int = 2) -> None:
        super().__init__()
        width = channels // 2
        self.patch = patch
        self.local = nn.Sequential(conv_bn(channels, channels, 3), nn.SiLU(), nn.Conv2d(channels, width, 1, bias=False))
        self.transformer = nn.Sequential(*(TransformerLayer(width) for _ in range(depth)), nn.BatchNorm2d(width))
        self.fuse = conv_bn(2 * width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to the same shape."""
        local = self.local(x)  # (B, d, H, W)
        tokens = self.transformer(unfold(local, self.patch))  # (B, d, P, N)
        whole = fold(tokens, self.patch, *x.shape[-2:])  # (B, d, H, W)
        return x + self.fuse(torch.cat([whole, local], dim=1))
