"""The Mamba-1 block.

Source: Gu, Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", https://arxiv.org/abs/2312.00752.
Different from the published code: sequences are kept as (B, channels, L) inside, and the scan is chosen by device.

Letters: B batch, L tokens, C channels of a token, E inner channels, N states, R rank of the step size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .selective_scan import scan_selecting


class Mamba(nn.Module):
    """Gated selective state space over a sequence of tokens.

    Args:
        channels: C.
        states: N, memory cells per inner channel.
        kernel: taps of the causal convolution before the scan, in tokens.
        expand: E / C.
    """

    def __init__(self, channels: int, states: int = 16, kernel: int = 4, expand: int = 2) -> None:
        super().__init__()
        inner, rank = expand * channels, math.ceil(channels / 16)
        self.sizes = [rank, states, states]
        self.in_proj = nn.Linear(channels, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, kernel, groups=inner, padding=kernel - 1)
        self.x_proj = nn.Linear(inner, rank + 2 * states, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.a_log = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(inner, 1))  # (E, N)
        self.d = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, channels, bias=False)
        self._init_step_size()

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, C) -> (B, L, C)."""
        x, gate = _project(self.in_proj.weight, tokens.transpose(1, 2)).chunk(2, dim=1)  # (B, C, L) -> 2 (B, E, L)
        x = F.silu(self._convolve(x))
        y = scan_selecting(x, self._select, -self.a_log.exp(), self.d)
        return _project(self.out_proj.weight, y.to(x.dtype) * F.silu(gate)).transpose(1, 2)

    def _convolve(self, x: Tensor) -> Tensor:
        """The causal convolution, (B, E, L) -> (B, E, L), as a sum of shifted sequences: so few taps are faster so."""
        weight, length = self.conv.weight, x.shape[-1]  # (E, 1, taps)
        x = F.pad(x, (weight.shape[-1] - 1, 0))
        y = self.conv.bias[:, None] + weight[..., 0] * x[..., :length]
        for tap in range(1, weight.shape[-1]):
            y = torch.addcmul(y, weight[..., tap], x[..., tap : tap + length])
        return y

    def _select(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What makes the state space selective, dt, B and C of each token: (., E, L) -> (., E, L), 2 (., N, L)."""
        dt, b, c = _project(self.x_proj.weight, x).split(self.sizes, dim=1)  # (., R, L), 2 (., N, L)
        dt = F.softplus(_project(self.dt_proj.weight, dt) + self.dt_proj.bias[:, None])  # in the bias's precision
        return dt, b, c

    @torch.no_grad()
    def _init_step_size(self, shortest: float = 1e-3, longest: float = 0.1) -> None:
        """Steps spread log-uniformly over [shortest, longest] at the start, whatever the input, as in the paper."""
        bound = self.dt_proj.in_features**-0.5
        nn.init.uniform_(self.dt_proj.weight, -bound, bound)
        step = torch.exp(torch.empty_like(self.dt_proj.bias).uniform_(math.log(shortest), math.log(longest)))
        self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))  # the inverse of softplus


def _project(weight: Tensor, x: Tensor) -> Tensor:
    """(C', C) along the channels, (B, C, L) -> (B, C', L), in this order in memory, too."""
    return torch.bmm(weight.expand(len(x), -1, -1), x)
