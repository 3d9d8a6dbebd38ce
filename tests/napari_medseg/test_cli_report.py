import numpy as np
import pytest
from typer.testing import CliRunner

from napari_medseg.cli import app
from napari_medseg.trainer.ledger import Effort, Ledger


@pytest.fixture
def project(tmp_path):
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 10:30] = 1
    with Ledger.open(tmp_path / "project") as ledger:
        for seed in range(2):
            image = np.random.default_rng(seed).integers(0, 255, (40, 40), np.uint8)
            ledger.add(image, mask, predicted=mask, model="nuclei", group=str(seed), effort=Effort(9 - seed, 3))
    return tmp_path / "project"


def test_a_project_gets_a_page_beside_it(medseg, project, tmp_path):
    ran = medseg("report", project, "--json")
    assert ran.code == 0, ran.err
    assert ran.json == {
        "report": str(tmp_path / "project-report.html"),
        "cases": [
            {"case": "case-0001", "seconds": 9.0, "edits": 3, "dice": 1.0},
            {"case": "case-0002", "seconds": 8.0, "edits": 3, "dice": 1.0},
        ],
        "corrections": 2,
        "active": "nuclei",
        "versions": [],
        "damaged": [],
    }
    assert "What the project has learned" in (tmp_path / "project-report.html").read_text("utf-8")


def run(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_page_goes_where_it_is_asked_for(project, tmp_path):
    for _ in range(2):  # an older page is replaced
        ran = run(project, "-o", tmp_path / "new" / "page.html", "--cases", 1)
        assert ran.exit_code == 0, ran.output
        assert str(tmp_path / "new" / "page.html") in ran.output
    assert (tmp_path / "new" / "page.html").read_text("utf-8").count("<figure>") == 3


def test_damaged_pixels_end_with_1_and_a_page(project, tmp_path):
    with Ledger.open(project) as ledger:
        key = ledger.corrections()[0].image_key
    (project / "objects" / key[:2] / f"{key}.tif").unlink()
    ran = run(project)
    assert ran.exit_code == 1
    assert "pixels of Case 1 are missing or damaged" in ran.output
    assert (tmp_path / "project-report.html").is_file()


def test_what_is_no_page_is_not_replaced(project, tmp_path):
    (tmp_path / "thesis.docx").write_bytes(b"years of it")
    ran = run(project, "-o", tmp_path / "thesis.docx")
    assert ran.exit_code == 2
    assert (tmp_path / "thesis.docx").read_bytes() == b"years of it"


def test_a_folder_without_a_project_is_refused_and_none_is_made(tmp_path):
    ran = run(tmp_path / "none")
    assert ran.exit_code == 1
    assert "There is no folder" in ran.output
    assert not list(tmp_path.iterdir())
