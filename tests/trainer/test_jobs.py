import os
import queue
import signal
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import psutil
import pytest
import torch

from napari_medseg.models import ModelCard, create_model, save_model
from napari_medseg.models.engine.address import read_address
from napari_medseg.models.engine.client import Engine, Job
from napari_medseg.models.errors import CancelledError, EngineError, LedgerError, ModelError
from napari_medseg.trainer import FineTuneResult, Ledger, jobs
from napari_medseg.trainer.config import FineTuneConfig, TrainingConfig
from napari_medseg.trainer.jobs import follow_finetuning, job_key, settle, start_finetuning
from napari_medseg.trainer.outcome import FineTuneProgress

from ..held_processes import WAIT, hold_worker, wait_until_stopped

SHORT = FineTuneConfig(
    TrainingConfig(steps=3, seconds=None, batch=2, crop=64, lr=2e-2), evaluations=2, watched=1, checkpoint=0.0
)
ENOUGH = replace(SHORT, training=replace(SHORT.training, steps=60))
"""To find the discs."""
BRIEF = replace(SHORT, training=replace(SHORT.training, steps=12))
"""To be killed on the way."""
ENDLESS = replace(SHORT, training=replace(SHORT.training, steps=10**6))

pytestmark = pytest.mark.skipif(os.name == "nt", reason="uses signals")


@pytest.fixture
def engine(engine_environment: Path) -> Iterator[Engine]:
    """A connection to the engine of this test run, which is started anew where a test has killed it."""
    engine = Engine.connect()
    yield engine
    engine.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two patients' bright discs, and a small network that sees nothing."""
    torch.manual_seed(0)
    network = create_model("unet", base=4)
    torch.nn.init.constant_(network.head.bias, -2)
    save_model(network, tmp_path / "tiny", ModelCard(name="tiny", title="T", network="unet", config={"base": 4}))
    rows, columns = np.mgrid[:72, :72]
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.set_base(str(tmp_path / "tiny.safetensors"))
        for patient in range(2):
            mask = (rows - 36) ** 2 + (columns - 30 - 6 * patient) ** 2 < 18**2
            ledger.add((20 + 100 * mask).astype(np.uint8), mask, group=f"patient {patient}")
    return tmp_path / "project"


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def trainer_pid(engine: Engine) -> int:
    """The process that trains."""
    pids = engine._client.run(os.getpid)
    workers = engine._client.scheduler_info()["workers"]
    return next(pid for address, pid in pids.items() if workers[address]["name"] == "trainer")


class Reports:
    """What a fine-tuning reports."""

    def __init__(self) -> None:
        self.queue: queue.Queue[dict[str, Any]] = queue.Queue()

    def __call__(self, report: dict[str, Any]) -> None:
        self.queue.put(report)

    def after(self, step: int) -> int:
        """Wait until that many steps are done; how many really are."""
        while (report := self.queue.get(timeout=WAIT))["step"] < step:
            continue
        return int(report["step"])


def steps_of_last_run(engine: Engine, job: Job) -> list[int]:
    """The steps that a job reported since it last began."""
    steps = [report["step"] for report in engine.past(job.key)]
    begun = len(steps) - steps[::-1].index(0)
    return steps[begun:]


def record_of(project: Path, job: Job) -> Any:
    with Ledger.open(project) as ledger:
        return ledger.job(job.key.removeprefix("finetuning-"))


def test_a_project_is_fine_tuned_in_the_engine(engine: Engine, project: Path) -> None:
    reports = Reports()
    job = start_finetuning(engine, project, config=ENOUGH, progress=reports)
    result = FineTuneResult(**job.result(WAIT))
    assert result.promoted
    assert result.dice_after > result.dice_before == 0
    with Ledger.open(project) as ledger:
        assert ledger.active() == result.version == "v1"
    record = record_of(project, job)
    assert (record.state, record.result) == ("done", asdict(result))
    assert FineTuneConfig.from_dict(record.config) == ENOUGH
    assert FineTuneProgress(**reports.queue.get(timeout=WAIT)).step == 0
    steps = steps_of_last_run(engine, job)
    assert steps == sorted(steps)
    assert steps[0] < 10  # reports that come too thick are left out


