"""The Triton kernels. Without a CUDA device they run in Triton's interpreter, which has to be chosen before Triton is
imported, hence in a process of its own: the first test starts the others there.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from napari_medseg.models.ascseg.selective_scan import triton_scan

from .test_selective_scan import scan_inputs, token_loop

pytest.importorskip("triton", reason="Triton has no build for this system")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu"
needs_a_device = pytest.mark.skipif(
    DEVICE == "cpu" and not INTERPRETED, reason="no CUDA device; the interpreter runs it"
)


@pytest.mark.skipif(INTERPRETED, reason="this is the interpreter")
def test_the_kernels_pass_in_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", __file__, "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # it needs none
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=250)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


def agrees(inputs: list[Tensor], upstream: Tensor) -> bool:
    """Outputs and all gradients are those of the recurrence in float64, to 1e-4 of the largest value of each."""
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    plain = token_loop(*exact)
    ours = [tensor.detach().to(DEVICE).requires_grad_() for tensor in inputs]
    y = triton_scan(*ours)
    found = [y, *torch.autograd.grad((y * upstream.to(DEVICE)).sum(), ours)]
    expected = [plain, *torch.autograd.grad((plain * upstream).sum(), exact)]
    return all(
        a.shape == b.shape and bool((a.cpu() - b).abs().max() <= 1e-4 * b.abs().max())
        for a, b in zip(found, expected, strict=True)
    )


@needs_a_device
@pytest.mark.parametrize(("length", "step"), [(1, 0.1), (2, 0.1), (17, 0.1), (64, 50.0), (75, 1e-3)])
def test_they_are_the_recurrence_at_any_length(length: int, step: float) -> None:
    assert agrees(scan_inputs(length, channels=2, step=step), torch.linspace(-1, 1, length))


@needs_a_device
@pytest.mark.parametrize(("channels", "states"), [(1, 1), (3, 5), (5, 16), (1, 20)])
def test_they_are_the_recurrence_at_any_width(channels: int, states: int) -> None:
    assert agrees(scan_inputs(20, batch=1, channels=channels, states=states), torch.linspace(-1, 1, 20))


@needs_a_device
def test_they_carry_states_over_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """More blocks than one step over the borders takes, the last step and the last block not full."""
    from napari_medseg.models.ascseg import triton_scan as launching

    monkeypatch.setattr(launching, "CARRY", 16)
    assert agrees(scan_inputs(555, batch=1, channels=1, states=2, step=0.01), torch.linspace(-1, 1, 555))


@needs_a_device
def test_they_take_inputs_in_any_order_in_memory() -> None:
    x, dt, a, b, c, d = scan_inputs(20)
    mixed = torch.cat([b, c], dim=1)
    turned = [x.mT.contiguous().mT, dt, a, mixed[:, :4], mixed[:, 4:], d]
    assert agrees(turned, torch.linspace(-1, 1, 20))


@pytest.mark.skipif(DEVICE == "cpu", reason="no CUDA device")
@pytest.mark.parametrize("step", [1e-3, 1.0])
def test_65536_tokens_on_the_device(step: float) -> None:
    from napari_medseg.models.ascseg.selective_scan import blocked_scan

    inputs = [tensor.detach().to(DEVICE) for tensor in scan_inputs(65_536, channels=4, states=16, step=step)]
    fused, blocked = ([tensor.clone().requires_grad_() for tensor in inputs] for _ in range(2))
    for ours, theirs in zip(
        torch.autograd.grad(triton_scan(*fused).square().mean(), fused),
        torch.autograd.grad(blocked_scan(*blocked).square().mean(), blocked),
        strict=True,
    ):
        assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()


@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@pytest.mark.parametrize("capability", [75, 80, 90])
def test_they_compile_for_the_gpus_in_use(capability: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All the way to machine code, which needs no device, for 16 states and blocks of 64 tokens."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from napari_medseg.models.ascseg import triton_kernels as kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    tiles = {"tile": 64, "padded": 16}
    for kernel, constants in (
        (kernels.borders, {**tiles, "block": 64, "backwards": True}),
        (kernels.borders, {**tiles, "block": 64, "backwards": False}),
        (kernels.carry, {**tiles, "backwards": True}),
        (kernels.carry, {**tiles, "backwards": False}),
        (kernels.outputs, {**tiles, "block": 64}),
        (kernels.gradients, {**tiles, "block": 64}),
    ):
        kinds = {name: "*fp32" if name.endswith("_ptr") else "i32" for name in kernel.arg_names}
        source = ASTSource(kernel, kinds | dict.fromkeys(constants, "constexpr"), constants)
        compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32))
        assert compiled.asm["cubin"]
