import os
import shutil
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest

MEASURES = ("iou", "dice", "mae", "precision", "recall", "specificity", "accuracy", "f2", "hd95", "nsd")


@pytest.fixture
def folder(nuclei, tmp_path):
    """Two images of nuclei with their masks."""
    for number in (1, 2):
        for path, part in zip(nuclei(number), ("images", "masks"), strict=True):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / "data" / part / f"case{number}.png")
    return tmp_path / "data"


def test_a_folder_of_images_and_masks_is_measured(medseg, folder, tmp_path):
    ran = medseg("evaluate", folder, "--pictures", tmp_path / "pictures", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["model"] == "nuclei"
    assert [image["case"] for image in ran.json["images"]] == ["case1", "case2"]
    assert ran.json["dice"] > 0.7  # the shipped model on fluorescence
    for row in (*ran.json["images"], ran.json["mean"], *ran.json["by_size"].values()):
        assert set(MEASURES) <= row.keys()
    assert ran.json["mean"]["dice"] == ran.json["dice"]
    assert [image["picture"] for image in ran.json["images"]] == [
        str(tmp_path / "pictures" / f"case{number}.png") for number in (1, 2)
    ]
    assert len(list((tmp_path / "pictures").iterdir())) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["images", "masks"]


def test_people_get_a_table(medseg, folder):
    (folder / "images" / "case1.png").rename(folder / "images" / "a_long_name_of_a_first_case.png")
    (folder / "masks" / "case1.png").rename(folder / "masks" / "a_long_name_of_a_first_case.png")
    ran = medseg("evaluate", folder, env=os.environ | {"COLUMNS": "80"})
    assert ran.code == 0, ran.err
    for word in (
        "a_long_name",
        "case2",
        "IoU",
        "Dice",
        "MAE",
        "HD95",
        "all images (2)",
        "objects <1%",
        "mDice",
        "nuclei",
    ):
        assert word in ran.out
    assert "HD95 in pixels, NSD within 2 pixels" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "…" not in ran.out  # no figure is cut off


def test_an_image_that_cannot_be_read_does_not_stop_the_others(medseg, folder):
    (folder / "images" / "case1.png").write_bytes(b"no image")
    ran = medseg("evaluate", folder, "--json")
    assert ran.code == 1
    assert "1 image was measured, 1 failed" in ran.sentence
    assert "'case1.png' is not an image" in ran.sentence
    assert [image["case"] for image in ran.json["images"]] == ["case2"]
    assert [failure["image"] for failure in ran.json["failed"]] == [str(folder / "images" / "case1.png")]
    assert ran.json["dice"] == ran.json["images"][0]["dice"]
    assert "case1.png" in ran.json["error"]


def test_where_the_test_images_lie_apart_they_are_measured(medseg, folder, tmp_path):
    (tmp_path / "parts").mkdir()
    folder.rename(tmp_path / "parts" / "test")
    for part in ("images", "masks"):
        (tmp_path / "parts" / "val" / part).mkdir(parents=True)
    ran = medseg("evaluate", tmp_path / "parts", "--tolerance", 0, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["split"] == "test"
    assert {image["tolerance"] for image in ran.json["images"]} == {0}
    assert len(ran.json["images"]) == 2


@pytest.fixture
def before_the_engine(monkeypatch):
    """No engine can be started: what is wrong has to be said before."""
    monkeypatch.setenv("MEDSEG_RUNTIME", "/proc/nowhere")


@pytest.mark.usefixtures("before_the_engine")
class TestSaidBeforeTheWorkStarts:
    def test_a_folder_without_pairs(self, medseg, folder):
        for path in (folder / "masks").iterdir():
            path.rename(path.with_name(f"other_{path.name}"))
        ran = medseg("evaluate", folder)
        assert ran.code == 1
        assert "no pairs of an image and a mask" in ran.sentence

    def test_a_folder_that_is_neither(self, medseg, tmp_path):
        (tmp_path / "pictures").mkdir()
        ran = medseg("evaluate", tmp_path / "pictures", "--json")
        assert ran.code == 1
        assert "neither a project nor a folder with images/ and masks/" in ran.json["error"]

    def test_an_unknown_model(self, medseg, folder):
        ran = medseg("evaluate", folder, "--model", "nucleii")
        assert ran.code == 1
        assert "Did you mean 'nuclei'?" in ran.sentence

    def test_a_part_that_is_not_there(self, medseg, folder):
        ran = medseg("evaluate", folder, "--split", "test")
        assert ran.code == 1
        assert "no part called 'test'" in ran.sentence

    def test_a_tolerance_below_0(self, medseg, folder):
        assert medseg("evaluate", folder, "--tolerance", -1).code == 2

    def test_a_part_of_a_project(self, medseg, tmp_path):
        ran = medseg("evaluate", tmp_path / "project", "--split", "test")
        assert ran.code == 2
        assert "A project has no parts" in ran.sentence

    def test_a_folder_for_pictures_that_cannot_be_made(self, medseg, folder):
        (folder / "taken").write_text("")
        ran = medseg("evaluate", folder, "--pictures", folder / "taken" / "pictures")
        assert ran.code == 1
        assert "could not be written" in ran.sentence

    def test_a_folder_for_pictures_that_may_not_be_written(self, medseg, folder, tmp_path, without_privileges):
        (tmp_path / "locked").mkdir(mode=0o555)
        ran = medseg("evaluate", folder, "--pictures", tmp_path / "locked", **without_privileges)
        assert ran.code == 1
        assert "You may not write in" in ran.sentence

    def test_pictures_that_would_replace_images(self, medseg, folder):
        before = iio.imread(folder / "images" / "case1.png")
        ran = medseg("evaluate", folder, "--pictures", folder / "images")
        assert ran.code == 1
        assert "choose another folder for the pictures" in ran.sentence
        assert np.array_equal(iio.imread(folder / "images" / "case1.png"), before)


def test_the_command_imports_neither_torch_nor_what_draws():
    code = "import sys, napari_medseg.cli.evaluate; print(sorted({'torch', 'monai', 'skimage'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
