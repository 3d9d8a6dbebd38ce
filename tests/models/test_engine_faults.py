"""The engine where it starts badly, hangs, or is left alone."""

import os
import queue
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from napari_medseg.models.engine import start
from napari_medseg.models.engine.address import EngineAddress, read_address, runtime_folder
from napari_medseg.models.engine.client import Engine, engine_log
from napari_medseg.models.errors import CancelledError, EngineError

from ..held_processes import WAIT
from .engine_support import with_tasks

pytestmark = pytest.mark.skipif(os.name == "nt", reason="uses signals")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder without an engine; what is started there is killed at the end."""
    folder = tmp_path / "r"
    monkeypatch.setenv("MEDSEG_RUNTIME", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("MEDSEG_IDLE", "600")  # no test here waits for that
    yield with_tasks(folder)
    for process in engines(folder):
        process.kill()


@pytest.fixture
def engine(engine_environment: Path) -> Iterator[Engine]:
    """A connection to the engine of this test run."""
    with_tasks(engine_environment)
    engine = Engine.connect()
    yield engine
    engine.close()


def engines(folder: Path) -> list[psutil.Process]:
    """The processes of all engines of a runtime folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("MEDSEG_RUNTIME") == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def counting(engine: Engine) -> tuple["queue.Queue[int]", str]:
    """What an endless job of the predictor reports, after its first report; and its key."""
    reports: queue.Queue[int] = queue.Queue()
    job = engine.submit("predictor", "tasks:count", progress=reports.put)
    reports.get(timeout=WAIT)
    return reports, job.key


