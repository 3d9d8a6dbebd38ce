"""The Triton kernels of the selective scan; `triton_scan.py` launches them.

The same walk in blocks as `blocked_scan.py`, but a block is one program: its tokens are combined pairwise in registers
(a stretch of the recurrence, h -> decay h + left, followed by another is a third), so that no state but those at the
borders reaches the memory. Nothing is added atomically: results do not depend on the order in which programs run.

Letters: B batch, E channels, N states per channel, L tokens, K blocks in a sequence, M = B K; `tile` and `padded` are
the tokens of a block and N, rounded up to what Triton takes; what is too much in them is masked.
"""

from __future__ import annotations

import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]


@triton.jit
def _compose(decay, left, next_decay, next_left):  # type: ignore[no-untyped-def]
    return decay * next_decay, next_decay * left + next_left


@triton.jit
def _rows(pointer, batch, count, row, t, length, valid):  # type: ignore[no-untyped-def]
    """Tokens t of a row (or of rows, (N, 1)) of (B, count, L), 0 where they are not valid."""
    return tl.load(pointer + (batch * count + row) * length + t, mask=valid, other=0.0)


@triton.jit
def borders(  # type: ignore[no-untyped-def]
    u_ptr, dt_ptr, a_ptr, b_ptr, left_ptr, total_ptr, channels, states, length, blocks,
    block: tl.constexpr, tile: tl.constexpr, padded: tl.constexpr, backwards: tl.constexpr,
):  # fmt: skip
    """What one block passes on from zero, (N, E, M), and the sum of its steps, (E, M).

    Forwards, it leaves sum_q exp(A (dt_q+1 + ... + dt_Q)) B_q u_q behind its last token; backwards, with C and the
    gradient in place of B and u, sum_q exp(A (dt_1 + ... + dt_q)) C_q gy_q before its first.
    """
    m, e = tl.program_id(0).to(tl.int64), tl.program_id(1)
    count, batch = tl.num_programs(0), m // blocks
    q, n = tl.arange(0, tile), tl.arange(0, padded)
    t = (m % blocks) * block + q
    valid, alive = (q < block) & (t < length), n < states
    dt = _rows(dt_ptr, batch, channels, e, t, length, valid)
    if backwards:
        distance = tl.cumsum(dt, 0)
    else:
        later = _rows(dt_ptr, batch, channels, e, t + 1, length, (q + 1 < block) & (t + 1 < length))
        distance = tl.cumsum(later, 0, reverse=True)
    rate = tl.load(a_ptr + e * states + n, mask=alive, other=0.0)
    u = _rows(u_ptr, batch, channels, e, t, length, valid)
    b = _rows(b_ptr, batch, states, n[:, None], t[None, :], length, alive[:, None] & valid[None, :])
    left = tl.sum(tl.exp(rate[:, None] * distance[None, :]) * b * u[None, :], 1)
    tl.store(left_ptr + (n * channels + e).to(tl.int64) * count + m, left, mask=alive)
    tl.store(total_ptr + e * count + m, tl.sum(dt, 0))


