"""Commands on a project whose ledger is in a database; SQLite by URL takes the way of every other."""

import os
import pickle
from importlib import import_module

import nibabel
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from napari_medseg.cli import app
from napari_medseg.models.errors import EngineError
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.project import DatabaseProject

command = import_module("napari_medseg.cli.finetune")  # the package calls its function so, too


def run(*arguments):
    ran = CliRunner().invoke(app, [str(one) for one in arguments])
    return ran.exit_code, " ".join(ran.output.replace("│", " ").split())


@pytest.fixture
def pair(tmp_path):
    """A scan and its mask."""
    scan = np.random.default_rng(0).integers(0, 99, (40, 40, 3)).astype(np.int16)
    for name, values in (("scan", scan), ("mask", (scan > 50).astype(np.uint8))):
        nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.0, -1, 3, 1])), tmp_path / f"{name}.nii.gz")
    return tmp_path / "scan.nii.gz", tmp_path / "mask.nii.gz"


@pytest.fixture
def database(tmp_path, pair):
    """How commands are told of a project with one correction."""
    named = [f"sqlite:///{tmp_path / 'ledger.db'}", "--pixels", tmp_path / "store"]
    code, said = run("accept", named[0], *pair, *named[1:])
    assert code == 0, said
    return named


def test_what_one_command_accepts_the_others_find(database, tmp_path):
    assert run("export", *database, "-o", tmp_path / "out")[0] == 0
    written = nibabel.load(tmp_path / "out" / "masks" / "case-0001.nii.gz")
    np.testing.assert_array_equal(written.affine, np.diag([-1.0, -1, 3, 1]))
    assert run("report", *database)[0] == 0
    assert (tmp_path / "store-report.html").is_file()
    code, said = run("models", "--project", *database)
    assert (code, "Active: nuclei" in said) == (0, True)
    with Ledger.open(database[0], pixels=database[2]) as ledger:
        assert len(ledger.corrections()) == 1


def test_a_place_that_is_told_from_here_is_the_same_for_a_worker_elsewhere(database, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project = pickle.loads(pickle.dumps(DatabaseProject.at("sqlite:///ledger.db", database[2].relative_to(tmp_path))))
    monkeypatch.chdir(os.sep)
    with Ledger.open(project, make=False) as ledger:
        assert len(ledger.corrections()) == 1


def test_fine_tuning_that_dies_is_written_down_in_the_database(database, monkeypatch, capsys):
    class Dead:
        def result(self, timeout=None):
            raise EngineError("It died.")

    def start(engine, project, *_):
        with Ledger.open(project) as ledger:
            started.append(ledger.start_job("nuclei", {}).id)
        return Dead()

    started = []
    monkeypatch.setattr(command, "start_finetuning", start)
    with pytest.raises(typer.Exit):
        command.finetune(database[0], pixels=database[2])
    assert "It died" in capsys.readouterr().err
    with Ledger.open(database[0], pixels=database[2]) as ledger:
        assert ledger.job(started[0]).state == "failed"


COMMANDS = {
    "accept": ["scan.nii.gz", "mask.nii.gz"],
    "export": ["-o", "out"],
    "report": [],
    "finetune": [],
    "evaluate": [],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_a_database_needs_and_makes_nothing(name, pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    code, said = run(name, "sqlite:///new.db", *COMMANDS[name])
    assert (code, "--pixels" in said) == (2, True), said
    code, said = run(name, tmp_path, *COMMANDS[name], "--pixels", "store")
    assert (code, "--pixels" in said) == (2, True), said
    if name != "accept":
        code, said = run(name, "sqlite:///new.db", *COMMANDS[name], "--pixels", "store")
        assert (code, "no such file" in said) == (1, True), said
    assert sorted(tmp_path.iterdir()) == before


def test_a_database_without_a_project_stays_empty(pair, tmp_path):
    (tmp_path / "empty.db").touch()
    code, said = run("report", f"sqlite:///{tmp_path / 'empty.db'}", "--pixels", tmp_path)
    assert (code, "is empty" in said) == (1, True), said
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_nothing_is_accepted_into_a_folder_without_the_pixels_of_the_project(database, pair, tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((40, 40, 3), np.uint8), np.diag([-1.0, -1, 3, 1])), pair[1])
    code, said = run("accept", database[0], *pair, "--pixels", tmp_path / "another")
    assert (code, "has its pixels in another folder" in said) == (1, True), said
    assert not (tmp_path / "another").exists()
    with Ledger.open(database[0], pixels=database[2]) as ledger:
        assert len(ledger.corrections(all=True)) == 1


def test_a_password_is_shown_nowhere(pair, tmp_path):
    url = "postgresql+psycopg://me:quastenflosser@localhost:1/none"
    assert "quastenflosser" not in repr(DatabaseProject.at(url, tmp_path))
    for wrong in (url, "postgresql+psycopg://me:quastenflosser@localhost:x/none"):
        code, said = run("report", wrong, "--pixels", tmp_path)
        assert code == 1
        assert "quastenflosser" not in said
