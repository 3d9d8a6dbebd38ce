"""Threads of a worker import libraries one at a time."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_medseg.models.engine.loading import named

MEETING = """
import threading
at_once = False
_both = threading.Barrier(2)
def within():
    global at_once
    try:
        _both.wait(0.2)
        at_once = True
    except threading.BrokenBarrierError:
        pass
"""

MODULE = """
import loading_meeting
loading_meeting.within()
VALUE = "{name}"
"""


def test_two_threads_never_import_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = ("loading_one", "loading_other")
    (tmp_path / "loading_meeting.py").write_text(MEETING, "utf-8")
    for name in modules:
        (tmp_path / f"{name}.py").write_text(MODULE.format(name=name), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(named, [f"{name}:VALUE" for name in modules]))

    assert found == list(modules)
    assert not sys.modules["loading_meeting"].at_once
