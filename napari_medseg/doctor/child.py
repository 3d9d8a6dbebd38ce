"""Asking a process of its own, for what may crash or hang the one that asks."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What such a process said until it ended.

    Attributes:
        said: the objects that it printed as lines of JSON, by their "about".
        errors: its standard error.
        code: its exit code, below 0 if a signal ended it; None if it took too long and was ended.
    """

    said: Mapping[str, Mapping[str, Any]]
    errors: str
    code: int | None


def ask(module: str, seconds: float, environment: Mapping[str, str] | None = None) -> Answer:
    """Run a module and wait for its end, `seconds` at most.

    Args:
        module: its name.
        seconds: after which it is ended.
        environment: variables beside or instead of this process's.
    """
    code: int | None
    try:
        ran = subprocess.run(  # noqa: S603 (a module of ours)
            [sys.executable, "-P", "-m", module],  # not to import from where the caller happens to be
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            env=os.environ | dict(environment or {}),
            check=False,
        )
        code, out, errors = ran.returncode, ran.stdout, ran.stderr
    except subprocess.TimeoutExpired as late:
        code, out, errors = None, late.stdout or b"", late.stderr or b""
    said: dict[str, Mapping[str, Any]] = {}
    for line in out.decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            spoken = json.loads(line)
            said[spoken.pop("about")] = spoken
    return Answer(said, errors.decode(errors="replace"), code)
