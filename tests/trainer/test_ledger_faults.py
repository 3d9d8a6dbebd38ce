import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.models import durable
from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import LedgerError, MedSegError
from napari_medseg.trainer import database
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.schema import SCHEMA

from ..full_disk import no_file_may_be_larger_than

MASK = np.eye(16, dtype=np.uint8)
NOBODY = 65534
Forked = Callable[[Callable[[], str]], str]


def noise(seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 65535, (side, side), np.uint16)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A closed project with one correction."""
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.add(noise(0), MASK)
    return tmp_path / "project"


def what_goes_wrong(action: Callable[[], object]) -> str:
    try:
        action()
    except MedSegError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing went wrong"


class TestWhatIsNotAProject:
    @pytest.mark.parametrize("content", [b"short", b"x" * 50, os.urandom(5000)])
    def test_a_file_of_other_contents_is_left_as_it_is(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "ledger.sqlite").write_bytes(content)
        with pytest.raises(LedgerError, match="not a ledger, or is damaged"):
            Ledger.open(tmp_path)
        assert (tmp_path / "ledger.sqlite").read_bytes() == content
        assert [p.name for p in tmp_path.iterdir()] == ["ledger.sqlite"]

    @pytest.mark.parametrize("table", ["patients (name TEXT)", "setting (key TEXT, value TEXT)", "setting (other INT)"])
    def test_the_database_of_another_program_is_left_as_it_is(self, tmp_path: Path, table: str) -> None:
        with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
            connection.execute(f"CREATE TABLE {table}")
        connection.close()
        content = (tmp_path / "ledger.sqlite").read_bytes()
        with pytest.raises(LedgerError, match="not a napari-medseg project"):
            Ledger.open(tmp_path)
        assert (tmp_path / "ledger.sqlite").read_bytes() == content

    def test_a_newer_project_is_left_as_it_is(self, project: Path) -> None:
        with sqlite3.connect(project / "ledger.sqlite") as connection:
            connection.execute("UPDATE setting SET value = ? WHERE key = 'schema'", [str(SCHEMA + 1)])
        connection.close()
        content = (project / "ledger.sqlite").read_bytes()
        with pytest.raises(LedgerError, match=r"newer napari-medseg.*Update"):
            Ledger.open(project)
        assert (project / "ledger.sqlite").read_bytes() == content

    def test_a_truncated_ledger_is_left_as_it_is(self, project: Path) -> None:
        content = (project / "ledger.sqlite").read_bytes()[:6000]
        (project / "ledger.sqlite").write_bytes(content)
        with pytest.raises(LedgerError, match="damaged"):
            Ledger.open(project).corrections()
        assert (project / "ledger.sqlite").read_bytes() == content

    def test_an_empty_file_becomes_a_project_as_after_a_crash_while_making_one(self, tmp_path: Path) -> None:
        (tmp_path / "ledger.sqlite").touch()
        with Ledger.open(tmp_path) as ledger:
            assert ledger.corrections() == []

    def test_a_file_in_place_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(LedgerError, match="is a file, but a project is a folder"):
            Ledger.open(tmp_path / "notes.txt")
        with pytest.raises(WriteError):
            Ledger.open(tmp_path / "notes.txt" / "below")
        assert (tmp_path / "notes.txt").read_text() == "mine"

    def test_a_folder_in_place_of_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "ledger.sqlite").mkdir()
        with pytest.raises(LedgerError, match="cannot be opened"):
            Ledger.open(tmp_path)


class TestNoPermission:
    @pytest.fixture
    def readable(self) -> Iterator[Path]:
        """A project that its owner may write and nobody else; not below pytest's folder, which others may not enter."""
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        with Ledger.open(folder / "project") as ledger:
            ledger.add(noise(0), MASK)
            ledger.add_version(b"w", {}, "nuclei", {}, "", activate=True)
        if os.geteuid() != 0:
            for path in (*folder.rglob("*"), folder):
                path.chmod(0o555 if path.is_dir() else 0o444)
        yield folder
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(folder)

    def as_nobody(self, action: Callable[[], object]) -> Callable[[], str]:
        def task() -> str:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            return what_goes_wrong(action)

        return task

    def test_a_project_that_may_not_be_written_is_not_opened(self, readable: Path, forked: Forked) -> None:
        said = forked(self.as_nobody(lambda: Ledger.open(readable / "project")))
        assert said.startswith("LedgerError: The project")
        assert "may read and write" in said or "may not write" in said
        assert (readable / "project" / "ledger.sqlite").is_file()

    def test_a_project_cannot_be_made_where_one_may_not_write(self, readable: Path, forked: Forked) -> None:
        said = forked(self.as_nobody(lambda: Ledger.open(readable / "new")))
        assert said.startswith("WriteError: 'new' could not be written")
        assert "ask for write permission" in said
        assert not (readable / "new").exists()

    def test_a_ledger_that_lost_its_permission_keeps_what_it_has(self, readable: Path, forked: Forked) -> None:
        def task() -> str:
            with Ledger.open(readable / "project") as ledger:
                ledger.corrections()
                return self.as_nobody(lambda: ledger.add(noise(1), MASK))()

        said = forked(task) if os.geteuid() == 0 else "WriteError: ask for write permission"
        assert said.startswith("WriteError")
        assert "ask for write permission" in said

    def test_a_folder_that_may_not_even_be_entered(self, readable: Path, forked: Forked) -> None:
        (readable / "project").chmod(0o700 if os.geteuid() == 0 else 0)
        said = forked(self.as_nobody(lambda: Ledger.open(readable / "project" / "inner")))
        (readable / "project").chmod(0o755)
        assert said.startswith("WriteError")

    def test_pixels_that_may_not_be_read_are_not_called_damaged(self, readable: Path, forked: Forked) -> None:
        def task() -> str:
            with Ledger.open(readable / "project") as ledger:
                record = ledger.corrections()[0]
                next((readable / "project" / "objects").rglob(f"{record.mask_key}.tif")).chmod(0)
                return self.as_nobody(lambda: ledger.load_mask(record))()

        if os.geteuid() != 0:
            pytest.skip("needs root, to have files that are somebody else's")
        said = forked(task)
        assert "cannot be read" in said
        assert "permission" in said


