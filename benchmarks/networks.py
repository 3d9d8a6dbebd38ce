"""Size, work, time and memory of each network, and how many U-Nets that is.

Every network and size gets a process of its own, so that its peak of memory is its own: the highest use during the
first call, above what the process held when network and image were ready. Times are medians of one image at a time
in inference mode. Multiply-accumulates are those of convolutions, products of matrices and attention.

    python benchmarks/networks.py [--networks unet ascseg hastnet:variant=tiny] [--sides 224 256] [--compile]
        [--threads 2] [--device cpu] [--budget 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torchvision  # noqa: F401 (makes torch know its operators)
from measuring import machine, seconds
from rich.console import Console
from rich.table import Table

from napari_medseg.models.registry import NETWORKS, create_model

RIVAL = "unet"
"""The network that the others are compared with."""


def main() -> None:
    options = arguments()
    if options.one:
        print(json.dumps(measure(options.one, options.sides[0], options)))
        return
    names = [RIVAL, *(name for name in options.networks if name != RIVAL)]
    rows = []
    for side in options.sides:
        for name in names:
            rows.append(in_a_process(name, side, options))
            print(name, side, f"{rows[-1].get('seconds', float('nan')) * 1e3:.0f} ms", file=sys.stderr, flush=True)
    rivals = {row["side"]: row for row in rows if row["network"] == RIVAL}
    for row in rows:
        compare(row, rivals[row["side"]])
    show(rows)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(torch.device(options.device)), "rows": rows}, indent=2))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), help="names, NAME:option=value for variants")
    parser.add_argument("--sides", type=int, nargs="+", default=[224, 256, 352, 512], help="of the images, in pixels")
    parser.add_argument("--compile", action="store_true", help="with torch.compile's inductor")
    parser.add_argument("--repeats", type=int, default=20, help="calls that a median is of, at most")
    parser.add_argument("--budget", type=float, default=20.0, help="s for the calls of one median; one is always made")
    parser.add_argument("--limit", type=float, default=600.0, help="s for a process; then its row stays empty")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; as torch chooses if 0")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # what the processes of their own are started with
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    return options


def in_a_process(name: str, side: int, options: argparse.Namespace) -> dict[str, Any]:
    """`measure` in a fresh Python; a row without figures, but with the reason, if that fails."""
    command = [sys.executable, __file__, "--one", name, "--sides", str(side), "--device", options.device]
    command += [f"--{option}={getattr(options, option)}" for option in ("repeats", "budget", "threads")]
    command += ["--compile"] if options.compile else []
    row: dict[str, Any] = {"network": name, "side": side}
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=options.limit, check=False)
    except subprocess.TimeoutExpired:
        return row | {"failed": f"took longer than {options.limit:.0f} s"}
    if ran.returncode:
        return row | {"failed": (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1]}
    return row | json.loads(ran.stdout.splitlines()[-1])


def measure(name: str, side: int, options: argparse.Namespace) -> dict[str, Any]:
    """Parameters, GMACs, s of the first call and of a later one, and bytes of memory at the peak above the input."""
    device = torch.device(options.device)
    torch.manual_seed(0)
    network = create_named(name).eval().to(device)
    figures = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "trainable": sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
        "gmacs": gmacs(name, side),
    }
    image = torch.rand(1, 3, side, side, device=device)
    run = torch.compile(network) if options.compile else network
    with torch.inference_mode():
        before = memory(device, reset=True)
        start = time.perf_counter()
        run(image)
        peak = memory(device)
        figures |= {"first": time.perf_counter() - start, "peak_bytes": max(0, peak - before)}
        run(image)
        figures["seconds"] = seconds(lambda: run(image), device, repeats=options.repeats, budget=options.budget)
    return figures


def create_named(name: str) -> torch.nn.Module:
    """A network by "NAME" or "NAME:option=value,option=value"."""
    name, _, config = name.partition(":")
    return create_model(name, **dict(pair.split("=", 1) for pair in config.split(",") if pair))


def gmacs(name: str, side: int) -> float:
    """10^9 multiply-accumulates for one image; nothing is computed, the network is made without memory."""
    from torch.utils.flop_counter import FlopCounterMode

    def deformable(_: Any, weight: tuple[int, ...], *__: Any, out_shape: tuple[int, ...], **___: Any) -> int:
        return 2 * torch.Size(out_shape).numel() * torch.Size(weight[1:]).numel()

    with torch.device("meta"):
        network, image = create_named(name).eval(), torch.zeros(1, 3, side, side)
    counted = {torch.ops.torchvision.deform_conv2d.default: deformable}
    with FlopCounterMode(display=False, custom_mapping=counted) as counter, torch.no_grad():
        network(image)
    return counter.get_total_flops() / 2e9


def memory(device: torch.device, *, reset: bool = False) -> int:
    """Bytes in use now if `reset`, which begins a new peak; else the highest use since. Of the CPU: resident pages."""
    if device.type == "cuda":
        if reset:
            torch.cuda.reset_peak_memory_stats(device)
            return torch.cuda.memory_allocated(device)
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if not status.exists():  # no peak to reset: what the imports needed may hide that of a small network
        import resource

        import psutil

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return psutil.Process().memory_info().rss if reset else largest
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmRSS" if reset else "VmHWM"].split()[0]) * 1024


def compare(row: dict[str, Any], rival: dict[str, Any]) -> None:
    """Adds each figure's ratio to the rival's."""
    for figure in ("parameters", "gmacs", "seconds", "peak_bytes"):
        if row.get(figure) and rival.get(figure):
            row[f"{figure}_ratio"] = row[figure] / rival[figure]


def show(rows: list[dict[str, Any]]) -> None:
    headings = ("parameters", "x", "trained", "GMACs", "x", "latency", "x", "peak memory", "x", "first call")
    table = Table("network", "side", *headings)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        if "failed" in row:
            table.add_row(row["network"], str(row["side"]), row["failed"])
            continue
        table.add_row(
            *(row["network"], str(row["side"])),
            *(f"{row['parameters'] / 1e6:.2f} M", ratio(row, "parameters"), f"{row['trainable'] / 1e6:.2f} M"),
            *(f"{row['gmacs']:.2f}", ratio(row, "gmacs")),
            *(f"{row['seconds'] * 1e3:.0f} ms", ratio(row, "seconds")),
            *(f"{row['peak_bytes'] / 2**20:.0f} MiB", ratio(row, "peak_bytes"), f"{row['first']:.1f} s"),
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def ratio(row: dict[str, Any], figure: str) -> str:
    return f"{row[f'{figure}_ratio']:.2f}" if f"{figure}_ratio" in row else "-"


if __name__ == "__main__":
    main()
