"""Commands in processes of their own that need not import first: each is forked from one that has.

Run as a program this is the process that forks: it reads a command a line, as JSON, and answers with its exit code.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

AHEAD = ("napari_medseg.cli", "napari_medseg.trainer.ledger", "distributed", "imageio.v3", "rich.markdown", "tifffile")
"""What most commands import sooner or later."""


class ForkedCommands:
    """Runs `medseg` where `os.fork` is; environment, folder and output are the command's own."""

    def __init__(self, folder: Path) -> None:
        self._out, self._err = folder / "out", folder / "err"
        self._parent = self._start()

    @staticmethod
    def _start() -> subprocess.Popen[str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("MEDSEG_")}
        return subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=plain,
            process_group=0,
        )

    def run(self, arguments: list[str], cwd: Path) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of `medseg` with these arguments."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        command = {"arguments": arguments, "cwd": str(cwd), "environment": dict(os.environ)}
        command |= {"out": str(self._out), "err": str(self._err)}
        self._parent.stdin.write(json.dumps(command) + "\n")
        self._parent.stdin.flush()
        try:
            code = int(self._parent.stdout.readline())
        except BaseException:  # the test's time is over; its answer would be taken for that of the next command
            os.killpg(self._parent.pid, signal.SIGKILL)
            self._parent.communicate()
            self._parent = self._start()
            raise
        return code, self._out.read_text("utf-8"), self._err.read_text("utf-8")

    def close(self) -> None:
        self._parent.communicate()


def serve() -> None:
    """Fork a process for each command that is asked for; only such a process returns before the end of the input."""
    for module in AHEAD:
        importlib.import_module(module)
    for line in sys.stdin:
        command = json.loads(line)
        if command["arguments"][:1] == ["train"]:
            importlib.import_module("napari_medseg.trainer.folder_training")  # and with it torch
        gc.freeze()  # so that a child's end does not look through all that was imported
        child = os.fork()
        if child == 0:
            become(command)
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201
    sys.exit()


def become(command: dict[str, Any]) -> None:
    """Make this process the command's, up to its first line."""
    os.chdir(command["cwd"])
    os.environ.clear()
    os.environ.update(command["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(command[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.argv = ["medseg", *command["arguments"]]


def end(code: int) -> None:
    """End as Python would, but for what libraries say of what they leave behind, of which a fork has its parent's."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
    from napari_medseg.cli import main

    try:
        main()
    except SystemExit as ended:
        end(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    end(0)
