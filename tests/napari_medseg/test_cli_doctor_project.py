"""What `medseg doctor PROJECT` finds in projects with real damage; and that it leaves every byte as it was."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_medseg.cli import app
from napari_medseg.doctor import drafts, project_files
from napari_medseg.doctor.project import fine_tuning, versions
from napari_medseg.editing.holding import held, let_go
from napari_medseg.editing.journal_file import MAGIC, framed
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.ledger_copy import ledger_copy


@pytest.fixture
def project(tmp_path):
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 10:30] = 1
    folder = tmp_path / "Quastenflosser Adelgunde"
    with Ledger.open(folder) as ledger:
        for seed in range(3):
            image = np.random.default_rng(seed).integers(0, 255, (40, 40), np.uint8)
            ledger.add(image, mask + np.uint8(seed), predicted=np.roll(mask, seed + 1), model="nuclei", group=str(seed))
    return folder


def state_of(folder):
    """Names, times and contents of all that is in a folder."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.stat().st_mode,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in [folder, *folder.rglob("*")]
    }


def look(folder, *options, code=1):
    """The answer, of a look that changed nothing."""
    before = state_of(folder)
    ran = CliRunner().invoke(app, ["doctor", str(folder), "--only", "project", "--json", *options])
    assert state_of(folder) == before
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout.splitlines()[-1])


def told(answer, state):
    """All that is said of this state, in one text."""
    checks = [check for check in answer["checks"] if check["state"] == state]
    return "\n".join(f"{check['found']} {check['remedy']}" for check in checks)


def objects(project, number, kind):
    with Ledger.open(project) as ledger:
        key = getattr(ledger.corrections()[number], f"{kind}_key")
    return project / "objects" / key[:2] / f"{key}.tif"


def test_a_whole_project_is_fine(project):
    answer = look(project, code=0)
    assert (answer["wrong"], answer["notes"]) == (0, 0)
    assert "3 cases, 3 corrections" in told(answer, "fine")
    assert "all 3 cases are there and whole" in told(answer, "fine")


def test_without_a_project_the_users_own_is_looked_at(project, monkeypatch):
    monkeypatch.setenv("MEDSEG_PROJECT", str(project))
    ran = CliRunner().invoke(app, ["doctor", "--only", "project"])
    assert ran.exit_code == 0
    assert "3 cases" in ran.output


def test_a_mask_that_is_missing_and_an_image_that_was_changed_are_told_by_case(project):
    objects(project, 0, "mask").unlink()
    image = objects(project, 2, "image")
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 0xFF
    image.write_bytes(content)
    said = told(look(project), "wrong")
    assert "2 of 3 cases" in said
    assert "(image and mask): case-0001, case-0003" in said
    assert "copy of the project" in said


def test_a_proposal_that_is_missing_is_worth_knowing(project):
    objects(project, 1, "predicted").unlink()
    assert "case-0002" in told(look(project, code=0), "note")


def test_what_there_is_no_time_to_read_is_told(project):
    add_version(project, "one", activate=True)
    with ledger_copy(project) as copy, copy.ledger() as ledger:
        (pixels,) = project_files.pixels(ledger, seconds=0)
        (weights,) = versions(ledger, seconds=0)
    assert (pixels.state, "3 of 3 cases" in pixels.found) == ("note", True)
    assert (weights.state, "1 of 1 version" in weights.found) == ("note", True)


def test_a_ledger_with_flipped_bytes_is_wrong(project):
    file = project / "ledger.sqlite"
    with sqlite3.connect(file) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'correction'").fetchone()[0]
    connection.close()
    content = bytearray(file.read_bytes())
    for place in range((page - 1) * size, (page - 1) * size + 16):
        content[place] ^= 0xFF
    file.write_bytes(content)
    answer = look(project)
    assert "ledger.sqlite) is damaged" in told(answer, "wrong")
    assert "older copy" in told(answer, "wrong")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"years of notes" * 1000, "is damaged"), (None, "6 files"), ("foreign", "is not the ledger")],
)
def test_what_is_no_ledger_is_told(project, content, words):
    file = project / "ledger.sqlite"
    file.unlink()
    for pixels in list(project.glob("objects/??/*.tif"))[6:]:
        pixels.unlink()
    if content == "foreign":
        with sqlite3.connect(file) as connection:
            connection.execute("CREATE TABLE patient (name TEXT)")
        connection.close()
    elif content is not None:
        file.write_bytes(content)
    assert words in told(look(project), "wrong")


def test_a_folder_without_a_project_is_wrong_and_none_at_all_is_an_error(tmp_path):
    (tmp_path / "pictures").mkdir()
    assert "no project in this folder" in told(look(tmp_path / "pictures"), "wrong")
    ran = CliRunner().invoke(app, ["doctor", str(tmp_path / "none"), "--json"])
    assert ran.exit_code == 1
    assert "There is no folder" in json.loads(ran.stdout)["error"]