def test_a_killed_trainer_goes_on_from_its_checkpoint(engine: Engine, project: Path) -> None:
    trainer = hold_worker(engine, "trainer", "hold_before_file", "checkpoint.pt", 6)  # five steps are on the disk
    job = start_finetuning(engine, project, config=BRIEF)
    wait_until_stopped(trainer)
    trainer.kill()
    assert FineTuneResult(**job.result(WAIT)).steps == 12
    assert trainer_pid(engine) != trainer.pid
    assert steps_of_last_run(engine, job)[0] >= 5
    assert record_of(project, job).state == "done"
    with Ledger.open(project) as ledger:
        assert [version.name for version in ledger.models()] == ["v1"]


def test_it_is_cancelled_within_two_seconds_and_keeps_nothing(engine: Engine, project: Path) -> None:
    reports, trainer = Reports(), psutil.Process(trainer_pid(engine))
    job = start_finetuning(engine, project, config=ENDLESS, progress=reports)
    reports.after(1)
    job.cancel()
    asked = sum(trainer.cpu_times()[:2])
    with pytest.raises(CancelledError, match="active model is as it was"):
        job.result(WAIT)
    assert sum(trainer.cpu_times()[:2]) - asked < 2  # of its own time, since others may have the machine
    assert record_of(project, job).state == "cancelled"
    with Ledger.open(project) as ledger:
        assert ledger.models() == []
        assert ledger.unfinished_job() is None
    assert list((project / "jobs").rglob("*.pt")) == []


def test_a_second_start_follows_the_one_under_way(engine: Engine, project: Path) -> None:
    first, second = Reports(), Reports()
    job = start_finetuning(engine, project, config=ENDLESS, progress=first)
    first.after(3)
    other = Engine.connect()
    try:
        same = start_finetuning(other, project, config=SHORT, progress=second)
        assert same.key == job.key
        assert second.queue.get(timeout=WAIT)["step"] == 0  # what was reported before it came
        second.after(first.after(4) + 1)
        same.cancel()
        for follower in (job, same):
            with pytest.raises(CancelledError):
                follower.result(WAIT)
    finally:
        other.close()


def test_closing_the_window_leaves_it_running(engine: Engine, project: Path) -> None:
    window, reports = Engine.connect(), Reports()
    job = start_finetuning(window, project, config=ENOUGH, progress=reports)
    reports.after(1)
    window.close()
    later = Reports()
    followed = follow_finetuning(engine, job.key.removeprefix("finetuning-"), later)
    if followed is not None:  # else it has ended already
        assert FineTuneResult(**followed.result(WAIT)).version == "v1"
    assert record_of(project, job).state == "done"


def test_a_fine_tuning_that_is_not_under_way_cannot_be_followed(engine: Engine, project: Path) -> None:
    assert follow_finetuning(engine, "0" * 32) is None
    job = start_finetuning(engine, project, config=SHORT)
    job.result(WAIT)
    assert follow_finetuning(engine, job.key.removeprefix("finetuning-")) is None


def test_two_projects_learn_one_after_the_other(engine: Engine, project: Path, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "other") as ledger:
        ledger.set_base(str(tmp_path / "tiny.safetensors"))
        ledger.add(np.eye(72), np.eye(72))
    both = [start_finetuning(engine, folder, config=SHORT) for folder in (project, tmp_path / "other")]
    assert [job.result(WAIT)["version"] for job in both] == ["v1", "v1"]


