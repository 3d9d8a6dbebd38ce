import json
import os
import queue
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from napari_medseg.models import MedicalImage, ModelCard, create_model, load_model, predict, save_model
from napari_medseg.models.engine.address import EngineAddress, read_address, write_address
from napari_medseg.models.engine.client import Engine, Job
from napari_medseg.models.errors import CancelledError, EngineError, ImageError, ModelError

from ..held_processes import WAIT, hold_worker, wait_until_stopped
from .engine_support import family, with_tasks

pytestmark = pytest.mark.skipif(os.name == "nt", reason="uses signals")


@pytest.fixture
def engine(engine_environment: Path) -> Iterator[Engine]:
    """A connection to the engine of this test run, which is started anew where a test has ended it."""
    with_tasks(engine_environment)
    engine = Engine.connect()
    yield engine
    engine.close()


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder without an engine, for tests that are rough with theirs; it ends after a second of idleness."""
    folder = tmp_path / "r"
    monkeypatch.setenv("MEDSEG_RUNTIME", str(folder))
    monkeypatch.setenv("MEDSEG_IDLE", "1")
    yield with_tasks(folder)
    if (found := read_address(folder)) and psutil.pid_exists(found.pid):
        for process in family(found.pid):
            process.kill()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "tiny"
    save_model(create_model("unet", base=4), file, ModelCard(name="t", title="T", network="unet", config={"base": 4}))
    return f"{file}.safetensors"


def noise(*shape: int) -> MedicalImage:
    return MedicalImage.from_array(np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8))


def address_of(engine: Engine) -> str:
    return str(engine._client.scheduler.address)


def started(
    engine: Engine, function: str = "tasks:count", *args: Any, **options: Any
) -> tuple[Job, "queue.Queue[Any]"]:
    """A job that has reported something, and what it reports from then on."""
    reports: queue.Queue[Any] = queue.Queue()
    job = engine.submit("predictor", function, *args, progress=reports.put, **options)
    reports.get(timeout=WAIT)
    return job, reports


def next_worker(engine: Engine, dead: int) -> int:
    """The process of the predictor that came after the dead one."""
    pid = engine.submit("predictor", "tasks:name").result(WAIT)
    assert pid != dead
    return int(pid)


class TestFinding:
    def test_the_running_engine_is_found_again(self, engine: Engine) -> None:
        other = Engine.connect()
        assert address_of(other) == address_of(engine)
        assert other.submit("predictor", "tasks:twice", 21).result(WAIT) == 42
        other.close()
        assert not other.alive
        assert engine.alive

    def test_another_process_finds_it_and_imports_no_torch(
        self, engine: Engine, engine_environment: Path, tiny: str
    ) -> None:
        program = (
            "import sys, json, numpy as np\n"
            "from napari_medseg.models import MedicalImage\n"
            "from napari_medseg.models.engine.client import Engine\n"
            "engine = Engine.connect()\n"
            "answer = engine.segment(MedicalImage(np.eye(70), 'YX'), sys.argv[1]).result(120)\n"
            "try: engine.segment(MedicalImage(np.eye(70), 'YX'), 'nonsense').result(120)\n"
            "except Exception as error: said = type(error).__name__\n"
            "heavy = {'torch', 'triton', 'torchvision', 'timm', 'monai', 'lightning'}\n"
            "heavy &= {module.split('.')[0] for module in sys.modules}\n"
            "print(json.dumps([answer.labels.shape, said, sorted(heavy), engine._client.scheduler.address]))\n"
            "engine.close()\n"
        )
        ran = subprocess.run(
            [sys.executable, "-c", program, tiny], capture_output=True, text=True, timeout=WAIT, check=True
        )
        assert json.loads(ran.stdout.splitlines()[-1]) == [[70, 70], "ModelError", [], address_of(engine)]
        assert engine.alive

    def test_only_this_user_can_read_where_it_is(self, engine: Engine, engine_environment: Path) -> None:
        file = engine_environment / "engine.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(engine_environment.stat().st_mode) == 0o700
        assert read_address(engine_environment).address == address_of(engine)

    def test_without_the_certificate_nobody_is_let_in(self, engine: Engine) -> None:
        from distributed import Client
        from distributed.security import Security

        for security in (Security.temporary(), None):
            with pytest.raises((OSError, TypeError, RuntimeError)):
                Client(address_of(engine), security=security, timeout=3, set_as_default=False)
        assert engine.alive

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"no JSON",
            b"[]",
            b"{}",
            b"\xff",
            b'{"address": "tls://127.0.0.1:1", "pid": 1, "certificate": "none", "key": "none"}',
        ],
    )
    def test_a_file_that_is_no_address_is_none(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "engine.json").write_bytes(content)
        found = read_address(tmp_path)
        assert found is None or found.certificate == "none"

    def test_a_stale_address_is_replaced_and_all_who_come_at_once_share_one_engine(self, own_home: Path) -> None:
        dead = EngineAddress("tls://127.0.0.1:1", os.getpid(), "no certificate", "no key")  # the number was given anew
        write_address(dead, own_home)
        found: list[Engine] = []
        windows = [threading.Thread(target=lambda: found.append(Engine.connect())) for _ in range(3)]
        for window in windows:
            window.start()
        for window in windows:
            window.join(WAIT)
        assert len({address_of(engine) for engine in found}) == 1
        assert len(found) == 3
        assert read_address(own_home).pid != dead.pid
        for engine in found:
            engine.close()


class TestSegmenting:
    def test_the_answer_is_that_of_predict(self, engine: Engine, tiny: str) -> None:
        image = noise(150, 170)
        answer = engine.segment(image, tiny, tile=96, probabilities=True).result(WAIT)
        expected = predict(load_model(tiny), image, tile=96, probabilities=True)
        assert np.allclose(answer.probabilities, expected.probabilities, atol=2e-3)
        assert np.mean(answer.labels == expected.labels) > 0.999
        assert answer.labels.dtype == expected.labels.dtype

    def test_a_shipped_model_goes_by_its_name(self, engine: Engine) -> None:
        assert engine.segment(noise(64, 64), "nuclei", instances=True).result(WAIT).labels.shape == (64, 64)

    def test_exchanged_weights_are_loaded_anew(self, engine: Engine, tmp_path: Path) -> None:
        answers = []
        for bias in (-50, 50):
            network = create_model("unet", base=4)
            torch.nn.init.constant_(network.head.bias, bias)
            save_model(network, tmp_path / "w", ModelCard(name="w", title="W", network="unet", config={"base": 4}))
            answers.append(engine.segment(noise(64, 64), str(tmp_path / "w.safetensors")).result(WAIT).labels)
        assert not answers[0].any()
        assert answers[1].all()

    def test_progress_arrives_and_rises_to_1(self, engine: Engine, tiny: str) -> None:
        reports: queue.Queue[float] = queue.Queue()
        engine.segment(noise(300, 300), tiny, tile=64, progress=reports.put).result(WAIT)
        shares = [reports.get(timeout=WAIT)]
        while shares[-1] < 1:
            shares.append(reports.get(timeout=WAIT))
        assert shares == sorted(shares)

    def test_it_says_what_it_runs_on(self, engine: Engine) -> None:
        expected = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        assert engine.describe() in (expected, "MPS")

    def test_a_job_can_be_followed_by_its_key_from_another_connection(self, engine: Engine) -> None:
        job, _ = started(engine)
        other = Engine.connect()
        try:
            same = other.job(job.key)
            reports: queue.Queue[int] = queue.Queue()
            other.follow(job.key, reports.put)
            assert reports.get(timeout=WAIT) > 0
            assert other.past(job.key)[0] == 0
            assert other.job("nonsense") is None
            same.cancel()
            for follower in (same, job):
                with pytest.raises(CancelledError):
                    follower.result(WAIT)
            assert other.job(job.key).done
        finally:
            other.close()

    def test_another_connection_gets_the_answer_of_a_job_too(self, engine: Engine) -> None:
        blocking, _ = started(engine)
        job, other = engine.submit("predictor", "tasks:twice", 21), Engine.connect()
        try:
            waiting = other.job(job.key)
            assert not waiting.done
            blocking.cancel()
            assert waiting.result(WAIT) == job.result(WAIT) == 42
            assert other.job(job.key).result(WAIT) == 42
        finally:
            other.close()


class TestCancelling:
    def test_a_large_image_stops_long_before_its_end(self, engine: Engine, tiny: str) -> None:
        shares: queue.Queue[float] = queue.Queue()
        predictor = hold_worker(engine, "predictor", "hold_at_report", 0.0)
        job = engine.segment(noise(500, 500), tiny, tile=64, progress=shares.put)
        wait_until_stopped(predictor)
        job.cancel()
        predictor.resume()
        with pytest.raises(CancelledError, match="as they were"):
            job.result(WAIT)
        seen = [shares.get_nowait() for _ in range(shares.qsize())]
        assert max(seen, default=0) < 0.5
        assert job.done

    def test_what_has_not_begun_never_begins(self, engine: Engine) -> None:
        first, _ = started(engine)
        waiting, seen = engine.submit("predictor", "tasks:count"), []
        engine.follow(waiting.key, seen.append)
        waiting.cancel()
        first.cancel()
        for job in (first, waiting):
            with pytest.raises(CancelledError):
                job.result(WAIT)
        assert [report for report in seen if report > 0] == []

    def test_a_job_that_is_not_waited_for_goes_on(self, engine: Engine) -> None:
        job, _ = started(engine)
        with pytest.raises(TimeoutError):
            job.result(0.01)
        assert not job.done
        ended = threading.Event()
        job.when_done(lambda _: ended.set())
        job.cancel()
        assert ended.wait(WAIT)
        assert job.done

    def test_closing_a_connection_drops_its_job_unless_it_may_outlive_it(self, engine: Engine) -> None:
        window = Engine.connect()
        kept, _ = started(window, outlive=True)
        dropped = window.submit("predictor", "tasks:twice", 1)
        window.close()
        assert engine.job(dropped.key) is None
        again = engine.job(kept.key)
        reports: queue.Queue[int] = queue.Queue()
        engine.follow(kept.key, reports.put)
        reports.get(timeout=WAIT)
        again.cancel()
        with pytest.raises(CancelledError, match="Stopped at"):
            again.result(WAIT)


class TestFaults:
    def test_an_error_for_people_arrives_with_its_sentence(self, engine: Engine, tiny: str) -> None:
        with pytest.raises(ModelError, match="There is no model 'nonsense'"):
            engine.segment(noise(64, 64), "nonsense").result(WAIT)
        with pytest.raises(ImageError, match="has 5 channels, but the network reads 3"):
            engine.segment(MedicalImage(np.zeros((64, 64, 5)), "YXC"), tiny).result(WAIT)

    @pytest.mark.parametrize(
        ("task", "said"),
        [
            ("tasks:fail", "unexpected went wrong .KeyError: 'surprise'.*engine's log"),
            ("tasks:need_memory", "not enough memory"),
            ("tasks:no_such", "unexpected"),
            ("no_such_module:name", "unexpected"),
        ],
    )
    def test_any_other_error_is_one_of_the_engine(self, engine: Engine, task: str, said: str) -> None:
        with pytest.raises(EngineError, match=said):
            engine.submit("predictor", task).result(WAIT)
        assert engine.submit("predictor", "tasks:twice", 1).result(WAIT) == 2

    def test_a_predictor_that_is_killed_is_replaced_and_the_answer_is_right(self, engine: Engine, tiny: str) -> None:
        pid = engine.submit("predictor", "tasks:name").result(WAIT)
        image, predictor = noise(300, 300), hold_worker(engine, "predictor", "hold_at_report", 0.2)
        job = engine.segment(image, tiny, tile=64, progress=lambda share: None)
        wait_until_stopped(predictor)
        predictor.kill()
        answer = job.result(WAIT)
        assert np.mean(answer.labels == predict(load_model(tiny), image, tile=64).labels) > 0.999
        assert next_worker(engine, pid)

    def test_a_task_that_kills_every_process_is_given_up(self, engine: Engine) -> None:
        with pytest.raises(EngineError, match="died several times, most likely for want of memory"):
            engine.submit("predictor", "tasks:die").result(WAIT)
        assert engine.submit("predictor", "tasks:twice", 4).result(WAIT) == 8


class TestEnding:
    def test_it_ends_by_itself_and_leaves_nothing_but_not_while_a_job_runs_or_a_window_is_open(
        self, own_home: Path
    ) -> None:
        window = Engine.connect()
        job, _ = started(window, outlive=True)
        window.close()
        with pytest.raises(psutil.TimeoutExpired):  # three times as long as it waits when idle
            psutil.Process(read_address(own_home).pid).wait(3)
        again = Engine.connect()
        again.job(job.key).cancel()
        with pytest.raises(psutil.TimeoutExpired):
            psutil.Process(read_address(own_home).pid).wait(3)
        assert again.alive
        processes = family(read_address(own_home).pid)
        assert len(processes) > 2
        again.close()
        assert psutil.wait_procs(processes, WAIT)[1] == []
        assert read_address(own_home) is None

    def test_after_a_kill_jobs_end_nothing_is_left_and_a_new_one_starts(
        self, engine: Engine, engine_environment: Path, until: Callable[[Callable[[], bool]], None]
    ) -> None:
        job, _ = started(engine)
        pid = read_address(engine_environment).pid
        processes = family(pid)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises((EngineError, CancelledError), match="try again"):
            job.result(WAIT)
        until(lambda: not engine.alive)
        assert psutil.wait_procs(processes, WAIT)[1] == []
        again = Engine.connect()
        assert read_address(engine_environment).pid != pid
        assert again.submit("predictor", "tasks:twice", 4).result(WAIT) == 8
        again.close()

    def test_asked_to_end_it_takes_its_workers_along(self, own_home: Path) -> None:
        window = Engine.connect()  # or it would end by itself
        processes = family(read_address(own_home).pid)
        processes[0].terminate()
        assert psutil.wait_procs(processes, WAIT)[1] == []
        window.close()
        assert read_address(own_home) is None

    @pytest.fixture
    def until(self) -> Callable[[Callable[[], bool]], None]:
        """Wait for something to become true."""

        def wait(true: Callable[[], bool]) -> None:
            looked = threading.Event()
            for _ in range(WAIT * 10):
                if true():
                    return
                looked.wait(0.1)
            pytest.fail("it never became true")

        return wait
