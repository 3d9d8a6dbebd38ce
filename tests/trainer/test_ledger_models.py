import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.models.errors import LedgerError
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.versions import Overtaken


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "project") as ledger:
        yield ledger


def reopened(ledger: Ledger) -> Ledger:
    ledger.close()
    return Ledger.open(ledger.folder)


class TestVersions:
    def test_a_new_project_starts_from_the_nuclei_model(self, ledger: Ledger) -> None:
        assert ledger.active() == "nuclei"
        assert ledger.models() == []

    def test_the_base_can_be_named(self, ledger: Ledger) -> None:
        ledger.set_base("polyps")
        with reopened(ledger) as again:
            assert again.active() == "polyps"

    @pytest.mark.parametrize("name", ["", " ", "v1", "v12"])
    def test_a_base_has_no_name_of_a_version(self, ledger: Ledger, name: str) -> None:
        with pytest.raises(LedgerError, match="cannot start from"):
            ledger.set_base(name)

    def test_weights_card_and_metrics_are_kept(self, ledger: Ledger, tmp_path: Path) -> None:
        (tmp_path / "w").write_bytes(b"weights 2")
        metrics = {"dice": np.float32(0.5), "cases": np.array([1, 2]), "trained_on": [3, 4]}
        added = [
            ledger.add_version(b"weights 1", {"title": "One"}, "nuclei", metrics, "better by 0.1", activate=True),
            ledger.add_version(tmp_path / "w", '{"title": "Two"}', "v1", {}, "worse by 0.1", activate=False),
        ]
        with reopened(ledger) as again:
            assert again.models() == added
            one, two = again.models()
            assert (one.name, one.base, one.reason, one.active) == ("v1", "nuclei", "better by 0.1", True)
            assert (two.name, two.base, two.reason, two.active) == ("v2", "v1", "worse by 0.1", False)
            assert one.metrics == {"dice": 0.5, "cases": [1, 2], "trained_on": [3, 4]}
            assert [m.card["title"] for m in (one, two)] == ["One", "Two"]
            assert again.weights("v1").read_bytes() == b"weights 1"
            assert again.weights("v2").read_bytes() == b"weights 2"
            assert json.loads(one.path.with_suffix(".json").read_text()) == {"title": "One"}
            assert again.active() == "v1"
        assert sorted(p.name for p in two.path.parent.iterdir()) == [
            "v1.json",
            "v1.safetensors",
            "v2.json",
            "v2.safetensors",
        ]

    def test_any_earlier_version_or_base_is_one_step_away(self, ledger: Ledger) -> None:
        for i in range(2):
            ledger.add_version(b"%d" % i, {}, "nuclei", {}, "", activate=True)
        for name in ("v1", "nuclei", "v2"):
            ledger.activate(name)
            assert ledger.active() == name
            assert [m.name for m in ledger.models() if m.active] == [name] * (name != "nuclei")

    def test_a_version_that_was_compared_with_another_model_than_the_active_one_is_not_added(
        self, ledger: Ledger
    ) -> None:
        ledger.add_version(b"1", {}, "nuclei", {}, "", activate=True, only_if_active="nuclei")
        with pytest.raises(Overtaken, match="v1 was made active meanwhile, not nuclei"):
            ledger.add_version(b"2", {}, "nuclei", {}, "", activate=True, only_if_active="nuclei")
        assert [version.name for version in ledger.models()] == [ledger.active()] == ["v1"]
        assert len(list((ledger.folder / "versions").iterdir())) == 2

    def test_a_version_is_referred_to_by_its_file_and_any_other_model_by_its_name(self, ledger: Ledger) -> None:
        version = ledger.add_version(b"1", {}, "nuclei", {}, "", activate=True)
        assert ledger.reference("v1") == str(version.path)
        assert [ledger.reference(name) for name in ("nuclei", "v2", "/a/file")] == ["nuclei", "v2", "/a/file"]
        version.path.write_bytes(b"2")
        with pytest.raises(LedgerError, match="damaged"):
            ledger.reference("v1")

    def test_an_unknown_name_is_refused_with_those_that_exist(self, ledger: Ledger) -> None:
        ledger.add_version(b"w", {}, "nuclei", {}, "", activate=True)
        with pytest.raises(LedgerError, match=r"no model 'v9'; it has v1, nuclei"):
            ledger.activate("v9")
        with pytest.raises(LedgerError, match="versions are: v1"):
            ledger.weights("../../secret")
        assert ledger.active() == "v1"

    @pytest.mark.parametrize("damage", [lambda p: p.write_bytes(b"W"), lambda p: p.unlink()])
    def test_damaged_weights_are_neither_given_nor_activated(self, ledger: Ledger, damage: object) -> None:
        version = ledger.add_version(b"w", {}, "nuclei", {}, "", activate=False)
        damage(version.path)  # type: ignore[operator]
        for action in (ledger.weights, ledger.activate):
            with pytest.raises(LedgerError, match=r"damaged|cannot be read"):
                action("v1")
        assert ledger.active() == "nuclei"
        assert len(ledger.verify()) == 1

    def test_what_a_crash_left_does_not_break_the_next_version(self, ledger: Ledger) -> None:
        ledger.add_version(b"w", {}, "nuclei", {}, "", activate=False)
        for name in ("v2.safetensors", "v2.json", "incoming-1.safetensors"):
            (ledger.folder / "versions" / name).write_bytes(b"left over")
        version = ledger.add_version(b"x", {}, "v1", {}, "", activate=True)
        assert version.name == "v2"
        assert ledger.weights("v2").read_bytes() == b"x"

    def test_weights_that_cannot_be_read_add_nothing(self, ledger: Ledger, tmp_path: Path) -> None:
        with pytest.raises(LedgerError, match="cannot be read"):
            ledger.add_version(tmp_path / "absent", {}, "nuclei", {}, "", activate=True)
        assert ledger.models() == []