class TestFullDisk:
    def test_pixels_that_do_not_fit_are_not_in_the_ledger(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(descriptor: int, data: memoryview) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with Ledger.open(project) as ledger:
            before = ledger.corrections(all=True)
            with monkeypatch.context() as patch:
                patch.setattr(durable.os, "write", full)
                with pytest.raises(WriteError, match=r"disk is full.*Nothing was lost"):
                    ledger.add(noise(1), MASK)
                with pytest.raises(WriteError, match="disk is full"):
                    ledger.add_version(b"w", {}, "nuclei", {}, "", activate=True)
            assert (ledger.corrections(all=True), ledger.models(), ledger.active()) == (before, [], "nuclei")
            assert not list(project.rglob("*.partial"))
            ledger.add(noise(1), MASK)
            assert ledger.add_version(b"w", {}, "nuclei", {}, "", activate=True).name == "v1"
            assert ledger.verify() == []

    @pytest.mark.parametrize(("limit", "side", "kind"), [(20_000, 200, WriteError), (60_000, 8, LedgerError)])
    def test_a_limit_of_the_account_keeps_what_was_accepted(
        self, project: Path, limit: int, side: int, kind: type[MedSegError]
    ) -> None:
        """Large images meet the limit in their own files; of small ones the ledger's log meets it."""
        ledger, accepted = Ledger.open(project), 1  # the one of the fixture

        def accept() -> None:
            nonlocal accepted
            while accepted < 100:
                ledger.add(noise(accepted, side), np.eye(side))
                accepted += 1

        with no_file_may_be_larger_than(limit), ledger, pytest.raises(kind, match="larger"):
            accept()
        with Ledger.open(project) as ledger:
            assert len(ledger.corrections()) == accepted
            ledger.add(noise(accepted, side), np.eye(side))
            assert ledger.verify() == []

    def test_a_disk_that_is_really_full_keeps_what_was_accepted(self, tmp_path: Path) -> None:
        program = """
import sys, numpy as np
from pathlib import Path
from napari_medseg.models.errors import MedSegError
from napari_medseg.trainer.ledger import Ledger

project, ballast = Path(sys.argv[1], "project"), Path(sys.argv[1], "ballast")
noise = np.random.default_rng(0)
ballast.write_bytes(bytes(150_000))

def until_it_fails(action):
    for done in range(1000):
        try:
            action()
        except MedSegError as error:
            return done, type(error).__name__, str(error)

with Ledger.open(project) as ledger:
    added = until_it_fails(lambda: ledger.add(noise.integers(0, 255, (64, 64), np.uint8), np.eye(64)))
    print(*added)
    assert len(ledger.corrections()) == added[0] and ledger.verify() == []
    with ballast.open("ab", buffering=0) as file:
        try:
            while file.write(b"0" * 512): pass
        except OSError: pass
    print(*until_it_fails(lambda: ledger.set_base("x" * 50_000)))
    assert len(ledger.corrections()) == added[0] and ledger.active() == "nuclei"
    ballast.unlink()
    ledger.add(np.ones((64, 64)), np.eye(64))
    assert len(ledger.corrections()) == added[0] + 1 and ledger.verify() == []
print("sound")
"""
        mount = f"mount -t tmpfs -o size=700k none '{tmp_path}'"
        own_namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
        if not shutil.which("unshare") or subprocess.run([*own_namespace, mount], check=False).returncode:
            pytest.skip("needs a file system of its own, of a few kilobytes")
        said = subprocess.run(
            [*own_namespace, f'{mount} && exec "$0" -c "$1" "$2"', sys.executable, program, tmp_path],
            check=False,
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0, said.stderr
        first, second, last = said.stdout.splitlines()
        assert "disk is full" in first
        assert "LedgerError" in second
        assert "disk is full" in second
        assert last == "sound"


class TestHeldByAnother:
    def test_a_ledger_that_stays_locked_is_an_error_and_works_again_after(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
        other = sqlite3.connect(project / "ledger.sqlite", isolation_level=None)
        with Ledger.open(project) as ledger:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerError, match=r"another program holds it.*Nothing was changed"):
                ledger.add(noise(1), MASK)
            assert len(ledger.corrections()) == 1  # reading does not wait
            other.execute("ROLLBACK")
            ledger.add(noise(1), MASK)
            assert len(ledger.corrections()) == 2
        other.close()

    def test_the_traceback_goes_to_the_log_and_stays_with_the_error(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
        other = sqlite3.connect(project / "ledger.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with Ledger.open(project) as ledger, pytest.raises(LedgerError) as caught:
            ledger.add(noise(1), MASK, group="PID-4711")
        other.close()
        assert caught.value.__cause__ is not None
        assert "Traceback" in caplog.text
        assert "4711" not in caplog.text
        assert "sqlite3" not in str(caught.value)
