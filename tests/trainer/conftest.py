import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_medseg.trainer.folder_config import FolderRequest

from .folder_cases import disc, pair


@pytest.fixture
def forked() -> Callable[[Callable[[], str]], str]:
    """Run a task in a process of its own, with the modules that are loaded here, and return what it says."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")

    def run(task: Callable[[], str]) -> str:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                said = task()
            except BaseException:
                said = traceback.format_exc()
            os.write(writing, said.encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        return said

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten pairs, in the flat layout."""
    for seed in range(10):
        pair(tmp_path / "data", f"case{seed}", *disc(seed))
    return tmp_path / "data"


@pytest.fixture
def request_for(folder: Path, tmp_path: Path) -> Callable[..., FolderRequest]:
    def make(**changes: Any) -> FolderRequest:
        few = {"steps": 8, "batch": 2, "crop": 32, "options": {"base": 4}, "lr": 1e-2}
        return FolderRequest(**{"folder": folder, "out": tmp_path / "out", "network": "unet"} | few | changes)

    return make