class TestJobs:
    def test_a_job_goes_from_queued_to_done(self, ledger: Ledger) -> None:
        job = ledger.start_job("nuclei", {"budget": np.int64(60)})
        assert (job.state, job.progress, job.config, job.result) == ("queued", 0, {"budget": 60}, None)
        ledger.update_job(job.id, state="running", progress=0.5, message="epoch 3 of 6")
        with reopened(ledger) as again:
            running = again.unfinished_job()
            assert running is not None
            assert (running.id, running.state, running.progress) == (job.id, "running", 0.5)
            done = again.update_job(job.id, state="done", progress=1, result={"version": "v1"})
            assert again.job(job.id) == done
            assert (done.message, done.result, done.finished) == ("epoch 3 of 6", {"version": "v1"}, True)
            assert done.updated >= running.updated >= done.created
            assert again.unfinished_job() is None

    @pytest.mark.parametrize("state", ["queued", "running"])
    def test_a_second_job_waits_for_the_first(self, ledger: Ledger, state: str) -> None:
        job = ledger.start_job("nuclei", {})
        ledger.update_job(job.id, state=state)
        with pytest.raises(LedgerError, match=f"nuclei is {state}"):
            ledger.start_job("v1", {})
        assert ledger.unfinished_job() == ledger.job(job.id)

    @pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
    def test_what_ended_stays_ended_and_makes_room(self, ledger: Ledger, state: str) -> None:
        job = ledger.start_job("nuclei", {})
        ledger.update_job(job.id, state=state)
        with pytest.raises(LedgerError, match="cannot become running"):
            ledger.update_job(job.id, state="running")
        ledger.update_job(job.id, message="a last word")
        assert ledger.job(job.id).state == state
        assert ledger.start_job("nuclei", {}).id != job.id

    def test_any_change_is_a_sign_of_life_even_none(self, ledger: Ledger) -> None:
        job = ledger.start_job("nuclei", {})
        assert ledger.update_job(job.id).updated > job.updated

    def test_an_unknown_job_has_no_folder(self, ledger: Ledger) -> None:
        job = ledger.start_job("nuclei", {})
        assert ledger.job_folder(job.id).is_dir()
        assert ledger.job_folder(job.id) == ledger.folder / "jobs" / job.id
        for action in (ledger.job, ledger.job_folder, ledger.update_job):
            with pytest.raises(LedgerError, match="no fine-tuning"):
                action("../versions")

    @pytest.mark.parametrize("wrong", [{"state": "paused"}, {"progress": 1.5}, {"progress": float("nan")}])
    def test_states_and_progress_have_their_range(self, ledger: Ledger, wrong: dict) -> None:
        job = ledger.start_job("nuclei", {})
        with pytest.raises(ValueError, match="allowed"):
            ledger.update_job(job.id, **wrong)
        assert ledger.job(job.id) == job