class TestLosing:
    def test_a_predictor_that_is_away_for_long_is_waited_for(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT", "50ms")  # starting anew takes longer
        engine = Engine.connect()
        try:
            os.kill(engine.submit("predictor", "tasks:name").result(WAIT), signal.SIGKILL)
            reports, _ = counting(engine)
            until = time.monotonic() + 3
            while time.monotonic() < until:
                reports.get(timeout=WAIT)
        finally:
            engine.close()


class TestStarting:
    def test_as_on_windows_a_launcher_starts_it_and_it_ends_when_told_to_though_its_loop_knows_no_signals(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "as on Windows"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(
            "import asyncio\n"
            "def refuse(*args): raise NotImplementedError\n"
            "asyncio.SelectorEventLoop.add_signal_handler = refuse\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(folder))
        launcher = tmp_path / "python"
        launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\n')
        launcher.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(launcher))
        engine = Engine.connect()
        process = psutil.Process(read_address(home).pid)
        assert process.ppid() != os.getpid()
        assert engine.submit("predictor", "tasks:name").result(WAIT)
        engine.close()
        processes = engines(home)
        process.terminate()
        assert psutil.wait_procs(processes, WAIT)[1] == []
        assert read_address(home) is None
        assert "ended" in engine_log().read_text().splitlines()[-1]

    def test_one_that_cannot_start_says_where_to_look(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (home / "distributed.py").write_text("raise ImportError('broken')")  # it runs in this folder
        with pytest.raises(EngineError, match="Its log says why"):
            Engine.connect()
        assert "broken" in engine_log().read_text()

    def test_one_that_takes_long_to_start_is_waited_for_as_long_as_it_lives(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow = tmp_path / "python"
        slow.write_text(f'#!/bin/sh\nsleep 2\nexec "{sys.executable}" "$@"\n')
        slow.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(slow))
        monkeypatch.setattr(start, "START", 1)
        assert start._start(home) == read_address(home)

    def test_a_large_log_is_put_aside(self, home: Path) -> None:
        (home / "distributed.py").write_text("raise ImportError('broken')")
        engine_log().write_bytes(b"x" * (start.LOG_SIZE + 1))
        with pytest.raises(EngineError):
            Engine.connect()
        assert engine_log().with_name("engine.log.1").stat().st_size == start.LOG_SIZE + 1
        assert engine_log().stat().st_size < start.LOG_SIZE

    def test_who_cannot_connect_leaves_no_thread_and_no_socket(self) -> None:
        before = threading.active_count(), psutil.Process().num_fds()
        for _ in range(3):
            with pytest.raises(EngineError, match="does not answer"):
                start.reach("tcp://127.0.0.1:9", None, 0.5)
        assert (threading.active_count(), psutil.Process().num_fds()) <= before


class TestHanging:
    def test_who_connects_where_a_thread_takes_long_to_begin_tries_again_and_is_told_if_it_does_not(
        self, engine: Engine, engine_environment: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from distributed.utils import LoopRunner

        begin, late = LoopRunner._start_unlocked, [True, True]

        def begun(runner: LoopRunner) -> None:
            assert not (late and late.pop())  # as dask does, after ten seconds
            begin(runner)

        monkeypatch.setattr(LoopRunner, "_start_unlocked", begun)
        known = read_address(engine_environment)
        start.reach(known.address, known.security(), WAIT).close()
        assert not late
        late[:] = [True] * 1000
        with pytest.raises(EngineError, match="too busy"):
            start.reach(known.address, known.security(), 0.01)

    def test_a_slow_engine_is_waited_for(
        self, engine: Engine, engine_environment: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(start, "START", WAIT)
        pid = read_address(engine_environment).pid
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(3, os.kill, (pid, signal.SIGCONT)).start()
        again = Engine.connect()
        assert read_address(engine_environment).pid == pid
        assert again.submit("predictor", "tasks:name").result(WAIT)
        again.close()

    def test_one_that_never_answers_ends_before_another_starts(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Engine.connect().close()
        old = engines(home)
        os.kill(read_address(home).pid, signal.SIGSTOP)
        monkeypatch.setattr(start, "END", 1)
        monkeypatch.setattr(start, "START", 3)
        monkeypatch.setattr(start, "_start", lambda folder, begin=start._start: _patiently(monkeypatch, begin, folder))
        engine = Engine.connect()
        assert psutil.wait_procs(old, 0)[1] == []
        assert engine.submit("predictor", "tasks:name").result(WAIT)
        engine.close()


def _patiently(patch: pytest.MonkeyPatch, begin: Callable[[Path], EngineAddress], folder: Path) -> EngineAddress:
    """Start an engine with all the time it needs, after an old one has had little."""
    patch.setattr(start, "START", WAIT)
    return begin(folder)


class TestQueue:
    def test_a_cancelled_job_that_waits_is_withdrawn_at_once(self, engine: Engine) -> None:
        reports, first = counting(engine)
        waiting, ended = engine.submit("predictor", "tasks:count"), threading.Event()
        waiting.when_done(lambda _: ended.set())
        waiting.cancel()
        with pytest.raises(CancelledError):
            waiting.result(WAIT)  # its turn will not come: the first one has no end
        assert ended.wait(WAIT)
        assert waiting.done
        while not reports.empty():
            reports.get()
        assert reports.get(timeout=WAIT) > 0  # the first goes on
        assert not engine.job(first).done

    def test_a_job_that_was_looked_for_in_vain_can_be_submitted_at_once(self, engine: Engine) -> None:
        """dask lets go of what was looked for a moment later, in another thread."""
        for number in range(50):
            key = f"sought-{number}"
            assert engine.job(key) is None
            assert engine.submit("predictor", "tasks:name", key=key).result(WAIT)

    def test_what_it_runs_on_is_known_while_the_predictor_works(self, engine: Engine) -> None:
        counting(engine)
        assert engine.describe() in ("CPU", "MPS", torch.cuda.is_available() and torch.cuda.get_device_name())

    def test_a_predictor_that_does_not_start_is_an_error_and_closes_the_connection(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("napari_medseg.models.engine.client.PATIENCE", 0)
        with pytest.raises(EngineError, match="does not start"):
            engine.describe()
        assert not engine.alive

    def test_a_job_that_ended_is_followed_no_more(self, engine: Engine) -> None:
        _, key = counting(engine)

        def followers() -> int:
            return engine._client.run_on_scheduler(lambda dask_scheduler: len(topics(dask_scheduler)[key].subscribers))

        def topics(scheduler: Any) -> Any:
            return {name.removeprefix("progress-"): topic for name, topic in scheduler._broker._topics.items()}

        assert followers() == 1
        job = engine.job(key)
        job.cancel()
        with pytest.raises(CancelledError, match="Stopped at"):
            job.result(WAIT)
        deadline = time.monotonic() + WAIT
        while followers():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert engine._followed == {}

    @pytest.mark.parametrize("killed", [False, True])
    def test_nothing_is_computed_for_a_window_that_is_gone(self, engine: Engine, killed: bool) -> None:
        window = Engine.connect()
        counting(window)
        if killed:
            window._client.sync(window._client.scheduler_comm.close)
        else:
            window.close()
        assert engine.submit("predictor", "tasks:name").result(WAIT)  # what was computed would go on for hours
        window.close()


class TestRuntimeFolder:
    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
    @pytest.mark.parametrize("whose", ["its own", "the one above"])
    def test_a_folder_of_somebody_else_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
    ) -> None:
        folder = tmp_path / "runtime-0" / "napari-medseg"
        folder.mkdir(parents=True)
        monkeypatch.delenv("MEDSEG_RUNTIME", raising=False)
        monkeypatch.setattr("platformdirs.user_runtime_path", lambda name: folder)
        assert runtime_folder() == folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        os.chown(folder if whose == "its own" else folder.parent, 65534, 65534)
        folder.chmod(0o755)
        with pytest.raises(EngineError, match="belongs to another user"):
            runtime_folder()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755

    def test_a_link_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "r").symlink_to(tmp_path / "elsewhere")
        monkeypatch.setenv("MEDSEG_RUNTIME", str(tmp_path / "r"))
        with pytest.raises(EngineError, match="is a link"):
            runtime_folder()


def test_a_forgotten_connection_does_not_wait_for_one_that_is_being_made() -> None:
    from distributed import LocalCluster
    from distributed.utils import LoopRunner

    with LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster:
        forgotten = start.reach(cluster.scheduler_address, None, WAIT)
        with LoopRunner._lock:  # as long as another one starts; the garbage collector may come by in between
            collected = threading.Thread(target=forgotten.__del__, daemon=True)
            collected.start()
            collected.join(WAIT)
            assert not collected.is_alive()
        forgotten.close()
