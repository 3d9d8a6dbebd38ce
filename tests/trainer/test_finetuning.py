import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medseg.models import ModelCard, create_model, load_model, save_model
from napari_medseg.models.errors import CancelledError, LedgerError, ModelError
from napari_medseg.trainer import FineTuneResult, Ledger, finetune
from napari_medseg.trainer.config import FineTuneConfig, TrainingConfig
from napari_medseg.trainer.finetuning import checkpoint_of, verdict
from napari_medseg.trainer.outcome import FineTuneProgress
from napari_medseg.trainer.records import JobRecord

CONFIG = FineTuneConfig(
    TrainingConfig(steps=10, seconds=None, batch=2, crop=64, lr=2e-2), evaluations=4, watched=2, checkpoint=0.0
)

ENOUGH = replace(CONFIG, training=replace(CONFIG.training, steps=40), checkpoint=10**6)
"""To find the discs."""


def disc(seed: int, side: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on a dark, noisy ground, and its mask."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    mask = (rows - draw.integers(30, side - 30)) ** 2 + (columns - draw.integers(30, side - 30)) ** 2 < 20**2
    return (draw.normal(20, 4, mask.shape) + 100 * mask).clip(0, 255).astype(np.uint8), mask.astype(np.uint8)


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """The weights file of a small network that sees nothing anywhere."""
    torch.manual_seed(0)
    network = create_model("unet", base=4)
    torch.nn.init.constant_(network.head.bias, -2)
    card = ModelCard(name="tiny", title="Tiny, untrained", network="unet", config={"base": 4}, data="Nothing.")
    save_model(network, tmp_path / "tiny", card)
    return str(tmp_path / "tiny.safetensors")


@pytest.fixture
def ledger(tmp_path: Path, tiny: str) -> Iterator[Ledger]:
    """A project of four cases of two patients that starts from `tiny`."""
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.set_base(tiny)
        for seed in range(4):
            ledger.add(*disc(seed), group="ab"[seed % 2])
        yield ledger


@pytest.fixture
def no_jobs_left(ledger: Ledger) -> Iterator[None]:
    yield
    assert ledger.unfinished_job() is None
    assert list((ledger.folder / "jobs").rglob("*.pt")) == []


class CutShortError(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def cut_short(ledger: Ledger, step: int, **options: bool) -> JobRecord:
    """The job of a fine-tuning that ended without a word when it reported a step."""

    def cut(now: FineTuneProgress) -> None:
        if now.step == step:
            raise CutShortError

    with pytest.raises(CutShortError):
        finetune(ledger, config=CONFIG, progress=cut, **options)
    job = ledger.unfinished_job()
    assert job is not None
    return job


class Watched:
    """A `progress` that notes what it is told, and which job it is."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.told: list[FineTuneProgress] = []
        self.states: set[str] = set()
        self.job_id = ""

    def __call__(self, progress: FineTuneProgress) -> None:
        job = self.ledger.unfinished_job()
        assert job is not None
        self.told.append(progress)
        self.states.add(job.state)
        self.job_id = job.id

    @property
    def job(self) -> JobRecord:
        return self.ledger.job(self.job_id)


@pytest.mark.usefixtures("no_jobs_left")
class TestPromotion:
    def test_a_better_network_takes_over(self, ledger: Ledger) -> None:
        result = finetune(ledger, config=ENOUGH)
        assert result.promoted
        assert result.dice_before == 0
        assert result.dice_after > 0.5
        assert ledger.active() == result.version == "v1"
        assert (result.trained_on, result.held_out, result.steps) == (2, 2, 40)
        assert ledger.models()[0].reason == result.reason
        assert f"{result.dice_after:.3f} after, on 2 held-out cases" in result.reason

    def test_the_next_one_starts_from_it_and_is_compared_with_it(self, ledger: Ledger) -> None:
        first = finetune(ledger, config=ENOUGH)
        second = finetune(ledger, config=CONFIG)
        assert (second.version, second.base) == ("v2", "v1")
        assert second.dice_before == pytest.approx(first.dice_after)

    def test_a_worse_network_stays_a_candidate(self, ledger: Ledger) -> None:
        good = finetune(ledger, config=ENOUGH)
        for seed in (0, 2):
            image, mask = disc(seed)
            ledger.add(image, 1 - mask)  # of the patient that is learned from
        result = finetune(ledger, config=replace(ENOUGH, training=replace(ENOUGH.training, lr=3e-2)))
        assert not result.promoted
        assert result.dice_after < result.dice_before == pytest.approx(good.dice_after)
        assert "worse than the active model" in result.reason
        assert ledger.active() == "v1"
        assert [version.active for version in ledger.models()] == [True, False]

    def test_a_network_that_was_compared_with_another_than_the_active_one_stays_a_candidate(
        self, ledger: Ledger, tiny: str
    ) -> None:
        ledger.add_version(b"w", {}, tiny, {}, "", activate=False)

        def progress(now: FineTuneProgress) -> None:
            watched(now)
            if now.step == 20:
                ledger.activate("v1")

        watched = Watched(ledger)
        result = finetune(ledger, config=ENOUGH, progress=progress)
        assert (result.version, result.promoted, ledger.active()) == ("v2", False, "v1")
        assert result.dice_after > result.dice_before
        assert "another model was made active meanwhile" in result.reason
        version = ledger.models()[1]
        assert version.reason == watched.job.message == result.reason
        assert FineTuneResult(**version.metrics["result"] | {"version": "v2"}) == result
        assert FineTuneResult(**watched.job.result) == result

    def test_one_patient_alone_gives_a_candidate_with_the_reason(self, tmp_path: Path, tiny: str) -> None:
        with Ledger.open(tmp_path / "alone") as ledger:
            ledger.set_base(tiny)
            for seed in range(2):
                ledger.add(*disc(seed), group="a")
            result = finetune(ledger, config=CONFIG)
            assert (result.promoted, result.dice_before, result.dice_after, result.held_out) == (False, None, None, 0)
            assert "none could be held out" in result.reason
            assert ledger.active() == tiny
            ledger.activate("v1")
            assert ledger.active() == "v1"

    @pytest.mark.parametrize(
        ("before", "after", "promoted", "said"),
        [
            ([], [], False, "one patient or file"),
            ([0.5], [0.5], True, "0.500 before, 0.500 after, on 1 held-out case)"),
            ([0.5], [0.6], True, "not worse"),
            ([0.5], [0.49], False, "worse than the active model"),
            ([0.9, 0.1], [0.2, 0.9], True, "0.500 before, 0.550 after, on 2 held-out cases)"),
            ([0.9, 0.9], [1.0, 0.7], False, "0.900 before, 0.850 after"),
            ([0.0], [0.0], True, "not worse"),
        ],
    )
    def test_the_verdict_is_by_the_mean_of_the_held_out_cases(
        self, before: list[float], after: list[float], promoted: bool, said: str
    ) -> None:
        decided, reason = verdict(before, after)
        assert decided is promoted
        assert said in reason


@pytest.mark.usefixtures("no_jobs_left")
class TestVersion:
    def test_the_version_can_be_run_and_says_what_it_is(self, ledger: Ledger, tiny: str) -> None:
        result = finetune(ledger, config=CONFIG)
        (version,) = ledger.models()
        card = load_model(ledger.weights("v1")).card
        assert json.loads(card.to_json()) == version.card
        assert card.sha256 == version.sha256
        assert card.title == "Tiny"
        assert card.data == f"Nothing. Fine-tuned on 2 corrections of a project, from {tiny}."
        assert card.metrics == {"held_out_dice": pytest.approx(result.dice_after)}
        assert FineTuneConfig.from_dict(card.recipe) == CONFIG
        assert card.date

    def test_its_figures_name_the_cases_that_it_learned_from_and_was_judged_by(self, ledger: Ledger, tiny: str) -> None:
        result = finetune(ledger, config=CONFIG)
        metrics = ledger.models()[0].metrics
        training, held_out = ledger.split()
        assert metrics["trained_on"] == [record.id for record in training]
        assert metrics["held_out"] == [record.id for record in held_out]
        assert np.mean(metrics["dice_after"]) == pytest.approx(result.dice_after)
        assert len(metrics["dice_before"]) == len(metrics["dice_after"]) == 2
        assert (metrics["compared_with"], metrics["steps"]) == (tiny, 10)

    def test_the_seed_fixes_the_weights(self, ledger: Ledger) -> None:
        finetune(ledger, ledger.active(), config=CONFIG)
        finetune(ledger, ledger.models()[0].base, config=CONFIG)
        one, other = ledger.models()
        assert one.sha256 == other.sha256

    def test_a_budget_ends_the_training(self, ledger: Ledger) -> None:
        config = replace(CONFIG, training=replace(CONFIG.training, steps=10**6), checkpoint=10**6)
        result = finetune(ledger, budget=0.5, config=config)
        assert 1 <= result.steps < 10**5


@pytest.mark.usefixtures("no_jobs_left")
class TestJob:
    def test_progress_is_told_from_beginning_to_end(self, ledger: Ledger) -> None:
        told: list[FineTuneProgress] = []
        finetune(ledger, config=CONFIG, progress=told.append)
        assert [t.step for t in told] == [0, *range(1, 11), 10]
        assert [t.share for t in told] == sorted(t.share for t in told)
        assert (told[0].share, told[-1].share) == (0, 1)
        assert all(np.isfinite(t.loss) and np.isfinite(t.eta) for t in told[1:-1])
        curve = [t.dice for t in told if t.dice is not None]
        assert len(curve) == 4
        assert curve[0] == 0

    def test_the_job_ends_done_with_its_result(self, ledger: Ledger) -> None:
        watched = Watched(ledger)
        result = finetune(ledger, config=CONFIG, progress=watched)
        job = watched.job
        assert (job.state, job.progress, job.message) == ("done", 1, result.reason)
        assert FineTuneResult(**job.result) == result
        assert FineTuneConfig.from_dict(job.config) == CONFIG
        assert watched.states == {"queued", "running"}

    @pytest.mark.parametrize("after", [0, 3])
    def test_cancelling_keeps_nothing(self, ledger: Ledger, tiny: str, after: int) -> None:
        watched = Watched(ledger)
        with pytest.raises(CancelledError, match="fine-tuning was cancelled; the active model is as it was"):
            finetune(ledger, config=CONFIG, progress=watched, cancel=lambda: len(watched.told) > after)
        assert len(watched.told) == after + 1
        assert ledger.models() == []
        assert ledger.active() == tiny
        assert watched.job.state == "cancelled"

    def test_no_corrections_are_nothing_to_learn_from(self, tmp_path: Path) -> None:
        with Ledger.open(tmp_path / "empty") as ledger:
            with pytest.raises(LedgerError, match="no corrections"):
                finetune(ledger, config=CONFIG)
            assert not (ledger.folder / "jobs").exists()
            assert ledger.unfinished_job() is None

    def test_a_label_that_the_network_does_not_know_is_an_error_and_the_job_says_it(
        self, tmp_path: Path, ledger: Ledger
    ) -> None:
        card = ModelCard(name="three", title="Three", network="unet", classes=3, config={"base": 4})
        save_model(create_model("unet", classes=3, base=4), tmp_path / "three", card)
        image, mask = disc(9)
        ledger.add(image, mask * 3, group="a")
        with pytest.raises(ModelError, match="knows labels 0 to 2"):
            finetune(ledger, str(tmp_path / "three.safetensors"), config=CONFIG, progress=(watched := Watched(ledger)))
        assert watched.job.state == "failed"
        assert "knows labels 0 to 2" in watched.job.message
        assert ledger.models() == []

    def test_a_base_that_does_not_exist_fails_the_job_and_makes_room(self, ledger: Ledger) -> None:
        watched = Watched(ledger)
        with pytest.raises(ModelError, match="no model 'nonsense'"):
            finetune(ledger, "nonsense", config=CONFIG, progress=watched)
        assert watched.job.state == "failed"
        assert "no model 'nonsense'" in watched.job.message
        assert finetune(ledger, config=CONFIG).version == "v1"


class TestAdSTNet:
    def test_the_version_is_the_bare_network(self, ledger: Ledger, tiny: str) -> None:
        result = finetune(ledger, adstnet=True, config=ENOUGH)
        assert result.dice_after > result.dice_before
        (version,) = ledger.models()
        assert version.metrics["config"]["training"]["adstnet"] is True
        learned, bare = load_model(ledger.weights("v1")), load_model(tiny)
        assert learned.state_dict().keys() == bare.state_dict().keys()
        assert learned.card.trainable_parameters == load_model(tiny).card.trainable_parameters

    def test_one_that_was_cut_short_ends_with_the_very_weights_it_would_have_had(self, ledger: Ledger) -> None:
        job = cut_short(ledger, 5, adstnet=True)
        assert checkpoint_of(ledger, job).is_file()
        finetune(ledger, job=job)
        finetune(ledger, job.base, adstnet=True, config=CONFIG)
        resumed, whole = ledger.models()
        assert resumed.sha256 == whole.sha256


class TestNetworks:
    def test_a_version_says_with_which_crops_and_rate_it_really_learned(self, tmp_path: Path, ledger: Ledger) -> None:
        torch.manual_seed(0)
        card = ModelCard(name="choosy", title="Choosy", network="unet", config={"base": 4}, tile=96, highest_lr=1e-3)
        save_model(create_model("unet", base=4), tmp_path / "choosy", card)
        finetune(ledger, str(tmp_path / "choosy.safetensors"), config=CONFIG)
        learned = load_model(ledger.weights("v1")).card
        assert (learned.tile, learned.highest_lr) == (96, 1e-3)
        assert (learned.recipe["training"]["crop"], learned.recipe["training"]["lr"]) == (96, 1e-3)

    def test_a_network_that_knew_nothing_but_its_encoder_is_trained_then(self, tmp_path: Path, ledger: Ledger) -> None:
        card = ModelCard(name="half", title="Half, untrained", network="unet", config={"base": 4}, encoder_only=True)
        save_model(create_model("unet", base=4), tmp_path / "half", card)
        finetune(ledger, str(tmp_path / "half.safetensors"), config=CONFIG)
        learned = load_model(ledger.weights("v1")).card
        assert learned.trained
        assert learned.title == "Half"


class TestGoingOn:
    def test_a_killed_fine_tuning_ends_with_the_very_weights_it_would_have_had(
        self, ledger: Ledger, killed_at: Callable[[Ledger, int], None]
    ) -> None:
        killed_at(ledger, 7)
        job = ledger.unfinished_job()
        assert job.state == "running"
        assert checkpoint_of(ledger, job).is_file()
        steps: list[int] = []
        result = finetune(ledger, config=CONFIG, job=job, progress=lambda now: steps.append(now.step))
        assert steps[:2] == [0, 7]  # the kill came before the seventh was saved
        assert ledger.job(job.id).state == "done"
        assert not checkpoint_of(ledger, job).exists()
        finetune(ledger, job.base, config=CONFIG)
        resumed, whole = ledger.models()
        assert result.steps == 10
        assert resumed.sha256 == whole.sha256

    def test_what_was_accepted_meanwhile_is_for_the_next_one(self, ledger: Ledger) -> None:
        before = [record.id for record in ledger.split()[0]]
        job = cut_short(ledger, 7)
        ledger.add(*disc(7), group="a")
        image, mask = disc(0)
        ledger.add(image, 1 - mask)  # corrects one that is learned from
        assert finetune(ledger, job=job).trained_on == len(before)
        assert ledger.models()[0].metrics["trained_on"] == before

    def test_one_that_ended_before_the_first_checkpoint_begins_anew(self, ledger: Ledger) -> None:
        job = cut_short(ledger, 0)
        assert not checkpoint_of(ledger, job).exists()
        assert finetune(ledger, config=CONFIG, job=job).version == "v1"
        assert ledger.unfinished_job() is None

    def test_a_job_with_nothing_to_learn_from_fails(self, tmp_path: Path) -> None:
        with Ledger.open(tmp_path / "empty") as ledger:
            job = ledger.start_job("nuclei", asdict(CONFIG))
            with pytest.raises(LedgerError, match="no corrections"):
                finetune(ledger, job=job)
            assert (ledger.job(job.id).state, ledger.unfinished_job()) == ("failed", None)

    @pytest.mark.parametrize("config", [{}, asdict(CONFIG) | {"later": 1}, {"training": 3}])
    def test_a_job_of_another_version_fails(self, ledger: Ledger, tiny: str, config: dict) -> None:
        job = ledger.start_job(tiny, config)
        with pytest.raises(LedgerError, match="another version of MedSeg"):
            finetune(ledger, job=job)
        assert ledger.job(job.id).state == "failed"

    def test_while_one_is_unfinished_no_other_begins(self, ledger: Ledger, tiny: str) -> None:
        ledger.start_job(tiny, asdict(CONFIG))
        with pytest.raises(LedgerError, match="learning already"):
            finetune(ledger, config=CONFIG)

    def test_a_version_that_was_added_just_before_the_kill_is_not_made_again(self, ledger: Ledger, tiny: str) -> None:
        done = FineTuneResult("", tiny, 0.1, 0.2, True, "better", 2, 2, 40, 1.0)
        job = ledger.start_job(tiny, asdict(CONFIG))
        ledger.add_version(b"w", {}, tiny, {"job": job.id, "result": asdict(done)}, "better", activate=True)
        assert finetune(ledger, config=CONFIG, job=job) == replace(done, version="v1")
        assert len(ledger.models()) == 1
        assert ledger.job(job.id).state == "done"

    @pytest.fixture
    def killed_at(self) -> Callable[[Ledger, int], None]:
        """Fine-tune in another process, which kills itself when it reports a step."""
        program = (
            "import json, os, signal, sys\n"
            "from napari_medseg.trainer import Ledger, finetune\n"
            "from napari_medseg.trainer.config import FineTuneConfig\n"
            "def progress(now):\n"
            "    if now.step == int(sys.argv[3]): os.kill(os.getpid(), signal.SIGKILL)\n"
            "config = FineTuneConfig.from_dict(json.loads(sys.argv[2]))\n"
            "finetune(Ledger.open(sys.argv[1]), config=config, progress=progress)\n"
        )

        def run(ledger: Ledger, step: int) -> None:
            arguments = [str(ledger.folder), json.dumps(asdict(CONFIG)), str(step)]
            ran = subprocess.run([sys.executable, "-c", program, *arguments], check=False, timeout=200)
            assert ran.returncode == -signal.SIGKILL

        if os.name == "nt":
            pytest.skip("needs SIGKILL")
        return run
