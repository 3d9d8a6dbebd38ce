"""A fixed share of a core for a process and its children, whatever else the machine does (Linux control groups)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

PERIOD = 100_000
"""Microseconds in which the share is used up."""


def core_share(name: str, cores: float) -> Callable[[], None]:
    """What a new process calls before it becomes the program that shall have so many cores, e.g. 0.3.

    The group is made inside that of the caller, in version 1 or 2 of the control groups.

    Raises:
        OSError: control groups may not be made here; root may, where they are mounted to be written.
    """
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines()]
    old = next(((names, path) for _, names, path in lines if "cpu" in names.split(",")), None)  # version 1
    names, path = old or ("", next(path for _, names, path in lines if not names))
    group = Path("/sys/fs/cgroup") / names / path.lstrip("/") / name
    group.mkdir(exist_ok=True)
    quota = round(cores * PERIOD)
    if old is None:
        (group / "cpu.max").write_text(f"{quota} {PERIOD}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    processes = group / "cgroup.procs"

    def join() -> None:
        processes.write_text("0")  # 0 is whoever writes

    return join
