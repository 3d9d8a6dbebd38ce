"""A project in PostgreSQL, where its driver (psycopg) and its server are installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.models.errors import LedgerError
from napari_medseg.models.geometry import Geometry
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.ledger_copy import existing_ledger
from napari_medseg.trainer.project_export import export_project

from .older_ledger import made_older

pytest.importorskip("psycopg")
IMAGE = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
GEOMETRY = Geometry.from_lps((1, 2, 3), (0.5, 0.7, 2.0), np.eye(3))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of an empty database; not below pytest's folder, which the server's user may not enter."""
    if not all(map(shutil.which, ("initdb", "pg_ctl"))):
        pytest.skip("needs a PostgreSQL server")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    as_other = {"user": "nobody"} if os.geteuid() == 0 else {}  # the server refuses to run as root
    if as_other:
        shutil.chown(folder, "nobody")

    def run(*command: str) -> None:
        subprocess.run(
            command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_other
        )

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "medseg", "--auth=trust", "--no-sync")
    run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -c listen_addresses= -F", "start")
    yield f"postgresql+psycopg://medseg:secret@/postgres?host={folder}"
    run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder)


def test_an_older_project_is_brought_up_to_date_by_all_who_open_it_at_once(server: str, tmp_path: Path) -> None:
    pixels = tmp_path / "pixels"
    with Ledger.open(server, pixels=pixels) as ledger:
        record = replace(ledger.add(IMAGE, IMAGE > 9, spacing=GEOMETRY.spacing), place=None)
        made_older(ledger)
    for _ in range(2):  # who only looks changes nothing
        with pytest.raises(LedgerError, match="older MedSeg"):
            existing_ledger(server, pixels)

    def look(_: int) -> object:
        with Ledger.open(server, pixels=pixels) as ledger:
            return ledger.corrections()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(look, range(6))) == [[record]] * 6
    with Ledger.open(server, pixels=pixels) as ledger:
        placed = ledger.add(IMAGE, IMAGE > 9, geometry=GEOMETRY)
        assert ledger.corrections(all=True) == [record, placed]
        done = export_project(ledger, tmp_path / "out", images=True)
        assert (done.unplaced, done.failed) == ([], [])
        image = ledger.load_image(placed)
    assert image.geometry is not None
    assert np.array_equal(image.geometry.affine, GEOMETRY.affine)
