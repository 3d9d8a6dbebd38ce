"""What tests of the engine run in it: things that a network would do at inconvenient moments only."""

from __future__ import annotations

from pathlib import Path

import psutil

TASKS = """
import os, time
def twice(number, *, progress, cancel): return 2 * number
def fail(*, progress, cancel): raise KeyError("surprise")
def need_memory(*, progress, cancel): raise MemoryError
def die(*, progress, cancel): os.kill(os.getpid(), 9)
def name(*, progress, cancel): return os.getpid()
def count(*, progress, cancel):
    for step in range(1_000_000):
        if cancel():
            from napari_medseg.models.errors import CancelledError
            raise CancelledError(f"Stopped at {step}.")
        progress(step)
        time.sleep(0.01)
def segment_for_ever(*args, **options):
    from napari_medseg.models.engine.predictor import segment
    while True: segment(*args, **options)
"""


def with_tasks(runtime: Path) -> Path:
    """The runtime folder of an engine, whose processes import from there, with the tasks in it."""
    runtime.mkdir(parents=True, exist_ok=True)
    (runtime / "tasks.py").write_text(TASKS)
    return runtime


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]
