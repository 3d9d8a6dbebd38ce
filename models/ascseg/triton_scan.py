"""The selective scan on CUDA devices: launches the kernels of `triton_kernels.py`, forward and backward.

Import this module late and only where Triton is at hand.

Letters: B batch, E channels, N states per channel, L tokens, M blocks of tokens in all sequences.
"""

from __future__ import annotations

from typing import Any

import torch
import triton  # type: ignore[import-untyped]
from torch import Tensor

from . import triton_kernels as kernels
from .blocked_scan import block_length

TILE = 16
"""Shortest tile, in tokens or blocks, that a program is given; what is too much in it is masked."""

CARRY = 64
"""Blocks that the walk over the borders takes in one step."""


@torch.library.custom_op("medseg::triton_scan", mutates_args=())
def scan(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Sum_n C_t h_t of h_t = exp(dt_t A) h_{t-1} + B_t u_t, in float32.

    Args:
        u: (B, E, L).
        dt: (B, E, L), >= 0.
        a: (E, N), < 0.
        b: (B, N, L).
        c: (B, N, L).

    Returns:
        (B, E, L), and the state (N, E, M) before each block, for the way back.
    """
    u, dt, a, b, c = (tensor.contiguous() for tensor in (u, dt, a, b, c))
    y = torch.empty_like(u)
    with torch.cuda.device_of(u):
        starts = _carried(u, dt, a, b, backwards=False)
        kernels.outputs[starts.shape[2], a.shape[0]](u, dt, a, b, c, starts, y, *_sizes(u, a), **_tiles(u, a))
    return y, starts


@torch.library.custom_op("medseg::triton_scan_backward", mutates_args=())
def _backward(
    grad_y: Tensor, u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, starts: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients by u, dt, a, b and c."""
    grad_y, u, dt, a, b, c = (tensor.contiguous() for tensor in (grad_y, u, dt, a, b, c))
    grad_u, grad_dt, grad_b, grad_c = (torch.empty_like(tensor) for tensor in (u, dt, b, c))
    grad_a = u.new_empty(starts.shape[2], *a.shape)  # of each block
    with torch.cuda.device_of(u):
        after = _carried(grad_y, dt, a, c, backwards=True)
        tensors = (grad_y, u, dt, a, b, c, starts, after, grad_u, grad_dt, grad_a, grad_b, grad_c)
        kernels.gradients[(starts.shape[2],)](*tensors, *_sizes(u, a), **_tiles(u, a))
    return grad_u, grad_dt, grad_a.sum(0), grad_b, grad_c


@scan.register_fake
def _(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    blocks = -(-u.shape[2] // block_length(u.shape[2]))
    return torch.empty_like(u, memory_format=torch.contiguous_format), u.new_empty(*a.T.shape, u.shape[0] * blocks)


@_backward.register_fake
def _(grad_y: Tensor, u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, _: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in (u, dt, a, b, c))


def _remember(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])


def _gradients(ctx: Any, grad_y: Tensor, _: Tensor) -> tuple[Tensor, ...]:
    return _backward(grad_y, *ctx.saved_tensors)


scan.register_autograd(_gradients, setup_context=_remember)


def _carried(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, *, backwards: bool) -> Tensor:
    """What reaches each block from those before it, or `backwards` from those after it: (N, E, M)."""
    (channels, states), blocks = a.shape, triton.cdiv(u.shape[2], block_length(u.shape[2]))
    left = u.new_empty(states, channels, u.shape[0] * blocks)
    total = u.new_empty(left.shape[1:])
    reached = torch.zeros_like(left)
    kernels.borders[left.shape[2], channels](
        *(u, dt, a, b, left, total), *_sizes(u, a), **_tiles(u, a), backwards=backwards
    )
    tile = min(CARRY, max(TILE, triton.next_power_of_2(blocks)))
    kernels.carry[(u.shape[0] * channels,)](
        *(left, total, a, reached, channels, states, blocks),
        tile=tile,
        padded=triton.next_power_of_2(states),
        backwards=backwards,
    )
    return reached


def _sizes(u: Tensor, a: Tensor) -> tuple[int, int, int, int]:
    length = u.shape[2]
    return *a.shape, length, triton.cdiv(length, block_length(length))


def _tiles(u: Tensor, a: Tensor) -> dict[str, int]:
    block = block_length(u.shape[2])
    return {"block": block, "tile": max(TILE, block), "padded": triton.next_power_of_2(a.shape[1])}
