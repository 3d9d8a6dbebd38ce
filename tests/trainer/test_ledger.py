import pickle
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.models.errors import ImageError, LedgerError
from napari_medseg.models.image import MedicalImage
from napari_medseg.trainer.ledger import AlreadyAccepted, Effort, Ledger
from napari_medseg.trainer.project import default_project

IMAGE = np.arange(48, dtype=np.uint16).reshape(6, 8)
MASK = IMAGE > 20


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "project") as ledger:
        yield ledger


def reopened(ledger: Ledger) -> Ledger:
    ledger.close()
    return Ledger.open(ledger.folder)


class TestAdd:
    def test_image_mask_and_prediction_come_back_as_they_were_given(self, ledger: Ledger) -> None:
        volume = MedicalImage(np.random.default_rng(0).random((3, 6, 8, 2), np.float32), "ZYXC", (5.0, 0.7, 0.7), "mm")
        mask = np.zeros((3, 6, 8), np.int64)
        mask[1] = 300
        ledger.add(volume, mask, mask == 300, model="nuclei", effort=Effort(12.5, 3))
        with reopened(ledger) as again:
            (record,) = again.corrections()
            image = again.load_image(record)
            assert np.array_equal(image.data, volume.data)
            assert (image.axes, image.spacing, image.unit, image.name) == ("ZYXC", (5.0, 0.7, 0.7), "mm", "")
            assert np.array_equal(again.load_mask(record), mask)
            assert again.load_mask(record).dtype == np.uint16
            predicted = again.load_predicted(record)
            assert predicted is not None
            assert np.array_equal(predicted, mask == 300)
            assert (record.model, record.seconds, record.edits) == ("nuclei", 12.5, 3)

    def test_what_is_not_known_is_none(self, ledger: Ledger) -> None:
        record = ledger.add(IMAGE, MASK)
        assert (record.predicted_key, record.model, record.seconds, record.edits) == (None, None, None, None)
        assert ledger.load_predicted(record) is None

    def test_a_record_is_what_the_ledger_will_list(self, ledger: Ledger) -> None:
        record = ledger.add(IMAGE, MASK, effort=Effort(np.float32(2), np.int64(3)))
        assert ledger.corrections() == [record]
        assert abs((datetime.now(UTC) - record.created).total_seconds()) < 60
        with pytest.raises(FrozenInstanceError):
            record.id = 7  # type: ignore[misc]

    def test_spacing_given_with_a_bare_array_is_in_millimetres(self, ledger: Ledger) -> None:
        record = ledger.add(IMAGE, MASK, spacing=(0.5, 0.25))
        assert (record.spacing, record.unit) == ((0.5, 0.25), "mm")

    def test_spacing_overrides_the_image_and_keeps_its_unit(self, ledger: Ledger) -> None:
        record = ledger.add(MedicalImage(IMAGE, "YX", (1, 1), "um"), MASK, spacing=(0.5, 0.25))
        assert (record.spacing, record.unit) == ((0.5, 0.25), "um")

    def test_the_name_of_the_image_is_stored_nowhere(self, ledger: Ledger) -> None:
        ledger.add(MedicalImage(IMAGE, "YX", name="Mustermann^Erika"), MASK, group="PID-4711")
        ledger.close()
        stored = b"".join(path.read_bytes() for path in ledger.folder.rglob("*") if path.is_file())
        assert b"Mustermann" not in stored
        assert b"4711" not in stored

    @pytest.mark.parametrize(
        "mask", [np.zeros((8, 6)), np.zeros((2, 6, 8)), np.full((6, 8), -1), np.full((6, 8), 0.5), np.zeros((0, 0))]
    )
    def test_a_mask_that_does_not_fit_changes_nothing(self, ledger: Ledger, mask: np.ndarray) -> None:
        with pytest.raises(ImageError):
            ledger.add(IMAGE, mask)
        with pytest.raises(ImageError):
            ledger.add(IMAGE, MASK, predicted=mask)
        assert ledger.corrections(all=True) == []
        assert not (ledger.folder / "objects").exists()
        assert ledger.changes() == 0

    @pytest.mark.parametrize(("seconds", "edits"), [(-1, 0), (float("nan"), 0), (float("inf"), 0), (0, -1)])
    def test_effort_is_not_negative(self, seconds: float, edits: int) -> None:
        with pytest.raises(ValueError, match="effort"):
            Effort(seconds, edits)


