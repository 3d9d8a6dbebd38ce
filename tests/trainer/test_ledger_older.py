import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.models.errors import LedgerError
from napari_medseg.models.geometry import Geometry
from napari_medseg.models.image import MedicalImage
from napari_medseg.trainer import migrations
from napari_medseg.trainer.ledger import CorrectionRecord, Effort, Ledger
from napari_medseg.trainer.project_export import export_project

from .older_ledger import made_older

GEOMETRY = Geometry.from_lps((1, 2, 3), (0.5, 0.7, 2.0), np.eye(3))
VOLUME = MedicalImage(np.arange(120, dtype=np.int16).reshape(4, 5, 6), "ZYX", GEOMETRY.spacing, "mm")
PICTURE = MedicalImage(np.eye(8, dtype=np.uint8), "YX")


@pytest.fixture
def older(tmp_path: Path) -> tuple[Path, list[CorrectionRecord]]:
    """A project of a version that kept no places, and what is in it."""
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.add(VOLUME, VOLUME.data > 9, predicted=VOLUME.data > 8, model="nuclei", effort=Effort(3.0, 4))
        ledger.add(PICTURE, PICTURE.data)
        records = [replace(record, place=None) for record in ledger.corrections(all=True)]
        made_older(ledger)
    return tmp_path / "project", records


def test_an_older_project_is_opened_with_all_that_is_in_it(older: tuple[Path, list[CorrectionRecord]]) -> None:
    folder, records = older
    for _ in range(2):
        with Ledger.open(folder) as ledger:
            assert ledger.corrections(all=True) == records
            assert ledger.verify() == []
            image = ledger.load_image(records[0])
            assert np.array_equal(image.data, VOLUME.data)
            assert (image.spacing, image.unit, image.geometry) == (VOLUME.spacing, "mm", None)


def test_the_export_names_cases_of_which_the_place_was_not_kept_until_they_are_accepted_again(
    older: tuple[Path, list[CorrectionRecord]], tmp_path: Path
) -> None:
    """The picture is not named: there is no place that could be missing."""
    with Ledger.open(older[0]) as ledger:
        done = export_project(ledger, tmp_path / "out")
        assert (done.unplaced, done.failed) == (["case-0001"], [])
        assert "not kept" in (tmp_path / "out" / "cases.csv").read_text()
        assert export_project(ledger, tmp_path / "tiff", key="ome-tiff").unplaced == []
        ledger.add(VOLUME, VOLUME.data > 9, geometry=GEOMETRY)
        assert export_project(ledger, tmp_path / "again").unplaced == []


def test_processes_that_open_an_older_project_at_once_all_get_it(older: tuple[Path, list[CorrectionRecord]]) -> None:
    def look(_: int) -> list[CorrectionRecord]:
        with Ledger.open(older[0]) as ledger:
            return ledger.corrections(all=True)

    with ThreadPoolExecutor(6) as pool:
        assert all(found == older[1] for found in pool.map(look, range(6)))


def test_a_change_that_fails_halfway_leaves_the_older_project_as_it_was(
    older: tuple[Path, list[CorrectionRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, records = older
    with monkeypatch.context() as patch:
        patch.setitem(migrations.ADDED, 2, migrations.ADDED[2] * 2)  # a column cannot be added twice
        with pytest.raises(LedgerError, match=r"could not be opened.*what was accepted before is kept"):
            Ledger.open(folder)
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(correction)")]
        assert "place" not in columns
    database.close()
    with Ledger.open(folder) as ledger:
        assert ledger.corrections(all=True) == records