def test_a_project_of_a_newer_version_of_the_program_is_told(project):
    with sqlite3.connect(project / "ledger.sqlite") as connection:
        connection.execute("UPDATE setting SET value = '99' WHERE key = 'schema'")
    connection.close()
    assert "newer MedSeg (form 99" in told(look(project), "wrong")


def test_a_project_of_an_older_version_of_the_program_is_told_and_looked_at_all_the_same(project):
    mask = objects(project, 0, "mask")
    with sqlite3.connect(project / "ledger.sqlite") as connection:
        connection.execute("ALTER TABLE correction DROP COLUMN place")
        connection.execute("UPDATE setting SET value = '1' WHERE key = 'schema'")
    connection.close()
    answer = look(project, code=0)
    assert "older MedSeg (form 1" in told(answer, "note")
    assert "all 3 cases are there and whole" in told(answer, "fine")
    mask.unlink()
    assert "1 of 3 cases" in told(look(project), "wrong")


KILLED = """
import os, sys, numpy as np
from napari_medseg.trainer.ledger import Ledger
ledger = Ledger.open(sys.argv[1])
ledger.add(np.arange(1600, dtype=np.uint16).reshape(40, 40), np.eye(40, dtype=np.uint8))
os._exit(9)
"""


def test_what_a_killed_window_left_in_sqlites_log_is_seen_and_stays_there(project):
    subprocess.run([sys.executable, "-c", KILLED, project], check=False)
    assert (project / "ledger.sqlite-wal").stat().st_size
    answer = look(project, code=0)
    assert "4 cases" in told(answer, "fine")
    assert "window" in answer["checks"][0]["details"]["not yet in the file"]


def test_a_window_that_has_the_project_open_is_not_disturbed(project):
    with Ledger.open(project) as ledger:
        assert look(project, code=0)["wrong"] == 0
        ledger.set_learn_every(3)
        assert ledger.learn_every() == 3


def add_version(project, name, *, activate):
    content = name.encode() * 100
    card = {"name": name, "title": name, "network": "unet", "sha256": hashlib.sha256(content).hexdigest()}
    with Ledger.open(project) as ledger:
        return ledger.add_version(content, card, "nuclei", {}, "better", activate=activate).path


def test_versions_whose_weights_or_card_are_damaged_are_wrong(project):
    kept, damaged = add_version(project, "one", activate=False), add_version(project, "two", activate=True)
    assert look(project, code=0)["wrong"] == 0
    damaged.write_bytes(damaged.read_bytes()[:-1])
    kept.with_suffix(".json").unlink()
    said = told(look(project), "wrong")
    assert "v2: the weights were truncated" in said
    assert "v1: its card is missing" in said
    assert "active one: segmenting fails" in said
    damaged.unlink()
    assert "v2: the weights are missing" in told(look(project), "wrong")


def test_an_active_model_that_is_nowhere_is_wrong(project):
    with Ledger.open(project) as ledger:
        ledger.set_base("a-model-of-later")
    assert "neither one of its versions" in told(look(project), "wrong")


def test_a_fine_tuning_that_was_cut_short_is_worth_knowing(project):
    with Ledger.open(project) as ledger:
        ledger.update_job(ledger.start_job("nuclei", {}).id, state="running", progress=0.4)
    assert "under way (40%)" in told(look(project, code=0), "fine")
    with sqlite3.connect(project / "ledger.sqlite") as connection:
        connection.execute("UPDATE job SET updated = '2020-01-01 00:00:00'")
    connection.close()
    assert "cut short at 40%" in told(look(project, code=0), "note")


def test_files_that_belong_to_nothing_are_counted_and_named_only_if_asked_for(project):
    orphan = project / "objects" / "ab" / f"{'ab' * 32}.tif"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"half")
    (project / "versions").mkdir()
    half = project / "versions" / f"incoming-{'0' * 16}.safetensors.12345678.partial"
    half.write_bytes(b"half")
    (project / "Eisenbart.nii").write_bytes(b"")
    assert "2 file" not in told(look(project, code=0), "note")  # they are of this minute
    for path in (orphan, half):
        os.utime(path, (time.time() - 3600, time.time() - 3600))
    answer = look(project, code=0)
    assert "2 files of this project" in told(answer, "note")
    assert "1 file or folder" in told(answer, "note")
    assert "Eisenbart" not in json.dumps(answer)
    assert "Eisenbart.nii" in json.dumps(look(project, "--verbose", code=0))


def test_what_was_accepted_while_it_looked_for_long_does_not_belong_to_nothing(project):
    begun = time.time() - 3600
    with ledger_copy(project) as copy, copy.ledger() as ledger:
        with Ledger.open(project) as window:
            window.add(np.eye(40, dtype=np.uint8), np.eye(40, dtype=np.uint8))
        for path in project.glob("objects/??/*.tif"):
            os.utime(path, (begun + 600, begun + 600))
        (found,) = project_files.others(ledger, begun)
    assert found.state == "fine"