class TestRepeating:
    def test_the_same_pair_again_is_refused_with_the_record_that_is_there(self, ledger: Ledger) -> None:
        record = ledger.add(IMAGE, MASK)
        changes = ledger.changes()
        with pytest.raises(AlreadyAccepted, match=r"already.*nothing was changed") as caught:
            ledger.add(IMAGE.copy(), MASK.astype(np.int64), group="another")
        assert caught.value.record == record
        assert ledger.corrections(all=True) == [record]
        assert ledger.changes() == changes

    def test_the_refusal_travels_between_processes(self, ledger: Ledger) -> None:
        error = AlreadyAccepted(ledger.add(IMAGE, MASK))
        back = pickle.loads(pickle.dumps(error))
        assert (back.record, str(back)) == (error.record, str(error))

    def test_another_mask_supersedes_and_keeps_the_earlier_one(self, ledger: Ledger) -> None:
        first = ledger.add(IMAGE, MASK)
        other = ledger.add(IMAGE + 1, MASK)
        second = ledger.add(IMAGE, ~MASK)
        assert ledger.corrections() == [other, second]
        assert ledger.corrections(all=True) == [first, other, second]
        assert np.array_equal(ledger.load_mask(first), MASK)

    def test_going_back_to_an_earlier_mask_is_a_correction(self, ledger: Ledger) -> None:
        for mask in (MASK, ~MASK, MASK):
            ledger.add(IMAGE, mask)
        assert len(ledger.corrections(all=True)) == 3
        assert np.array_equal(ledger.load_mask(ledger.corrections()[0]), MASK)

    def test_another_spacing_is_a_correction(self, ledger: Ledger) -> None:
        ledger.add(IMAGE, MASK)
        ledger.add(IMAGE, MASK, spacing=(0.5, 0.5))
        assert [r.spacing for r in ledger.corrections()] == [(0.5, 0.5)]

    def test_accepting_again_heals_damaged_pixels(self, ledger: Ledger) -> None:
        record = ledger.add(IMAGE, MASK)
        for path in (ledger.folder / "objects").rglob("*.tif"):
            path.write_bytes(path.read_bytes()[:50])
        assert len(ledger.verify()) == 2
        with pytest.raises(AlreadyAccepted):
            ledger.add(IMAGE, MASK)
        assert ledger.verify() == []
        assert np.array_equal(ledger.load_mask(record), MASK)


class TestGroups:
    def test_a_group_is_kept_as_a_hash_that_another_project_does_not_share(
        self, ledger: Ledger, tmp_path: Path
    ) -> None:
        here = [
            ledger.add(IMAGE + i, MASK, group=g).group for i, g in enumerate(["PID-1", "PID-1", " PID-1 ", "PID-2"])
        ]
        with Ledger.open(tmp_path / "other") as other:
            there = other.add(IMAGE, MASK, group="PID-1").group
        assert here[0] == here[1] == here[2]
        assert len({here[0], here[3], there}) == 3
        assert all(len(bytes.fromhex(group)) == 32 for group in here)

    @pytest.mark.parametrize("group", [None, "", "  "])
    def test_without_a_group_each_image_is_one(self, ledger: Ledger, group: str | None) -> None:
        assert len({ledger.add(IMAGE + i, MASK, group=group).group for i in range(3)}) == 3

    def test_an_image_keeps_the_group_of_its_first_correction(self, ledger: Ledger) -> None:
        first = ledger.add(IMAGE, MASK, group="a")
        assert ledger.add(IMAGE, ~MASK, group="b").group == first.group
        assert ledger.add(IMAGE, MASK).group == first.group

    def test_a_file_name_of_any_bytes_is_a_group(self, ledger: Ledger) -> None:
        assert ledger.add(IMAGE, MASK, group=b"\xff.tif".decode(errors="surrogateescape")).group


