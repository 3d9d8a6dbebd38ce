"""What tests of several rooms share: one engine of their own, and the command `medseg` as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from filelock import FileLock
from hypothesis import settings

from napari_medseg.models.engine.address import read_address
from napari_medseg.models.engine.client import Engine

from .forked_commands import ForkedCommands
from .held_processes import WAIT, held_before_file, wait_until_stopped

# Enough to find what a change breaks, and the same each time: a run that fails by chance says nothing about a change.
# HYPOTHESIS_PROFILE=search looks four times as far, and elsewhere each time.
settings.register_profile("suite", max_examples=25, deadline=None, derandomize=True)
settings.register_profile("search", max_examples=100, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


TO_END = 180
"""Seconds that an engine and its workers have for ending; they take two on an idle machine."""


@pytest.fixture(scope="session")
def engine_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The runtime folder of an engine for this test run; nothing of the user's is touched, no process is left."""
    folder = tmp_path_factory.mktemp("home")
    places = {
        "MEDSEG_RUNTIME": folder / "runtime",
        "MEDSEG_PROJECT": folder / "project",
        "XDG_STATE_HOME": folder / "state",
        "XDG_DATA_HOME": folder / "data",
        "MEDSEG_IDLE": 600,  # longer than tests without it take, so that one engine serves all
        "MEDSEG_LOAD_AHEAD": 0,  # most engines here never train
        "OMP_WAIT_POLICY": "passive",  # threads of torch that wait for each other leave the core to who has work
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in places.items():
            patch.setenv(name, str(value))
        yield folder / "runtime"
    (folder / "runtime").mkdir(mode=0o700, exist_ok=True)
    with FileLock(folder / "runtime" / "engine.lock"):  # who starts one at this moment holds it
        found = read_address(folder / "runtime")
    if found and psutil.pid_exists(found.pid):
        os.kill(found.pid, signal.SIGTERM)
    left = processes_of(folder / "runtime")
    _, alive = psutil.wait_procs(left, timeout=TO_END)
    for process in alive:
        process.kill()
    assert not alive, f"the engine left processes behind: {alive}"


def processes_of(runtime: Path) -> list[psutil.Process]:
    """Every process that an engine of this runtime folder consists of."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("MEDSEG_RUNTIME") == str(runtime):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def engine_processes() -> Callable[[Path], list[psutil.Process]]:
    """Tells which processes belong to the engine of a runtime folder."""
    return processes_of


@dataclass(frozen=True)
class Ran:
    """What a command did: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])

    @property
    def sentence(self) -> str:
        """Standard error, where a traceback would be a fault."""
        assert "Traceback" not in self.err, self.err
        return self.err.strip()


@pytest.fixture(scope="session")
def forked_commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedCommands | None]:
    """Runs `medseg` without the second that its imports take, where processes can be forked."""
    commands = ForkedCommands(tmp_path_factory.mktemp("commands")) if hasattr(os, "fork") else None
    yield commands
    if commands:
        commands.close()


@pytest.fixture
def medseg(engine_environment: Path, forked_commands: ForkedCommands | None, tmp_path: Path) -> Callable[..., Ran]:
    """Run `medseg` with arguments, in a process of its own and a folder that is empty at first.

    With another command or with options, which are those of `subprocess.run`, in one of a new Python.
    """

    def run(*arguments: object, command: tuple[str, ...] = ("-m", "napari_medseg.cli"), **options: Any) -> Ran:
        folder = tmp_path / "cwd"
        folder.mkdir(exist_ok=True)
        if forked_commands and command == ("-m", "napari_medseg.cli") and not options:
            return Ran(*forked_commands.run([str(argument) for argument in arguments], folder))
        ran = subprocess.run(
            [sys.executable, *command, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=WAIT,
            cwd=folder,
            check=False,
            **options,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return run


class Running:
    """A command that runs beside the test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def wait_for(self, happened: Callable[[], object], seconds: float = WAIT) -> None:
        """Until something is true; fails if the command ends before."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.05)

    def wait_for_job(self, name: str) -> None:
        """Until the engine works on a job whose key begins with `name`."""
        engine = Engine.connect()
        try:
            self.wait_for(
                lambda: any(key.startswith(name) for keys in engine._client.processing().values() for key in keys)
            )
        finally:
            engine.close()

    def wait_until_held(self) -> None:
        """Until it has stopped itself where it is to be held."""
        wait_until_stopped(psutil.Process(self.process.pid))

    def interrupt(self, number: signal.Signals) -> Ran:
        """Send a signal, have it go on if it is held, and return how it ended."""
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)
        out, err = self.process.communicate(timeout=WAIT)
        return Ran(self.process.returncode, out, err)


@pytest.fixture
def start_medseg(engine_environment: Path) -> Iterator[Callable[..., Running]]:
    """Start `medseg` with arguments and go on; `held` is the ending of a file before which it stops, and which one."""
    started = []
    # A shell that runs the tests in its background has them ignore Ctrl-C, and what they start inherits that.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)

    def start(*arguments: object, held: tuple[str, int] | None = None) -> Running:
        as_ever = ["-m", "napari_medseg.cli"]
        program = ["-c", held_before_file(*held) + "from napari_medseg.cli import main; main()"] if held else as_ever
        command = [sys.executable, *program, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return Running(process)

    yield start
    for process in started:
        process.kill()
        process.communicate()
    signal.signal(signal.SIGINT, ignored)


@pytest.fixture
def nuclei(tmp_path: Path) -> Callable[[int], tuple[Path, Path]]:
    """Image and true mask number 1 to 3, PNG files of 128 x 128 pixels with bright nuclei."""

    def files(number: int) -> tuple[Path, Path]:
        import imageio.v3 as iio

        from napari_medseg.samples import samples

        sample = samples("fluorescence")[number - 1]
        here = np.s_[128:256, 128:256]
        image, mask = tmp_path / f"nuclei{number}.png", tmp_path / f"truth{number}.png"
        iio.imwrite(image, sample.image().data[here])
        iio.imwrite(mask, sample.mask()[here])
        return image, mask

    return files


@pytest.fixture
def without_privileges() -> dict[str, Any]:
    """Options for a process to which the permissions of files apply, also where the tests run as root."""
    if sys.platform != "linux":
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            pytest.skip("root's privileges can be dropped on Linux only")
        return {}
    if os.geteuid() != 0:
        return {}
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def drop() -> None:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: root may write and read everything
            if prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP, in force from the next exec on
                os._exit(99)

    return {"preexec_fn": drop}
