"""How much faster than a loop over the tokens each implementation of the selective scan is.

The loop is the recurrence as the paper writes it; all ways get the same numbers, in the same run, at the sizes of
ASC-Seg's first stage (4 quarters as a batch, 4 channels, 16 states). 65,536 tokens are an image of 256 x 256 pixels.

    python benchmarks/selective_scan.py [--lengths 1024 4096 16384 65536] [--threads 2] [--device cpu] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measuring import machine, seconds
from rich.console import Console
from rich.table import Table
from torch import Tensor

from napari_medseg.models.ascseg.selective_scan import blocked_scan, triton_scan

Scan = Callable[..., Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096, 16_384, 65_536], help="in tokens")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--states", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=9, help="calls that a median is of, at most")
    parser.add_argument("--budget", type=float, default=20.0, help="s for each figure; one call is always made")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; as torch chooses if 0")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    rows = [row for length in options.lengths for row in compare(length, device, options)]
    show(rows)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(device), "rows": rows}, indent=2))


def ways(device: torch.device) -> dict[str, Scan]:
    """The implementations that run there, the loop first."""
    found: dict[str, Scan] = {"token loop": token_loop, "blocked": blocked_scan}
    if device.type == "cuda":
        if importlib.util.find_spec("triton"):
            found["triton"] = triton_scan
        if importlib.util.find_spec("mamba_ssm"):
            from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

            found["mamba_ssm"] = selective_scan_fn
    return found


def token_loop(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """The recurrence, one token after the other."""
    state, y = x.new_zeros(*x.shape[:2], a.shape[1]), []
    for x_t, dt_t, b_t, c_t in zip(*(tensor.unbind(-1) for tensor in (x, dt, b, c)), strict=True):
        step = dt_t[..., None]
        state = torch.exp(step * a) * state + step * x_t[..., None] * b_t[:, None]  # (B, E, N)
        y.append((state * c_t[:, None]).sum(-1))
    return torch.stack(y, dim=-1) + d[:, None] * x


def inputs(length: int, device: torch.device, options: argparse.Namespace) -> list[Tensor]:
    """x, dt, a, b, c, d as Mamba makes them at the start: A = -1 ... -N, steps of 0.001 to 0.1."""
    draw = torch.Generator().manual_seed(0)
    batch, channels, states = options.batch, options.channels, options.states
    x, step = (torch.randn(batch, channels, length, generator=draw) for _ in range(2))
    b, c = (torch.randn(batch, states, length, generator=draw) for _ in range(2))
    dt = 10 ** (step.sigmoid() * 2 - 3)
    a = -torch.arange(1.0, states + 1).repeat(channels, 1)
    return [tensor.to(device) for tensor in (x, dt, a, b, c, torch.ones(channels))]


def compare(length: int, device: torch.device, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Times of each way in s, and how far it is from the loop's answer, of the loop's largest value."""
    plain = inputs(length, device, options)
    leaves = [tensor.clone().requires_grad_() for tensor in plain]
    rows: list[dict[str, Any]] = []
    answer = torch.zeros(0)

    for way, scan in ways(device).items():

        def infer(scan: Scan = scan) -> Tensor:
            with torch.inference_mode():
                return scan(*plain)

        def train(scan: Scan = scan) -> object:
            return torch.autograd.grad(scan(*leaves).sum(), leaves)

        if way == "token loop":
            answer = infer()
        else:
            infer(), train()  # compiles, fills the allocator's pools
        row = {"tokens": length, "way": way, "error": float((infer() - answer).abs().max() / answer.abs().max())}
        for kind, run in (("forward", infer), ("forward_backward", train)):
            row[kind] = seconds(run, device, repeats=options.repeats, budget=options.budget)
        rows.append(row)
    for row in rows:
        row |= {f"{kind}_ratio": rows[0][kind] / row[kind] for kind in ("forward", "forward_backward")}
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    table = Table("tokens", "way", "forward", "x loop", "forward + backward", "x loop", "off by")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        table.add_row(
            *(f"{row['tokens']:,}", row["way"]),
            *(f"{row['forward'] * 1e3:.1f} ms", f"{row['forward_ratio']:.1f}"),
            *(f"{row['forward_backward'] * 1e3:.1f} ms", f"{row['forward_backward_ratio']:.1f}"),
            f"{row['error']:.0e}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