class TestSplit:
    def test_one_group_is_all_for_training(self, ledger: Ledger) -> None:
        records = [ledger.add(IMAGE + i, MASK, group="a") for i in range(3)]
        assert ledger.split() == (records, [])

    def test_all_images_of_a_group_are_on_one_side(self, ledger: Ledger) -> None:
        records = [ledger.add(IMAGE + i, MASK, group="abcdefab"[i]) for i in range(8)]
        training, held_out = ledger.split()
        assert held_out == [records[i] for i in (1, 5, 7)]
        assert training == [records[i] for i in (0, 2, 3, 4, 6)]

    def test_correcting_an_old_image_again_moves_no_group(self, ledger: Ledger) -> None:
        for i, group in enumerate("abc"):
            ledger.add(IMAGE + i, MASK, group=group)
        sides = [{r.image_key for r in side} for side in ledger.split()]
        ledger.add(IMAGE, ~MASK)
        assert [{r.image_key for r in side} for side in ledger.split()] == sides
        assert sum(len(side) for side in ledger.split()) == 3


class TestChanges:
    def test_every_change_is_noticed_by_another_window(self, ledger: Ledger) -> None:
        with Ledger.open(ledger.folder) as window:
            seen = [window.changes()]
            ledger.add(IMAGE, MASK)
            seen.append(window.changes())
            ledger.add_version(b"w", {}, "nuclei", {}, "", activate=False)
            seen.append(window.changes())
            ledger.activate("v1")
            seen.append(window.changes())
            job = ledger.start_job("v1", {})
            seen.append(window.changes())
            ledger.update_job(job.id, progress=0.1)
            seen.append(window.changes())
            assert seen == sorted(set(seen))
            assert window.changes() == seen[-1]


class TestOpening:
    def test_the_folder_is_made(self, tmp_path: Path) -> None:
        with Ledger.open(tmp_path / "a" / "b") as ledger:
            assert ledger.folder == tmp_path / "a" / "b"
        assert (tmp_path / "a" / "b" / "ledger.sqlite").is_file()

    def test_a_url_needs_a_folder_for_pixels(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'db.sqlite'}"
        with pytest.raises(LedgerError, match="pixels="):
            Ledger.open(url)
        with Ledger.open(url, pixels=tmp_path / "pixels") as ledger:
            record = ledger.add(IMAGE, MASK)
            assert np.array_equal(ledger.load_mask(record), MASK)
        assert (tmp_path / "pixels" / "objects").is_dir()

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "nosuch://me:secret@x/y", "://"])
    def test_an_address_that_cannot_be_used_is_an_error_for_people(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(LedgerError) as caught:
            Ledger.open(url, pixels=tmp_path)
        assert "secret" not in str(caught.value)

    def test_a_commit_waits_for_the_disk(self, ledger: Ledger) -> None:
        with ledger._database.reading() as session:
            connection = session.connection()
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}

    def test_a_closed_ledger_says_so(self, ledger: Ledger) -> None:
        ledger.close()
        with pytest.raises(LedgerError, match="closed"):
            ledger.corrections()

    def test_opening_it_imports_neither_torch_nor_qt(self, tmp_path: Path) -> None:
        program = (
            "import sys, numpy as np\n"
            "from napari_medseg.trainer import Ledger\n"
            "with Ledger.open(sys.argv[1]) as ledger: ledger.add(np.eye(8), np.eye(8))\n"
            "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'qtpy', 'PyQt5', 'PyQt6', 'napari')])\n"
        )
        said = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == "[]"

    def test_the_default_project_can_be_moved(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("MEDSEG_PROJECT", str(tmp_path / "mine"))
        assert default_project() == tmp_path / "mine"
        monkeypatch.delenv("MEDSEG_PROJECT")
        assert default_project().parts[-3:] == ("napari-medseg", "projects", "default")
        assert not (tmp_path / "mine").exists()


def test_many_threads_share_a_ledger(ledger: Ledger) -> None:
    failures: list[BaseException] = []

    def work(offset: int) -> None:
        try:
            for i in range(5):
                ledger.add(IMAGE + 5 * offset + i, MASK)
                ledger.corrections()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(ledger.corrections()) == 30
    assert ledger.verify() == []
    assert ledger.changes() == 30


def test_the_database_is_sound_for_sqlite_itself(ledger: Ledger) -> None:
    ledger.add(IMAGE, MASK)
    with sqlite3.connect(ledger.folder / "ledger.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
