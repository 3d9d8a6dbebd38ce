"""The selective scan of Mamba: h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t and y_t = C_t h_t + D x_t.

Source: Gu, Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", https://arxiv.org/abs/2312.00752.
Different from the published code: where `mamba_ssm`'s CUDA kernel is not at hand, our own (`triton_scan.py`), and
where that does not run either, plain PyTorch (`blocked_scan.py`).

Letters: B batch, E channels, N states per channel, L tokens.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from .blocked_scan import from_blocks, into_blocks, scan_in_blocks

log = logging.getLogger(__name__)

Scan = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
Selection = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


def selective_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """The output y of the recurrence, by the fastest way at hand; computed in float32 at least.

    Args:
        x: (B, E, L), the sequence.
        dt: (B, E, L), step sizes >= 0.
        a: (E, N), the paper's A: rates < 0.
        b: (B, N, L), the paper's B_t.
        c: (B, N, L), the paper's C_t.
        d: (E,), the paper's D.

    Returns:
        (B, E, L).
    """
    return (_fused(x, a) or blocked_scan)(*_in_full(x, dt, a, b, c, d))


def scan_selecting(x: Tensor, select: Selection, a: Tensor, d: Tensor) -> Tensor:
    """`selective_scan` of x where `select(x)` gives dt, B and C: they are then computed in the order of the scan.

    Args:
        x: (B, E, L), the sequence.
        select: sees each token by itself, so that it may get the tokens of all sequences in any order and grouping,
            (G, E, T), and answers with (G, E, T) and two (G, N, T).
        a: (E, N), rates < 0.
        d: (E,).

    Returns:
        (B, E, L).
    """
    fused = _fused(x, a)
    if fused is not None:
        dt, b, c = select(x)
        return fused(*_in_full(x, dt, a, b, c, d))
    blocks = into_blocks(x)
    dt, b, c = select(blocks)
    y = _scan_blocks(*_in_full(blocks, dt, a, b, c, d), batch=x.shape[0])
    return from_blocks(y, x.shape[0], x.shape[2])


def blocked_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """`selective_scan` in plain PyTorch, on any device; arguments as there, of one floating dtype."""
    blocks, dt, b, c = (into_blocks(tensor) for tensor in (x, dt, b, c))
    return from_blocks(_scan_blocks(blocks, dt, a, b, c, d, batch=x.shape[0]), x.shape[0], x.shape[2])


def triton_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """`selective_scan` by our kernels, on CUDA devices; arguments as there, float32."""
    y, _ = _triton().scan(dt * x, dt, a, b, c)
    return torch.addcmul(y, x, d[:, None])


def _scan_blocks(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, *, batch: int) -> Tensor:
    y, _ = scan_in_blocks(dt * x, dt, a, b, c, batch)
    return torch.addcmul(y, x, d[:, None])


def _in_full(*tensors: Tensor) -> list[Tensor]:
    """In the precision of the first, but in float32 at least: a state sums up thousands of tokens."""
    precision = torch.promote_types(tensors[0].dtype, torch.float32)
    return [tensor.to(precision) for tensor in tensors]


def _fused(x: Tensor, a: Tensor) -> Scan | None:
    """The kernel for x in one piece, if there is one where x is."""
    if not x.is_cuda or x.dtype == torch.float64:
        return None
    if not torch.compiler.is_compiling() and _mamba_ssm() is not None:
        return _mamba_ssm()
    return triton_scan if _triton_runs(x.device, a.shape[1]) else None


@functools.cache
def _mamba_ssm() -> Scan | None:
    """The CUDA kernel of the package `mamba_ssm`, if that is installed and loads."""
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError:
        return None
    return selective_scan_fn


def _triton() -> ModuleType:
    """Our kernels; Triton is imported no earlier, since the window must not have it and many machines lack it."""
    return importlib.import_module(".triton_scan", __package__)


@torch.compiler.assume_constant_result
@functools.cache
def _triton_runs(device: torch.device, states: int) -> bool:
    """Whether our kernels compile and run there: a trial on two tokens, forward and backward."""
    row, rate = torch.ones(1, 1, 2, device=device), -torch.ones(1, states, device=device)
    inputs = [row, row, rate, *torch.ones(2, 1, states, 2, device=device)]
    try:
        with torch.enable_grad():
            y, _ = _triton().scan(*(tensor.requires_grad_() for tensor in inputs))
            torch.autograd.grad(y.sum(), inputs)
        torch.cuda.synchronize(device)
    except torch.cuda.OutOfMemoryError:
        raise
    except ImportError:
        log.info("Triton is not installed: the selective scan runs in plain PyTorch.")
        return False
    except Exception as error:  # of the compiler, the assembler, the driver: each has its own kinds
        log.warning("The Triton kernels of the selective scan do not run here; plain PyTorch does. %s", error)
        return False
    return True