def test_after_the_engine_was_killed_it_is_taken_up_again(
    engine: Engine, engine_environment: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = hold_worker(engine, "trainer", "hold_before_file", "checkpoint.pt", 6)  # five steps are on the disk
    job = start_finetuning(engine, project, config=BRIEF)
    wait_until_stopped(trainer)
    processes = family(read_address(engine_environment).pid)
    os.kill(processes[0].pid, signal.SIGKILL)
    trainer.kill()  # as it would end by itself, if it were not held
    with pytest.raises((EngineError, CancelledError), match="try again"):
        job.result(WAIT)
    assert psutil.wait_procs(processes, WAIT)[1] == []
    assert record_of(project, job).state == "running"

    engine = Engine.connect()
    monkeypatch.setattr(jobs, "BEGINNING", 0.5)
    monkeypatch.setattr(jobs, "BEATS", 3600.0)  # the new engine may take long to start
    with pytest.raises(LedgerError, match="not on this computer's engine"):
        start_finetuning(engine, project, config=ENDLESS)
    monkeypatch.setattr(jobs, "BEATS", 0.0)
    again = start_finetuning(engine, project, config=ENDLESS)
    assert again.key == job.key
    assert FineTuneResult(**again.result(WAIT)).steps == 12  # as was asked for at first
    assert steps_of_last_run(engine, again)[0] >= 5
    assert record_of(project, job).state == "done"
    engine.close()


class TestElsewhere:
    """What `start_finetuning` does with a job that its engine does not know, though it is alive."""

    def test_it_is_not_run_twice(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs, "BEGINNING", 0.3)
        monkeypatch.setattr(jobs, "follow_finetuning", lambda *_: None)
        with Ledger.open(project) as ledger:
            job = ledger.start_job("tiny", asdict(SHORT))
            with pytest.raises(LedgerError, match="look there"):
                start_finetuning(None, project)  # type: ignore[arg-type]
            assert ledger.unfinished_job().id == job.id

    def test_one_that_another_window_is_about_to_submit_is_followed(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = [None, None, "the job"]
        monkeypatch.setattr(jobs, "follow_finetuning", lambda *_: answers.pop(0))
        with Ledger.open(project) as ledger:
            ledger.start_job("tiny", asdict(SHORT))
        assert start_finetuning(None, project) == "the job"  # type: ignore[arg-type,comparison-overlap]


class TestFaults:
    def test_no_corrections_are_nothing_to_learn_from(self, engine: Engine, tmp_path: Path) -> None:
        with pytest.raises(LedgerError, match="no corrections"):
            start_finetuning(engine, tmp_path / "empty")
        with Ledger.open(tmp_path / "empty") as ledger:
            assert ledger.unfinished_job() is None

    def test_an_error_in_the_trainer_arrives_with_its_sentence_and_the_next_one_runs(
        self, engine: Engine, project: Path
    ) -> None:
        job = start_finetuning(engine, project, "nonsense", config=SHORT)
        with pytest.raises(ModelError, match="There is no model 'nonsense'"):
            job.result(WAIT)
        record = record_of(project, job)
        assert (record.state, record.message[:26]) == ("failed", "There is no model 'nonsens")
        assert start_finetuning(engine, project, config=SHORT).result(WAIT)["version"] == "v1"

    def test_a_job_whose_process_died_too_often_is_written_down_as_failed(self, project: Path) -> None:
        with Ledger.open(project) as ledger:
            job = ledger.start_job(ledger.active(), asdict(SHORT))
            settle(project, job.id, EngineError("It died."))
            assert (ledger.job(job.id).state, ledger.job(job.id).message) == ("failed", "It died.")
            settle(project, job.id, EngineError("Too late."))
            assert ledger.job(job.id).message == "It died."

    def test_the_name_of_a_job_is_its_own(self) -> None:
        assert job_key("a") != job_key("b")


class TestEvaluating:
    @pytest.mark.parametrize("kind", ["project", "folder"])
    def test_the_trainer_evaluates(self, engine: Engine, project: Path, tmp_path: Path, kind: str) -> None:
        if kind == "folder":
            for part in ("images", "masks"):
                (tmp_path / part).mkdir()
                iio.imwrite(tmp_path / part / "one.png", np.eye(70, dtype=np.uint8) * 255)
        folder, model = (project, None) if kind == "project" else (tmp_path, "nuclei")
        shares: queue.Queue[float] = queue.Queue()
        job = engine.submit(
            "trainer", "napari_medseg.trainer.jobs:run_evaluation", str(folder), model, progress=shares.put
        )
        found = job.result(WAIT)
        assert {"model", "dice", "iou", "images", "mean", "by_size", "by_class", "failed"} <= set(found)
        assert len(found["images"]) == 1
        assert found["dice"] == found["images"][0]["dice"]
        assert shares.get(timeout=WAIT) == 1
