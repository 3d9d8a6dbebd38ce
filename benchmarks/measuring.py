"""What the benchmarks of networks share: the clock, and a line about the machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def seconds(run: Callable[[], object], device: torch.device, *, repeats: int, budget: float) -> float:
    """Median wall time of one call in s, over at most `repeats` calls, no more of them than fit into `budget` s."""
    times: list[float] = []
    while not times or (len(times) < repeats and sum(times) < budget):
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures were measured on; the load is the number of processes that wanted a core in the last minute."""
    found: dict[str, Any] = {
        "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    return found | ({"load": round(os.getloadavg()[0], 2)} if hasattr(os, "getloadavg") else {})


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
