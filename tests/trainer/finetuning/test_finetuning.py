import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_medseg.models import ModelCard, create_model, load_model, save_model
from napari_medseg.models.errors import CancelledError, LedgerError, ModelError
from napari_medseg.trainer import FineTuneResult, Ledger, finetune
from napari_medseg.trainer.config import FineTuneConfig
from napari_medseg.trainer.finetuning import checkpoint_of, verdict
from napari_medseg.trainer.outcome import FineTuneProgress

from .support import CONFIG, ENOUGH, Watched, cut_short, disc


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
