"""What each worker process of the engine does before its first job."""

from __future__ import annotations

import importlib
import os
import threading
from pathlib import Path
from typing import Any

import psutil

_WARM = {"predictor": "napari_medseg.models.inference", "trainer": "napari_medseg.trainer.finetuning"}
"""What each worker will need: importing it takes seconds, which nobody has to wait for."""


def dask_setup(worker: Any) -> None:
    """Called by dask when the worker starts: step behind the window, and load libraries ahead of the first job."""
    role = str(worker.name)
    _yield_to_the_window(19 if role == "trainer" else 5)
    if role in _WARM:
        threading.Thread(target=importlib.import_module, args=(_WARM[role],), daemon=True).start()


def _yield_to_the_window(nice: int) -> None:
    process = psutil.Process()
    if os.name == "nt":
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if nice < 10 else psutil.IDLE_PRIORITY_CLASS)
        return
    process.nice(nice)
    try:  # where Linux groups processes by session, niceness counts only inside a group; the group has its own
        with Path(f"/proc/{os.getpid()}/autogroup").open("w", encoding="ascii") as group:
            group.write("5")
    except OSError:
        return
