import json

import nibabel
import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from napari_medseg.cli import app
from napari_medseg.models.image import MedicalImage
from napari_medseg.trainer.ledger import Ledger


@pytest.fixture
def project(tmp_path):
    """A project with a picture and a volume, whose names and groups are a patient's."""
    picture, volume = np.arange(1600, dtype=np.uint16).reshape(40, 40), np.arange(6400).reshape(4, 40, 40)
    with Ledger.open(tmp_path / "Quastenflosser") as ledger:
        for image in (
            MedicalImage(picture, "YX", name="Adelgunde"),
            MedicalImage(volume.astype(np.int16), "ZYX", (3.0, 1.0, 1.0), "mm", "Adelgunde"),
        ):
            ledger.add(image, (image.data > 800).astype(np.uint8), group=f"PID-4711 {image.axes}")
    return tmp_path / "Quastenflosser"


def test_a_project_is_written_for_other_programs(medseg, project, tmp_path):
    out = tmp_path / "out"
    ran = medseg("export", project, "-o", out, "--images", "--json")
    assert ran.code == 0, ran.err
    assert ran.json == {
        "written": str(out),
        "format": None,
        "masks": {"case-0001": f"{out}/masks/case-0001.png", "case-0002": f"{out}/masks/case-0002.nii.gz"},
        "images": {"case-0001": f"{out}/images/case-0001.png", "case-0002": f"{out}/images/case-0002.nii.gz"},
        "failed": [],
        "unplaced": [],
    }
    assert json.loads((out / "splits.json").read_text()) == {"train": ["case-0001"], "val": ["case-0002"]}
    for path in (path for path in out.rglob("*") if path.is_file()):
        assert not [word for word in (b"Quasten", b"Adelgunde", b"PID-4711") if word in path.read_bytes()], path


def test_what_cannot_be_written_ends_with_1_and_the_rest_is_there(medseg, project, tmp_path):
    ran = medseg("export", project, "-o", tmp_path / "out", "--format", "png", "--json")
    assert ran.code == 1
    assert "1 mask written" in ran.sentence
    assert "case-0002 (mask): A PNG holds one plane" in ran.sentence
    assert [one["case"] for one in ran.json["failed"]] == ["case-0002 (mask)"]
    assert list(ran.json["masks"]) == ["case-0001"]
    again = medseg("export", project, "-o", tmp_path / "out")
    assert again.code == 1
    assert "--replace" in again.sentence


def run(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_an_accepted_mask_lies_on_the_scan_that_it_is_of(project, tmp_path):
    """A command accepts it and another one writes it; a file between them knows where the scan lies."""
    turned = np.array([[0, 0, -2.0, 30], [-0.7, 0, 0, 20], [0, 0.9, 0, -10], [0, 0, 0, 1]])
    scan = nibabel.Nifti1Image(np.arange(480, dtype=np.int16).reshape(6, 8, 10), turned)
    nibabel.save(scan, tmp_path / "scan.nii.gz")
    nibabel.save(nibabel.Nifti1Image((scan.get_fdata() > 300).astype(np.uint8), turned), tmp_path / "mask.nii.gz")
    accepted = CliRunner().invoke(app, ["accept", *(str(tmp_path / f) for f in ("new", "scan.nii.gz", "mask.nii.gz"))])
    assert accepted.exit_code == 0, accepted.output
    assert run(tmp_path / "new", "-o", tmp_path / "out").exit_code == 0
    written = nibabel.load(tmp_path / "out" / "masks" / "case-0001.nii.gz")
    np.testing.assert_allclose(written.affine, scan.affine, atol=1e-6)
    assert np.array_equal(np.asarray(written.dataobj), scan.get_fdata() > 300)


def test_cases_of_an_older_project_are_said_to_have_no_place(project, tmp_path):
    with Ledger.open(project) as ledger, ledger._database.writing() as session:
        session.execute(sa.text("UPDATE correction SET place = NULL"))
    ran = run(project, "-o", tmp_path / "out")
    assert ran.exit_code == 0, ran.output
    assert "Where case-0002 lies in the patient is not in the project" in " ".join(ran.output.split())


def test_one_file_holds_all_cases_if_its_ending_says_so(project, tmp_path):
    ran = run(project, "-o", tmp_path / "all.coco.json", "--label", "1=bright")
    assert ran.exit_code == 0, ran.output
    coco = json.loads((tmp_path / "all.coco.json").read_text())
    assert coco["categories"] == [{"id": 1, "name": "bright"}]
    assert len(coco["images"]) == 5


def test_without_images_it_says_how_to_get_them(project, tmp_path):
    ran = run(project, "-o", tmp_path / "out")
    assert ran.exit_code == 0, ran.output
    assert "2 masks written" in ran.output
    assert "--images" in ran.output
    assert not (tmp_path / "out" / "images").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-o", "out", "--format", "dicom-seg"], "nifti"),
        (["-o", "out.nii.gz"], "one file"),
        (["-o", "out.csv", "--format", "coco"], "one file"),
        (["-o", "out.csv", "--images"], "one file"),
        (["-o", "out", "--format", "x"], "no format"),
        (["-o", "out", "--image", "a.png"], "has its images"),
    ],
)
def test_wrong_use_is_told_before_anything_is_written(project, tmp_path, monkeypatch, options, reason):
    monkeypatch.chdir(tmp_path)
    ran = run(project, *options)
    assert ran.exit_code == 2
    assert reason in " ".join(ran.output.replace("│", " ").split())
    assert [path.name for path in tmp_path.iterdir()] == ["Quastenflosser"]


def test_a_mask_needs_its_image_and_has_none_to_write(tmp_path):
    ran = run(tmp_path / "mask.png", "-o", tmp_path / "out.csv")
    assert ran.exit_code == 2
    assert "--image" in ran.output
    ran = run(tmp_path / "mask.png", "-o", tmp_path / "out.csv", "--images")
    assert ran.exit_code == 2
    assert "is for projects" in " ".join(ran.output.replace("│", " ").split())
