"""Where networks run, in which precision, and with how many threads."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import torch

from .errors import ModelError


def choose_device(wanted: str = "auto") -> torch.device:
    """The device of that name; "auto" is the GPU if there is one, else the CPU.

    Raises:
        ModelError: no such device here.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"No CUDA GPU was found for device '{wanted}'; use 'cpu' or 'auto'.")
    try:
        return torch.device(wanted)
    except RuntimeError as error:
        raise ModelError(f"There is no device '{wanted}'; use 'auto', 'cpu', 'cuda' or 'mps'.") from error


def choose_precision(wanted: str, device: torch.device) -> torch.dtype:
    """The type that a network computes in: "auto" is bfloat16 on GPUs that have it, else float32."""
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if wanted == "auto":
        wanted = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    if wanted not in kinds:
        raise ModelError(f"There is no precision '{wanted}'; use 'auto', {', '.join(map(repr, kinds))}.")
    return kinds[wanted]


def fastest_precision(device: torch.device) -> torch.dtype:
    """The type in which a device convolves fastest: bfloat16 where it is built in, also in processors, else float32."""
    if device.type == "cpu":
        built_in: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # not in old ones
        return torch.bfloat16 if built_in.get("avx512_bf16") or built_in.get("amx_bf16") else torch.float32
    return choose_precision("auto", device)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count: int | None = None) -> int:
    """Tell torch how many cores it may use: by default all but one, so that a window stays smooth; returns the number.

    Torch counts them for each thread that calls this.
    """
    count = count or max(1, cores() - 1)
    torch.set_num_threads(count)
    return count


def threads_of_one_core(count: int, name: str) -> ThreadPoolExecutor:
    """Threads that have begun, in each of which torch uses one core.

    A thread takes over what torch was told last, by whatever thread; so another one that begins at this very moment may
    use one core, too, until it is told otherwise.
    """
    threads, together = ThreadPoolExecutor(count, name), threading.Barrier(count)

    def begin() -> None:
        torch.get_num_threads()  # takes it over
        together.wait()

    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for begun in [threads.submit(begin) for _ in range(count)]:
            begun.result()
    except BaseException:
        together.abort()
        raise
    finally:
        torch.set_num_threads(usual)
    return threads
