"""Content-aware sparse attention, of HASTNet's modality-adaptive attention.

Source: `HASTNet: A Hierarchical Adaptive Spatial Transformer Network for Cross-Modal Generalization in Medical Image
Segmentation`, https://github.com/Sengokuuuu/HASTNet. Its convolution branch follows `On the Integration of
Self-Attention and Convolution` (ACmix), https://arxiv.org/abs/2111.14556.
Different from the released code: how many entries a row keeps is decided for each image and is at least one (there:
for the whole batch, and none is possible, which gives NaN); the convolution branch keeps the channels of a pixel
together; the gate that decides learns, by straight-through estimates; 3-D kernels over a depth of one run as the 2-D
convolutions that they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FlatConv3d(nn.Conv3d):
    """A 3-D convolution for maps, which have a depth of one: only the middle of its kernel ever meets them.

    Its parameters are those of `nn.Conv3d`, so that the published shapes hold; input and output are (B, C, H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        middle = self.weight[:, :, self.kernel_size[0] // 2]
        return F.conv2d(x, middle, self.bias, padding=self.padding[1:], groups=self.groups)


class CSAFM(nn.Module):
    """Attention between channels that keeps only the strongest partners, plus a convolution on the same q, k, v.

    B images, C channels, N heads, D = C / N channels a head, H x W the map.

    Args:
        channels: C, a multiple of `heads` and of two.
        heads: N.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        if channels % heads or channels % 2:
            raise ValueError(f"{channels} channels cannot be shared among {heads} heads; take a multiple of both and 2")
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Sequential(
            FlatConv3d(channels, 3 * channels, 1, bias=False),
            FlatConv3d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False),
        )
        self.project = FlatConv3d(channels, channels, 1, bias=False)
        self.mix = FlatConv3d(3 * heads, 9, 1)
        self.spread = FlatConv3d(9 * channels // heads, channels, 3, padding=1, groups=channels // heads)
        self.gate = nn.Sequential(nn.Conv2d(channels, channels // 2, 1), nn.ReLU(), nn.Conv2d(channels // 2, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Both branches, summed.

        Args:
            x: (B, C, H, W).

        Returns:
            (B, C, H, W).
        """
        qkv = self.qkv(x)  # (B, 3 C, H, W)
        return self.attend(qkv, open_sigmoid(self.gate(x))) + self.convolve(qkv)

    def attend(self, qkv: Tensor, gate: Tensor) -> Tensor:
        """Sparse attention between the channels of each head, over all positions."""
        height, width = qkv.shape[-2:]
        q, k, v = qkv.unflatten(1, (3, self.heads, -1)).flatten(4).unbind(1)  # each (B, N, D, H W)
        q, k = F.normalize(q.float(), dim=-1), F.normalize(k.float(), dim=-1)
        similarity = (q @ k.transpose(-2, -1)).float() * self.temperature  # (B, N, D, D)
        partners = similarity.shape[-1] * gate.mean((1, 2, 3))  # (B,): each image for itself
        attention = sparse_softmax(similarity, partners[:, None, None, None])
        x = attention.to(v.dtype) @ v  # (B, N, D, H W)
        return self.project(x.flatten(1, 2).unflatten(-1, (height, width)))

    def convolve(self, qkv: Tensor) -> Tensor:
        """ACmix: the 3 N groups mixed into a 3 x 3 neighbourhood at every place, then gathered by a convolution."""
        places = qkv.shape[1] // (3 * self.heads)  # D
        x = qkv.unflatten(1, (3 * self.heads, places)).flatten(2, 3)  # (B, 3 N, D H, W)
        x = self.mix(x).unflatten(2, (places, -1))  # (B, 9, D, H, W)
        return self.spread(x.transpose(1, 2).flatten(1, 2))  # (B, 9 D, H, W) -> (B, C, H, W)


def open_sigmoid(x: Tensor) -> Tensor:
    """The logistic function; backward it counts as half a softsign, so that a gate wide open or shut still learns."""
    x = x.float()
    soft = F.softsign(x) / 2
    return x.sigmoid().detach() + (soft - soft.detach())


def sparse_softmax(scores: Tensor, count: Tensor) -> Tensor:
    """Softmax over the largest entries of each row; the others become zero.

    The values depend on floor(count) only. Backward, the step at which an entry drops out counts as a sigmoid of its
    distance from `count` in ranks, so that whatever computed `count` can learn.

    Args:
        scores: (..., rows, columns).
        count: how many entries to keep, a real number that broadcasts against `scores`; at least one is kept.
    """
    order = scores.argsort(dim=-1, descending=True, stable=True)
    place = torch.arange(scores.shape[-1], device=scores.device)
    rank = torch.empty_like(order).scatter_(-1, order, place.expand_as(order))
    soft = torch.sigmoid(count - rank - 0.5)
    keep = (rank < count.floor().clamp(min=1)).to(scores.dtype) + (soft - soft.detach())
    weights = (scores - scores.amax(dim=-1, keepdim=True)).exp() * keep
    return weights / weights.sum(dim=-1, keepdim=True)
