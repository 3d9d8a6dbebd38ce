import logging
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from napari_medseg.models.ascseg import blocked_scan as blocks
from napari_medseg.models.ascseg import selective_scan as scans
from napari_medseg.models.ascseg.selective_scan import blocked_scan, selective_scan

from ..parity import noise_input


def token_loop(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """The recurrence as it is written."""
    state, y = x.new_zeros(*x.shape[:2], a.shape[1]), []
    for t in range(x.shape[-1]):
        step = dt[..., t, None]
        state = torch.exp(step * a) * state + step * x[..., t, None] * b[:, None, :, t]
        y.append((state * c[:, None, :, t]).sum(-1))
    return torch.stack(y, dim=-1) + d[:, None] * x


def scan_inputs(
    length: int,
    *,
    batch: int = 2,
    channels: int = 3,
    states: int = 4,
    step: float = 0.1,
    dtype: torch.dtype = torch.float32,
) -> list[Tensor]:
    """x, dt, A, B, C, D that want gradients; steps from 0 to `step`."""
    x, dt = noise_input(batch, channels, length), step * noise_input(batch, channels, length, phase=1.0).abs()
    a = -torch.arange(1.0, states + 1).repeat(channels, 1) * (1 + 0.1 * noise_input(channels, states))
    b, c = noise_input(batch, states, length, phase=2.0), noise_input(batch, states, length, phase=3.0)
    return [tensor.to(dtype).requires_grad_() for tensor in (x, dt, a, b, c, noise_input(channels, phase=4.0))]


@pytest.mark.parametrize(("length", "step"), [(1, 0.1), (2, 0.1), (63, 0.1), (1000, 1e-3), (1500, 0.1), (1500, 20.0)])
def test_the_blocked_scan_is_the_recurrence(length: int, step: float) -> None:
    inputs = scan_inputs(length, step=step)
    upstream = noise_input(2, 3, length, phase=5.0)
    blocked, plain = blocked_scan(*inputs), token_loop(*inputs)
    for ours, theirs in zip(
        [blocked, *torch.autograd.grad((blocked * upstream).sum(), inputs)],
        [plain, *torch.autograd.grad((plain * upstream).sum(), inputs)],
        strict=True,
    ):
        assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()


def test_slices_of_the_way_back_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = scan_inputs(300, dtype=torch.float64)
    whole = torch.autograd.grad(blocked_scan(*inputs).square().sum(), inputs)
    monkeypatch.setattr(blocks, "SLICE", 60)
    sliced = torch.autograd.grad(blocked_scan(*inputs).square().sum(), inputs)
    assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in zip(whole, sliced, strict=True))


def test_the_gradient_is_that_of_finite_differences() -> None:
    inputs = scan_inputs(11, batch=1, channels=2, states=3, dtype=torch.float64)
    assert torch.autograd.gradcheck(blocked_scan, inputs)


@pytest.mark.parametrize("step", [1e-5, 1.0, 50.0])
def test_65536_tokens_stay_finite(step: float) -> None:
    inputs = scan_inputs(65_536, batch=1, channels=2, step=step)
    y = blocked_scan(*inputs)
    gradients = torch.autograd.grad(y.square().mean(), inputs)
    exact = blocked_scan(*(tensor.detach().double() for tensor in inputs))
    assert (y - exact).abs().max() <= 1e-4 * exact.abs().max()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_the_scan_computes_halves_in_float32() -> None:
    inputs = [tensor.detach().bfloat16() for tensor in scan_inputs(200)]
    y = selective_scan(*inputs)
    assert y.dtype == torch.float32
    assert torch.equal(y, blocked_scan(*(tensor.float() for tensor in inputs)))


def test_torch_sees_a_well_behaved_operator() -> None:
    """Compiled and exported networks rely on it: shapes are known ahead, nothing is written to, gradients trace."""
    x, dt, a, b, c, _ = scan_inputs(50)
    u, dt, b, c = (blocks.into_blocks(tensor).detach().requires_grad_() for tensor in (x, dt, b, c))
    torch.library.opcheck(blocks.scan_in_blocks, (u, dt, a, b, c, 2))


def test_a_compiled_scan_is_the_scan() -> None:
    inputs = scan_inputs(100)
    compiled = torch.compile(selective_scan, backend="aot_eager", fullgraph=True)(*inputs)
    assert torch.equal(compiled, selective_scan(*inputs))
    for ours, theirs in zip(
        torch.autograd.grad(compiled.square().sum(), inputs),
        torch.autograd.grad(selective_scan(*inputs).square().sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(ours, theirs)


def test_it_runs_where_triton_is_not_installed() -> None:
    code = """
import sys
sys.modules["triton"] = sys.modules["mamba_ssm"] = None  # what importing a missing package amounts to
import torch
from napari_medseg.models.ascseg.selective_scan import selective_scan
x = torch.ones(1, 2, 5)
print(selective_scan(x, x, -torch.ones(2, 2), x, x, torch.ones(2)).shape)
assert not any(name.endswith("triton_scan") for name in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "torch.Size([1, 2, 5])\n", ran.stderr


def test_kernels_that_do_not_run_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """Here they are asked to run on the CPU, which Triton refuses, if it is installed at all."""
    scans._triton_runs.cache_clear()
    with caplog.at_level(logging.INFO):
        assert not any(scans._triton_runs(torch.device("cpu"), 7) for _ in range(2))
    assert [record.message for record in caplog.records if "plain PyTorch" in record.message] == [caplog.messages[0]]
