"""The selective scan in blocks, in plain PyTorch, on any device: forward and backward.

A sequence is cut into blocks of Q tokens, and all blocks are walked through at once, twice: from zero, to learn what
each block leaves behind, and again from the state that the blocks before it left. Decays are only multiplied, never
divided by, and each is <= 1, so that float32 holds for sequences of any length. The states of all tokens never stand
in memory together. The tokens of one place in all blocks lie side by side, (Q, ., M), so that a step reads one row.
Compiled and exported networks see the walks as one operator.

Letters: B batch, E channels, N states per channel, L tokens, Q tokens per block, K blocks, M = B K.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 64
"""Longest block, in tokens: the steps of one walk."""

SLICE = 2**17
"""State elements that the backward walk holds per token of a block; all of a block: 2 x 32 MiB in float32."""


def block_length(length: int) -> int:
    """Near the square root, so that blocks are about as many as their tokens, until they are long enough."""
    return min(BLOCK, 2 ** (((length - 1).bit_length() + 1) // 2))


def into_blocks(tokens: Tensor) -> Tensor:
    """(B, S, L) -> (Q, S, M), with zeros after the last token."""
    block = block_length(tokens.shape[-1])
    missing = -tokens.shape[-1] % block
    tokens = F.pad(tokens, (0, missing)) if missing else tokens
    return tokens.unflatten(-1, (-1, block)).permute(3, 1, 0, 2).flatten(-2).contiguous()


def from_blocks(blocks: Tensor, batch: int, length: int) -> Tensor:
    """(Q, S, M) -> (B, S, L)."""
    return blocks.unflatten(-1, (batch, -1)).permute(2, 1, 3, 0).flatten(-2)[..., :length]


@torch.library.custom_op("medseg::blocked_scan", mutates_args=())
def scan_in_blocks(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """Sum_n C_t h_t of h_t = exp(dt_t A) h_{t-1} + B_t u_t.

    Args:
        u: (Q, E, M).
        dt: (Q, E, M), >= 0.
        a: (E, N), < 0.
        b: (Q, N, M).
        c: (Q, N, M).
        batch: B.

    Returns:
        (Q, E, M), and the state (N, E, M) before each block, for the way back.
    """
    rate = (a / math.log(2)).T[:, :, None]  # (N, E, 1)
    state = u.new_zeros(rate.shape[0], *u.shape[1:])  # (N, E, M)
    decay, y = torch.empty_like(state), torch.empty_like(u, memory_format=torch.contiguous_format)
    for q in range(len(u)):
        state.mul_(_decay(rate, dt[q], decay)).addcmul_(u[q], b[q, :, None])
    starts = _carry(_decay(rate, dt.sum(0), decay), state, batch)
    state.copy_(starts)
    for q in range(len(u)):
        state.mul_(_decay(rate, dt[q], decay)).addcmul_(u[q], b[q, :, None])
        torch.sum(torch.mul(state, c[q, :, None], out=decay), 0, out=y[q])
    return y, starts


@torch.library.custom_op("medseg::blocked_scan_backward", mutates_args=())
def _backward(
    grad_y: Tensor, u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, starts: Tensor, batch: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients by u, dt, a, b and c, from that by y, (Q, E, M), and the states before each block."""
    rate = a.T[:, :, None]  # (N, E, 1)
    binary_rate = rate / math.log(2)

    # What reaches a block from the tokens after it: the recurrence backwards, g_t = C_t gy_t + exp(dt_t+1 A) g_t+1.
    g, decay = torch.zeros_like(starts), torch.empty_like(starts)
    for q in reversed(range(len(u))):
        g.addcmul_(grad_y[q], c[q, :, None]).mul_(_decay(binary_rate, dt[q], decay))
    g = _carry(_decay(binary_rate, dt.sum(0), decay), g, batch, backwards=True)

    grads = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in (u, dt, b, c)]
    grad_rate = torch.zeros_like(rate)
    width = max(1, SLICE // rate.numel())
    for m in range(0, starts.shape[-1], width):  # the blocks are independent now: a slice of them at a time
        part = slice(m, m + width)
        given = [tensor[..., part] for tensor in (grad_y, u, dt, b, c, starts, g)]
        grad_rate += _slice_gradients(given, rate, [grad[..., part] for grad in grads])
    grad_u, grad_dt, grad_b, grad_c = grads
    return grad_u, grad_dt, grad_rate[..., 0].T.contiguous(), grad_b, grad_c


@scan_in_blocks.register_fake
def _(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    y = torch.empty_like(u, memory_format=torch.contiguous_format)
    return y, u.new_empty(*a.T.shape, u.shape[2])


@_backward.register_fake
def _(grad_y: Tensor, u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in (u, dt, a, b, c))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.batch = inputs
    ctx.save_for_backward(*tensors, output[1])


def _gradients(ctx: Any, grad_y: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return *_backward(grad_y, *ctx.saved_tensors, ctx.batch), None


scan_in_blocks.register_autograd(_gradients, setup_context=_remember)


def _slice_gradients(given: list[Tensor], rate: Tensor, out: list[Tensor]) -> Tensor:
    """Writes the gradients by u, dt, b, c of some blocks to `out`; returns their share of that by the rates."""
    gy, u, dt, b, c, start, g = given
    grad_u, grad_dt, grad_b, grad_c = out
    block = len(u)
    state, decay = start.new_empty(block + 1, *start.shape), start.new_empty(block, *start.shape)
    state[0], binary_rate = start, rate / math.log(2)
    for q in range(block):
        torch.mul(state[q], _decay(binary_rate, dt[q], decay[q]), out=state[q + 1]).addcmul_(u[q], b[q, :, None])
    g, grad_rate, product = g.clone(), torch.zeros_like(g), torch.empty_like(g)
    for q in reversed(range(block)):
        g.addcmul_(gy[q], c[q, :, None])  # by h_t
        torch.sum(torch.mul(state[q + 1], gy[q], out=product), 1, out=grad_c[q])
        torch.sum(torch.mul(g, u[q], out=product), 1, out=grad_b[q])
        torch.sum(torch.mul(g, b[q, :, None], out=product), 0, out=grad_u[q])
        g.mul_(decay[q])  # by h_{t-1}
        by_exponent = torch.mul(g, state[q], out=product)  # by dt_t A
        grad_rate.addcmul_(by_exponent, dt[q])
        torch.sum(by_exponent.mul_(rate), 0, out=grad_dt[q])
    return grad_rate.sum(-1, keepdim=True)


def _carry(decay: Tensor, left: Tensor, batch: int, *, backwards: bool = False) -> Tensor:
    """The state that each block starts from, given its decay and what it leaves behind from zero; all (N, E, M)."""
    decay, left = (t.unflatten(-1, (batch, -1)).movedim(-1, 0) for t in (decay, left))  # (K, N, E, B)
    starts = _starts(decay.flip(0), left.flip(0)).flip(0) if backwards else _starts(decay, left)
    return starts.movedim(0, -1).flatten(-2).contiguous()


def _starts(decay: Tensor, left: Tensor) -> Tensor:
    """s_0 = 0 and s_k+1 = decay_k s_k + left_k along the first axis, in blocks of blocks."""
    count, rest = len(left), left.shape[1:]
    block = block_length(count)
    ending = [0, 0] * len(rest) + [0, -count % block]
    decay, left = (F.pad(t, ending).reshape(-1, block, *rest).transpose(0, 1) for t in (decay, left))  # (Q, K / Q, ...)
    state = torch.zeros_like(left[0])
    if left.shape[1] > 1:
        for q in range(block):
            state = torch.addcmul(left[q], decay[q], state)
        state = _starts(decay.prod(0), state)
    starts = []
    for q in range(block):
        starts.append(state)
        state = torch.addcmul(left[q], decay[q], state)
    return torch.stack(starts, dim=1).flatten(0, 1)[:count]


def _decay(binary_rate: Tensor, dt: Tensor, out: Tensor) -> Tensor:
    """exp(dt A) of A / ln 2, (N, E, 1), and dt, (E, M), written to `out`, (N, E, M); exp2 is far faster than exp."""
    return torch.mul(binary_rate, dt, out=out).exp2_()
