import importlib
import signal
from dataclasses import replace

import pytest
import typer

from napari_medseg.models.errors import CancelledError, EngineError, ModelError
from napari_medseg.trainer.ledger import Ledger

command = importlib.import_module("napari_medseg.cli.finetune")


@pytest.fixture
def project(medseg, nuclei, tmp_path):
    """Three corrected images, one of which is held out."""
    for number in (1, 2, 3):
        assert medseg("accept", tmp_path / "project", *nuclei(number)).code == 0
    return tmp_path / "project"


def test_finetune_makes_a_version_that_evaluate_and_models_know(medseg, project):
    learned = medseg("finetune", project, "--steps", 2, "--json")
    assert learned.code == 0, learned.err
    assert learned.json["version"] == "v1"
    assert (learned.json["trained_on"], learned.json["held_out"], learned.json["steps"]) == (2, 1, 2)
    assert isinstance(learned.json["promoted"], bool)

    listed = medseg("models", "--project", project, "--json").json
    assert [version["name"] for version in listed["versions"]] == ["v1"]
    assert listed["active"] == ("v1" if learned.json["promoted"] else "nuclei")

    judged = medseg("evaluate", project, "--model", "v1", "--json")
    assert judged.code == 0, judged.err
    assert judged.json["model"] == "v1"
    assert judged.json["dice"] == pytest.approx(learned.json["dice_after"], abs=1e-6)
    assert len(judged.json["images"]) == 1

    unknown = medseg("evaluate", project, "--model", "v2")
    assert unknown.code == 1
    assert "'v2'" in unknown.sentence
    wrong = medseg("finetune", project, "--base", "nucleii")
    assert wrong.code == 1
    assert "Did you mean 'nuclei'?" in wrong.sentence


def test_ctrl_c_cancels_the_fine_tuning_and_the_active_model_stays(project, start_medseg):
    running = start_medseg("finetune", project, "--budget", 10, "--json")
    running.wait_for(lambda: _state(project) == "running")
    ran = running.interrupt(signal.SIGINT)
    assert ran.code == 1
    assert "cancelled" in ran.sentence
    assert "active model is as it was" in ran.json["error"]
    assert _state(project) == "cancelled"
    with Ledger.open(project) as ledger:
        assert ledger.active() == "nuclei"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (EngineError("It died several times."), "failed"),
        (ModelError("It died."), "failed"),
        (CancelledError("It died."), "queued"),
    ],
    ids=["killed", "refused", "engine ended"],
)
def test_a_fine_tuning_that_dies_is_written_down_as_failed(tmp_path, monkeypatch, capsys, error, state):
    project = tmp_path / "project"
    Ledger.open(project).close()

    class Dead:
        def result(self, timeout=None):
            raise error

    def start(engine, folder, *_):
        with Ledger.open(folder) as ledger:
            ledger.start_job("nuclei", {})
        return Dead()

    monkeypatch.setattr(command, "start_finetuning", start)
    with pytest.raises(typer.Exit) as ended:
        command.finetune(project)
    assert ended.value.exit_code == 1
    assert "It died" in capsys.readouterr().err
    assert _state(project) == state


def test_more_minutes_allow_more_steps_and_fewer_do_not_take_any():
    usual = command.config_for(None, None).training
    assert command.config_for(2 * usual.seconds / 60, None).training.steps == 2 * usual.steps
    assert command.config_for(0.5, None).training.steps == usual.steps
    assert command.config_for(0.5, None).training.seconds == 30
    assert command.config_for(None, 7).training.seconds is None


def test_adstnet_is_asked_for_and_nothing_else_changes():
    asked = command.config_for(None, 7, adstnet=True).training
    assert asked.adstnet
    assert replace(asked, adstnet=False) == command.config_for(None, 7).training


def _state(project):
    with Ledger.open(project) as ledger:
        unfinished = ledger.unfinished_job()
        if unfinished:
            return unfinished.state
        from sqlalchemy import select

        from napari_medseg.trainer.schema import Job

        with ledger._database.reading() as session:
            return session.scalars(select(Job.state).order_by(Job.created.desc())).first()
