import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_medseg.trainer.ledger import Ledger


def test_a_correction_is_in_the_project(medseg, nuclei, tmp_path):
    image, mask = nuclei(1)
    options = ["--predicted", mask, "--seconds", 12.5, "--edits", 4, "--model", "nuclei", "--group", "patient 7"]
    ran = medseg("accept", tmp_path / "project", image, mask, *options, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["accepted"] is True
    with Ledger.open(tmp_path / "project") as ledger:
        (record,) = ledger.corrections()
        assert record.id == ran.json["id"]
        assert (record.seconds, record.edits, record.model) == (12.5, 4, "nuclei")
        assert np.array_equal(ledger.load_mask(record), iio.imread(mask))
        assert ledger.load_predicted(record) is not None


def test_the_group_is_the_file_unless_it_is_given(medseg, nuclei, tmp_path):
    (first, mask), (second, other) = nuclei(1), nuclei(2)
    for pair in ((first, mask), (second, other)):
        assert medseg("accept", tmp_path / "project", *pair).code == 0
    with Ledger.open(tmp_path / "project") as ledger:
        assert len({record.group for record in ledger.corrections()}) == 2


def test_files_of_one_name_in_two_folders_are_two_groups(medseg, nuclei, tmp_path):
    for number in (1, 2):
        image, mask = nuclei(number)
        (tmp_path / f"p{number}").mkdir()
        copy = image.rename(tmp_path / f"p{number}" / "img.png")
        assert medseg("accept", tmp_path / "project", copy, mask).code == 0
    with Ledger.open(tmp_path / "project") as ledger:
        assert len({record.group for record in ledger.corrections()}) == 2


def test_a_second_accept_of_the_same_pair_says_that_it_is_there(medseg, nuclei, tmp_path):
    image, mask = nuclei(1)
    first = medseg("accept", tmp_path / "project", image, mask, "--json")
    again = medseg("accept", tmp_path / "project", image, mask, "--json")
    assert again.code == 1
    assert "accepted for this image already" in again.sentence
    assert again.json == {"accepted": False, "reason": again.sentence, "id": first.json["id"]}
    with Ledger.open(tmp_path / "project") as ledger:
        assert len(ledger.corrections(all=True)) == 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((8, 8), np.uint8), "shape"),
        (np.full((128, 128), np.nan, np.float32), "not whole numbers"),
        (np.full((128, 128), np.inf, np.float32), "labels from"),
        (np.full((128, 128), 0.5, np.float32), "not whole numbers"),
        (np.full((128, 128), -1, np.int16), "labels from"),
    ],
    ids=["another shape", "NaN", "infinity", "fractions", "negative"],
)
def test_a_wrong_mask_makes_no_project(medseg, nuclei, tmp_path, values, reason):
    image, _ = nuclei(1)
    tifffile.imwrite(tmp_path / "wrong.tif", values)
    ran = medseg("accept", tmp_path / "project", image, tmp_path / "wrong.tif")
    assert ran.code == 1
    assert reason in ran.sentence
    assert not (tmp_path / "project").exists()


def test_a_predicted_mask_of_another_shape_is_refused(medseg, nuclei, tmp_path):
    image, mask = nuclei(1)
    tifffile.imwrite(tmp_path / "small.tif", np.zeros((8, 8), np.uint8))
    ran = medseg("accept", tmp_path / "project", image, mask, "--predicted", tmp_path / "small.tif")
    assert ran.code == 1
    assert "shape" in ran.sentence


def test_a_file_that_is_missing_or_a_colour_picture_is_refused(medseg, nuclei, tmp_path):
    image, mask = nuclei(1)
    ran = medseg("accept", tmp_path / "project", image.with_name("imag.png"), mask)
    assert ran.code == 1
    assert "no file" in ran.sentence
    colours = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    iio.imwrite(tmp_path / "photo.png", colours)
    ran = medseg("accept", tmp_path / "project", image, tmp_path / "photo.png")
    assert ran.code == 1
    assert "colour picture" in ran.sentence


def test_a_project_where_one_may_not_write_stays_as_it_was(medseg, nuclei, tmp_path, without_privileges):
    (image, mask), (second, other) = nuclei(1), nuclei(2)
    project = tmp_path / "project"
    assert medseg("accept", project, image, mask).code == 0
    folders = [project, *(path for path in project.rglob("*") if path.is_dir())]
    for path in project.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    for folder in folders:
        folder.chmod(0o555)
    try:
        ran = medseg("accept", project, second, other, "--json", **without_privileges)
    finally:
        for folder in folders:
            folder.chmod(0o755)
        for path in project.rglob("*"):
            path.chmod(path.stat().st_mode | 0o600)
    assert ran.code == 1
    assert "may not write" in ran.sentence
    with Ledger.open(project) as ledger:
        assert len(ledger.corrections()) == 1


def test_a_place_where_no_project_can_be_made_is_refused(medseg, nuclei, tmp_path, without_privileges):
    image, mask = nuclei(1)
    (tmp_path / "locked").mkdir(mode=0o555)
    ran = medseg("accept", tmp_path / "locked" / "project", image, mask, **without_privileges)
    assert ran.code == 1
    assert "may not write" in ran.sentence
    ran = medseg("accept", image, image, mask)
    assert ran.code == 1
    assert "a project is a folder" in ran.sentence


def test_effort_is_seconds_and_edits(medseg, nuclei, tmp_path):
    image, mask = nuclei(1)
    assert medseg("accept", tmp_path / "project", image, mask, "--seconds", 3).code == 2
    assert medseg("accept", tmp_path / "project", image, mask, "--seconds", 3, "--edits", -1).code == 2
