"""What each worker process of the engine does before its first job."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from ..allocation import keep_freed, use_large_pages
from ..log_text import WithoutFolders
from . import prompter
from .loading import load_declared

log = logging.getLogger(__name__)

LOADED_AHEAD = "napari_medseg.loaded_ahead"
"""Group of entry points: for each worker, the module that its first job will need."""

DEVICE = "device"
"""Topic in which the predictor says what it runs on, so that nobody who asks has to wait for its turn."""


def dask_setup(worker: Any) -> None:
    """Called by dask when the worker starts: step behind the window, and load libraries ahead of the first job.

    Dask has its workers give back each freed block at once, with which networks take almost twice the time.
    """
    role = str(worker.name)
    keep_freed()
    use_large_pages()
    _hush()
    _yield_to_the_window(19 if role == "trainer" else 5)
    threading.Thread(target=_warm, args=(worker, role), daemon=True).start()


AFTER = 15.0
"""Seconds that the trainer waits before it loads anything ahead: a window that opens, and the predictor, come first."""


def _warm(worker: Any, role: str) -> None:
    """Import what the package declares for this worker, which takes seconds; MEDSEG_LOAD_AHEAD=0 has it wait for a job.

    The predictor does not wait: a window that has an engine is about to use it.
    """
    if role == "trainer":
        if os.environ.get("MEDSEG_LOAD_AHEAD") == "0":
            return
        time.sleep(AFTER)
    load_declared(LOADED_AHEAD, role)
    if role == "predictor":
        _tell_device(worker)
        prompter.warm()


_NOT_LOGGED = ("Run out-of-band function", "Compute Failed")
"""What dask says of each prompt, and of each error, with all its arguments; `task` logs errors itself."""


def _hush() -> None:
    """Keep dask from logging a line for each prompt, and everybody from logging where the user's files are."""
    for logger in (logging.getLogger(), logging.getLogger("distributed")):
        for handler in logger.handlers:
            handler.setFormatter(WithoutFolders("%(asctime)s %(name)s %(message)s"))
    logging.getLogger("distributed.worker").addFilter(lambda record: not str(record.msg).startswith(_NOT_LOGGED))


def _tell_device(worker: Any) -> None:
    """Say what the networks run on."""
    from distributed.core import Status

    from .predictor import device_name

    try:
        name = device_name()
    except Exception:  # a broken driver; it will fail the segmentations, too, and those say so
        log.exception("no device could be found")
        return
    while worker.status == Status.init:  # what is said before it is connected gets lost
        time.sleep(0.05)
    worker.log_event(DEVICE, [name])


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