def test_a_fine_tuning_that_goes_on_while_it_looks_for_long_was_not_cut_short(project):
    with Ledger.open(project) as ledger:
        ledger.update_job(ledger.start_job("nuclei", {}).id, state="running", progress=0.4)
    with sqlite3.connect(project / "ledger.sqlite") as connection:
        connection.execute("UPDATE job SET updated = datetime('now', '-1 hours')")
    connection.close()
    with ledger_copy(project) as copy, copy.ledger() as ledger:
        (found,) = fine_tuning(ledger, time.time() - 3600)
    assert found.state == "fine"


def test_what_it_says_names_no_patient(project):
    (project / "Eisenbart.nii").write_bytes(b"")
    objects(project, 0, "image").unlink()
    for options in ([], ["--json"]):
        ran = CliRunner().invoke(app, ["doctor", str(project), "--only", "project", *options])
        assert not [name for name in ("Adelgunde", "Quastenflosser", "Eisenbart") if name in ran.output], ran.output
    (project / "ledger.sqlite").write_bytes(b"nonsense" * 1000)
    assert "Adelgunde" not in json.dumps(look(project))


def draft(project, name, content, days=0.0):
    path = project / "drafts" / f"{name}.draft"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - days * 86400, time.time() - days * 86400))
    return path


def test_masks_that_were_not_accepted_are_counted_with_age_and_size(project):
    draft(project, "a", MAGIC + framed(b"x" * 2000), days=90)
    torn = draft(project, "b", MAGIC + framed(b"x") + b"torn")
    (project / "drafts" / "c.lock").write_bytes(b"")
    lock = held(torn)
    try:
        answer = look(project, code=0)
    finally:
        let_go(lock, torn)
    said = told(answer, "note")
    assert "1 mask is not accepted, 2.1 kB; the oldest for 90 days" in said
    details = answer["checks"][-1]["details"]
    assert (details["waiting"], details["in a window now"], details["locks of windows that ended"]) == (1, 1, 1)
    assert look(project, code=0)["checks"][-1]["details"]["cut off by a crash"] == 1


def test_a_mask_that_cannot_be_read_any_more_is_wrong(project):
    draft(project, "a", b"no draft at all")
    assert "1 of 1 masks that were not accepted cannot be read" in told(look(project), "wrong")


def test_a_mask_that_is_accepted_while_it_looks_is_not_one_that_cannot_be_read(project, monkeypatch):
    read = drafts._read
    monkeypatch.setattr(drafts, "_read", lambda path: (path.unlink(), read(path))[1])
    draft(project, "a", MAGIC + framed(b"x"))
    (found,) = drafts.drafts(project, seconds=10)
    assert found.state == "fine"


def test_a_window_gets_its_mask_though_somebody_looks_at_that_moment(project, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    path = draft(project, "a", MAGIC + framed(b"x"))
    path.with_suffix(".lock").write_bytes(b"")
    with path.with_suffix(".lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(time, "sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))  # who looks has seen it
        let_go(held(path), path)


def test_a_mask_of_a_large_image_that_nobody_finds_is_wrong(project):
    for name, about in (("one", {"format": 1, "salt": "", "shape": [9, 9]}), ("two", {})):
        (project / "large" / name).mkdir(parents=True)
        (project / "large" / name / "about.json").write_text(json.dumps(about))
    assert "1 of 2 masks of large images" in told(look(project), "wrong")


def test_a_folder_where_one_may_not_write_is_told_and_can_be_looked_at(medseg, project, without_privileges):
    folders = [project, *(path for path in project.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    before = state_of(project)
    try:
        ran = medseg("doctor", project, "--only", "project", "--json", **without_privileges)
        assert state_of(project) == before
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert ran.code == 1, ran.err
    assert told(ran.json, "wrong").startswith("Nothing can be written into the project.")
    assert "3 cases" in told(ran.json, "fine")


def test_a_project_in_a_database_is_looked_at_and_none_is_made(project, tmp_path):
    url = f"sqlite:///{project}/ledger.sqlite"
    ran = CliRunner().invoke(app, ["doctor", url, "--pixels", str(project), "--only", "project"])
    assert (ran.exit_code, "3 cases" in ran.output) == (0, True), ran.output
    ran = CliRunner().invoke(app, ["doctor", "non-sense://x y", "--pixels", str(project), "--only", "project"])
    assert (ran.exit_code, "not the address of a database" in " ".join(ran.output.split())) == (1, True), ran.output
    server = "postgresql+psycopg://doctor:secret@127.0.0.1:1/none"
    ran = CliRunner().invoke(app, ["doctor", server, "--pixels", str(project), "--only", "project"])
    assert (ran.exit_code, "secret" in ran.output) == (1, False), ran.output