@triton.jit
def carry(  # type: ignore[no-untyped-def]
    left_ptr, total_ptr, a_ptr, reached_ptr, channels, states, blocks,
    tile: tl.constexpr, padded: tl.constexpr, backwards: tl.constexpr,
):  # fmt: skip
    """Walks over the borders of one sequence and channel: what each block gets is written to `reached`."""
    pid = tl.program_id(0)
    batch, e = (pid // channels).to(tl.int64), pid % channels
    count = (tl.num_programs(0) // channels).to(tl.int64) * blocks
    n, place = tl.arange(0, padded), tl.arange(0, tile)
    alive = n < states
    rate = tl.load(a_ptr + e * states + n, mask=alive, other=0.0)
    rows = (n * channels + e)[:, None] * count + batch * blocks
    carried = tl.zeros((padded,), tl.float32)
    for first in range(0, blocks, tile):
        k = first + place
        valid = k < blocks
        if backwards:
            k = blocks - 1 - k
            target = k - 1
        else:
            target = k + 1
        total = tl.load(total_ptr + e * count + batch * blocks + k, mask=valid, other=0.0)
        mask = alive[:, None] & valid[None, :]
        left = tl.load(left_ptr + rows + k[None, :], mask=mask, other=0.0)
        decay = tl.exp(rate[:, None] * total[None, :])
        left += tl.where(place[None, :] == 0, decay * carried[:, None], 0.0)
        _, state = tl.associative_scan((decay, left), 1, _compose)
        inside = (target >= 0) & (target < blocks)
        tl.store(reached_ptr + rows + target[None, :], state, mask=mask & inside[None, :])
        carried = tl.sum(tl.where(place[None, :] == tile - 1, state, 0.0), 1)


@triton.jit
def outputs(  # type: ignore[no-untyped-def]
    u_ptr, dt_ptr, a_ptr, b_ptr, c_ptr, starts_ptr, y_ptr, channels, states, length, blocks,
    block: tl.constexpr, tile: tl.constexpr, padded: tl.constexpr,
):  # fmt: skip
    """Sum_n C_t h_t of one block and channel, from the state before it."""
    m, e = tl.program_id(0).to(tl.int64), tl.program_id(1)
    count, batch = tl.num_programs(0), m // blocks
    q, n = tl.arange(0, tile), tl.arange(0, padded)
    t = (m % blocks) * block + q
    valid, alive = (q < block) & (t < length), n < states
    both = alive[:, None] & valid[None, :]
    rate = tl.load(a_ptr + e * states + n, mask=alive, other=0.0)
    start = tl.load(starts_ptr + (n * channels + e).to(tl.int64) * count + m, mask=alive, other=0.0)
    dt = _rows(dt_ptr, batch, channels, e, t, length, valid)
    u = _rows(u_ptr, batch, channels, e, t, length, valid)
    b = _rows(b_ptr, batch, states, n[:, None], t[None, :], length, both)
    c = _rows(c_ptr, batch, states, n[:, None], t[None, :], length, both)
    decay = tl.exp(rate[:, None] * dt[None, :])
    left = b * u[None, :] + tl.where(q[None, :] == 0, decay * start[:, None], 0.0)
    _, state = tl.associative_scan((decay, left), 1, _compose)
    tl.store(y_ptr + (batch * channels + e) * length + t, tl.sum(c * state, 0), mask=valid)


@triton.jit
def gradients(  # type: ignore[no-untyped-def]
    gy_ptr, u_ptr, dt_ptr, a_ptr, b_ptr, c_ptr, starts_ptr, after_ptr,
    grad_u_ptr, grad_dt_ptr, grad_a_ptr, grad_b_ptr, grad_c_ptr, channels, states, length, blocks,
    block: tl.constexpr, tile: tl.constexpr, padded: tl.constexpr,
):  # fmt: skip
    """All gradients of one block, one channel after the other, since B and C serve all channels.

    g_t, by h_t, is C_t gy_t + exp(dt_t+1 A) g_t+1. The states before each token are scanned with the inputs of the
    token before, rather than got back from those after it, which would divide by decays.
    """
    m = tl.program_id(0).to(tl.int64)
    count, batch = tl.num_programs(0), m // blocks
    q, n = tl.arange(0, tile), tl.arange(0, padded)
    t = (m % blocks) * block + q
    valid, alive = (q < block) & (t < length), n < states
    earlier, later = valid & (q > 0), (q + 1 < block) & (t + 1 < length)
    both = alive[:, None] & valid[None, :]
    b = _rows(b_ptr, batch, states, n[:, None], t[None, :], length, both)
    c = _rows(c_ptr, batch, states, n[:, None], t[None, :], length, both)
    b_before = _rows(b_ptr, batch, states, n[:, None], t[None, :] - 1, length, alive[:, None] & earlier[None, :])
    grad_b, grad_c = tl.zeros((padded, tile), tl.float32), tl.zeros((padded, tile), tl.float32)
    for e in range(channels):
        rate = tl.load(a_ptr + e * states + n, mask=alive, other=0.0)
        border = (n * channels + e).to(tl.int64) * count + m
        start = tl.load(starts_ptr + border, mask=alive, other=0.0)
        after = tl.load(after_ptr + border, mask=alive, other=0.0)
        gy = _rows(gy_ptr, batch, channels, e, t, length, valid)
        u = _rows(u_ptr, batch, channels, e, t, length, valid)
        dt = _rows(dt_ptr, batch, channels, e, t, length, valid)
        u_before = _rows(u_ptr, batch, channels, e, t - 1, length, earlier)
        dt_before = _rows(dt_ptr, batch, channels, e, t - 1, length, earlier)
        dt_after = _rows(dt_ptr, batch, channels, e, t + 1, length, later)

        left = tl.where(q[None, :] == 0, start[:, None], b_before * u_before[None, :])
        _, before = tl.associative_scan((tl.exp(rate[:, None] * dt_before[None, :]), left), 1, _compose)
        decayed = tl.exp(rate[:, None] * dt[None, :]) * before
        left = c * gy[None, :] + tl.where(q[None, :] == block - 1, after[:, None], 0.0)
        _, g = tl.associative_scan((tl.exp(rate[:, None] * dt_after[None, :]), left), 1, _compose, reverse=True)

        grad_c += (decayed + b * u[None, :]) * gy[None, :]
        grad_b += g * u[None, :]
        by_exponent = g * decayed  # by dt_t A
        row = (batch * channels + e) * length + t
        tl.store(grad_u_ptr + row, tl.sum(g * b, 0), mask=valid)
        tl.store(grad_dt_ptr + row, tl.sum(by_exponent * rate[:, None], 0), mask=valid)
        tl.store(grad_a_ptr + (m * channels + e) * states + n, tl.sum(by_exponent * dt[None, :], 1), mask=alive)
    rows = (batch * states + n[:, None]) * length + t[None, :]
    tl.store(grad_b_ptr + rows, grad_b, mask=both)
    tl.store(grad_c_ptr + rows, grad_c, mask=both)
