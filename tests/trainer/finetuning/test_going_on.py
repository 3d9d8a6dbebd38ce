"""A fine-tuning that was killed or cut short goes on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from napari_medseg.models.errors import LedgerError
from napari_medseg.trainer import FineTuneResult, Ledger, finetune
from napari_medseg.trainer.finetuning import checkpoint_of

from .support import CONFIG, cut_short, disc


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
