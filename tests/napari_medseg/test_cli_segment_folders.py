"""Folders of many images, volumes, and images that are larger than memory."""

import gzip
import json
import os
import sys
from pathlib import Path

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_medseg.cli import app
from napari_medseg.models.chosen_model import chosen_model
from napari_medseg.models.folder_images import TargetError, images_in, targets_for
from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.mask_record import NAME, Record
from napari_medseg.models.reading import read_mask
from napari_medseg.models.streaming.partial import Partial
from napari_medseg.models.writing import on_disk

from ..models.formats.dicom_support import image, numbered, save, series


@pytest.fixture
def folder(nuclei, tmp_path):
    """A folder of three images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 2, 3):
        image, _ = nuclei(number)
        image.rename(folder / f"{number}.png")
    return folder


@pytest.fixture
def volume(tmp_path):
    """Three slices with a bright ball, turned and tilted, as NIfTI."""
    z, y, x = np.ogrid[:3, :70, :80]
    data = (20 + 200 * (((y - 35) / 20) ** 2 + ((x - 40) / 25) ** 2 + ((z - 1) / 3) ** 2 < 1)).astype(np.int16)
    affine = np.array([[0, -0.7, 0, 30], [0.8, 0, 0, -20], [0, 0, 2.5, 100], [0, 0, 0, 1.0]])
    file = tmp_path / "ball.nii.gz"
    nibabel.save(nibabel.Nifti1Image(data.T, affine), file)
    return file


def when_made(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.iterdir() if path.name != NAME}


class TestGoingOn:
    def test_what_is_done_is_skipped_and_only_the_rest_is_made(self, medseg, folder, tmp_path):
        out = tmp_path / "out"
        rest = (folder / "3.png").read_bytes()
        (folder / "3.png").unlink()
        assert medseg("segment", folder, "-o", out).code == 0
        before = when_made(out)
        (folder / "3.png").write_bytes(rest)

        ran = medseg("segment", folder, "-o", out, "--json")

        assert ran.code == 0, ran.err
        assert [Path(entry["mask"]).name for entry in ran.json["skipped"]] == ["1.png", "2.png"]
        assert [Path(entry["mask"]).name for entry in ran.json["written"]] == ["3.png"]
        assert when_made(out).items() >= before.items()
        said = medseg("segment", folder, "-o", out).out
        assert "3 masks were there already; --again makes them anew" in said

    def test_an_image_that_changed_another_answer_or_again_is_made_anew(self, medseg, folder, tmp_path):
        out = tmp_path / "out"
        medseg("segment", folder, "-o", out)
        os.utime(folder / "2.png", ns=(1, 1))
        changed = medseg("segment", folder, "-o", out, "--json").json
        assert [Path(entry["image"]).name for entry in changed["written"]] == ["2.png"]
        assert len(medseg("segment", folder, "-o", out, "--answer", "mask", "--json").json["written"]) == 3
        assert len(medseg("segment", folder, "-o", out, "--answer", "mask", "--again", "--json").json["written"]) == 3

    def test_a_mask_that_was_corrected_since_stays_and_one_that_is_gone_is_made(self, medseg, folder, tmp_path):
        out = tmp_path / "out"
        medseg("segment", folder, "-o", out)
        (out / "1.png").write_bytes((folder / "1.png").read_bytes())
        (out / "2.png").unlink()
        ran = medseg("segment", folder, "-o", out, "--json")
        assert [Path(entry["image"]).name for entry in ran.json["written"]] == ["2.png"]
        assert (out / "1.png").read_bytes() == (folder / "1.png").read_bytes()

    def test_a_damaged_record_means_that_masks_are_not_ours_and_stay(self, medseg, folder, tmp_path):
        out = tmp_path / "out"
        medseg("segment", folder, "-o", out)
        before = when_made(out)
        lines = (out / NAME).read_text().splitlines()
        (out / NAME).write_text("\n".join(["[]", "{", lines[1], lines[2][:20]]))
        said = medseg("segment", folder, "-o", out, "--json").json
        assert [Path(entry["mask"]).name for entry in said["kept"]] == ["1.png", "3.png"]
        assert when_made(out) == before

    def test_the_record_names_no_image_and_no_mask(self, medseg, folder, tmp_path):
        (folder / "1.png").rename(folder / "Mustermann_Erika.png")
        out = tmp_path / "out"
        medseg("segment", folder, "-o", out)
        noted = [json.loads(line) for line in (out / NAME).read_text().splitlines()]
        assert [sorted(entry) for entry in noted] == [["content", "image", "mask", "of", "place"]] * 3
        assert "Mustermann" not in (out / NAME).read_text()
        assert str(folder) not in (out / NAME).read_text()


class TestKeeping:
    def test_a_corrected_mask_stays_for_another_answer_and_another_image_but_not_with_again(
        self, medseg, folder, tmp_path
    ):
        out = tmp_path / "out"
        medseg("segment", folder, "-o", out)
        correction = np.full_like(read_mask(out / "1.png"), 7)
        iio.imwrite(out / "1.png", correction)

        ran = medseg("segment", folder, "-o", out, "--answer", "mask", "--json")

        assert ran.code == 0, ran.err
        assert ran.json["kept"] == [{"image": str(folder / "1.png"), "mask": str(out / "1.png")}]
        assert [Path(entry["mask"]).name for entry in ran.json["written"]] == ["2.png", "3.png"]
        assert (read_mask(out / "1.png") == correction).all()
        os.utime(folder / "1.png", (1, 1))
        said = medseg("segment", folder, "-o", out).out
        assert "1 mask was kept, corrected or not made by this command; --again replaces them" in said
        assert str(out / "1.png") in said.replace("\n", "")
        assert (read_mask(out / "1.png") == correction).all()
        assert len(medseg("segment", folder, "-o", out, "--again", "--json").json["written"]) == 3
        assert not (read_mask(out / "1.png") == correction).all()

    def test_a_mask_that_somebody_drew_stays(self, medseg, folder, tmp_path):
        (tmp_path / "out").mkdir()
        iio.imwrite(tmp_path / "out" / "2.png", np.full((40, 40), 3, np.uint8))
        said = medseg("segment", folder, "-o", tmp_path / "out", "--json").json
        assert [Path(entry["mask"]).name for entry in said["kept"]] == ["2.png"]
        assert (read_mask(tmp_path / "out" / "2.png") == 3).all()

    def test_an_image_beside_the_one_that_was_given_stays(self, medseg, folder, volume):
        iio.imwrite(folder / "1.jpg", iio.imread(folder / "1.png"))
        (folder / "ball.nii").write_bytes(gzip.decompress(volume.read_bytes()))
        volume.rename(folder / "ball.nii.gz")
        before = when_made(folder)
        ran = medseg("segment", folder / "1.jpg", folder / "ball.nii", "-o", folder, "--answer", "mask", "--json")
        assert ran.code == 0, ran.err
        assert [Path(entry["mask"]).name for entry in ran.json["kept"]] == ["1.png", "ball.nii.gz"]
        assert when_made(folder) == before


class TestImagesOfOneName:
    @pytest.fixture
    def alike(self, nuclei, tmp_path):
        """x/a.tif and y/a.tif: two images, of one size and date."""
        for name, number in (("x", 1), ("y", 2)):
            (tmp_path / name).mkdir()
            tifffile.imwrite(tmp_path / name / "a.tif", iio.imread(nuclei(number)[0])[:96, :96])
            os.utime(tmp_path / name / "a.tif", ns=(1, 1))
        assert len({(tmp_path / name / "a.tif").stat().st_size for name in "xy"}) == 1
        return tmp_path / "x" / "a.tif", tmp_path / "y" / "a.tif"

    @pytest.mark.parametrize("again", [(), ("--again",)], ids=["", "again"])
    def test_a_mask_of_another_image_is_neither_replaced_nor_taken_for_it(self, medseg, alike, tmp_path, again):
        out = tmp_path / "out"
        assert medseg("segment", alike[0], "-o", out).code == 0
        before = when_made(out)
        ran = medseg("segment", alike[1], "-o", out, "--json", *again)
        assert ran.code == 1
        assert [ran.json[name] for name in ("written", "skipped", "kept")] == [[], [], []]
        assert ran.json["failed"][0]["image"] == str(alike[1])
        assert "'a.tif' in " in ran.json["failed"][0]["reason"]
        assert "is the mask of another image and stays" in ran.json["failed"][0]["reason"]
        assert when_made(out) == before

    def test_images_that_were_moved_are_still_the_same(self, medseg, alike, tmp_path):
        medseg("segment", tmp_path / "x", "-o", tmp_path / "out")
        (tmp_path / "x").rename(tmp_path / "moved")
        said = medseg("segment", tmp_path / "moved", "-o", tmp_path / "out", "--json").json
        assert len(said["skipped"]) == 1
        os.utime(tmp_path / "moved" / "a.tif", ns=(2, 2))
        said = medseg("segment", tmp_path / "moved", "-o", tmp_path / "out", "--json").json
        assert len(said["written"]) == 1

    def test_the_place_of_a_mask_that_goes_to_disk_is_nobody_elses(self, tmp_path):
        images = [tmp_path / name for name in ("a.tif", "a.png", "a.nii.gz", "a.ome.zarr")]
        targets, alike = targets_for(images, tmp_path / "out")
        assert alike == []
        assert {on_disk(target).name for target in targets.values()} == {
            "a.tif.ome.zarr",
            "a.png.ome.zarr",
            "a.nii.gz.ome.zarr",
            "a.ome.zarr",
        }
        targets, alike = targets_for([*images, tmp_path / "a.tif.ome.zarr"], tmp_path / "out")
        assert [Path(entry["image"]).name for entry in alike] == ["a.tif", "a.tif.ome.zarr"]
        assert "would be 'a.tif.ome.zarr'" in alike[0]["reason"]
        assert targets.keys() == set(images[1:])
        with pytest.raises(TargetError, match="would replace the image"):
            targets_for([tmp_path / "a.ome.zarr"], tmp_path)


class TestDicomFolders:
    def test_radiographs_are_images_of_their_own(self, tmp_path):
        for number in range(3):
            plane = numbered(40 + number, 50)
            save(image(plane, Modality="CR", PatientID=f"P{number}"), tmp_path / "xrays" / f"{number}.dcm")
        images, failed = images_in([tmp_path / "xrays"])
        assert [path.name for path in images] == ["0.dcm", "1.dcm", "2.dcm"]
        assert failed == []

    def test_two_series_are_refused_and_do_not_stop_other_folders(self, tmp_path):
        mixed, single = tmp_path / "images" / "mixed", tmp_path / "images" / "single"
        for name, slices in (("a", 4), ("b", 3)):
            for file in series(mixed / name, numbered(slices, 20, 30), SeriesDescription="Mustermann"):
                file.rename(mixed / f"{name}{file.name}")
        series(single, numbered(3, 20, 30))
        images, (failed,) = images_in([tmp_path / "images"])
        assert images == [single]
        assert failed["image"] == str(mixed)
        assert failed["reason"].startswith("'mixed' holds 2 images: CT, ")
        assert "3 slices of 30 x 20" in failed["reason"]
        assert "4 slices of 30 x 20" in failed["reason"]
        assert "put each into a folder of its own" in failed["reason"]
        assert "Mustermann" not in failed["reason"]

    def test_a_scout_beside_a_series_does_not_count(self, tmp_path):
        series(tmp_path / "scan", numbered(3, 20, 30))
        scout = image(numbered(40, 30), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
        save(scout, tmp_path / "scan" / "scout.dcm")
        assert images_in([tmp_path / "scan"]) == ([tmp_path / "scan"], [])


class TestKinds:
    def test_a_volume_gives_a_mask_in_its_own_format_and_place(self, medseg, volume, tmp_path):
        ran = medseg("segment", volume, "-o", tmp_path / "out", "--answer", "mask", "--json")
        assert ran.code == 0, ran.err
        mask = nibabel.load(tmp_path / "out" / "ball.nii.gz")
        image = nibabel.load(volume)
        assert mask.shape == image.shape
        assert np.allclose(mask.affine, image.affine, atol=1e-4)
        found, truth = np.asarray(mask.dataobj) > 0, np.asarray(image.dataobj) > 100
        assert 2 * np.sum(found & truth) / (found.sum() + truth.sum()) > 0.7

    def test_folders_that_are_one_image_are_one(self, medseg, tmp_path):
        import pydicom
        from pydicom.data import get_testdata_file

        series = tmp_path / "images" / "scan"
        series.mkdir(parents=True)
        for number in range(2):
            slice_ = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
            slice_.SOPInstanceUID = f"{slice_.SOPInstanceUID}.{number}"
            slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID
            slice_.InstanceNumber = number + 1
            slice_.ImagePositionPatient = [*slice_.ImagePositionPatient[:2], 5.0 * number]
            slice_.save_as(series / f"IM{number}")
        store = LabelStore.create(tmp_path / "images" / "cells.ome.zarr", (80, 90), "YX", (0.5, 0.5), "um")
        store.write((), np.random.default_rng(0).integers(0, 200, (80, 90)).astype(np.uint16))

        ran = medseg("segment", tmp_path / "images", "-o", tmp_path / "out", "--json")

        assert ran.code == 0, ran.err
        assert sorted(Path(entry["mask"]).name for entry in ran.json["written"]) == ["cells.ome.zarr", "scan.nii.gz"]
        assert nibabel.load(tmp_path / "out" / "scan.nii.gz").shape == (128, 128, 2)
        assert LabelStore.open(tmp_path / "out" / "cells.ome.zarr").shape == (80, 90)


@pytest.mark.usefixtures("engine_environment")
class TestLarge:
    @pytest.fixture(autouse=True)
    def small_memory(self, monkeypatch):
        monkeypatch.setattr(sys.modules["napari_medseg.cli.segment"], "LARGE", 10_000)

    def ran(self, *arguments):
        ran = CliRunner().invoke(app, ["segment", *map(str, arguments), "--json"])
        return ran.exit_code, json.loads(ran.stdout.splitlines()[-1])

    def test_the_mask_of_a_large_picture_goes_to_disk(self, nuclei, tmp_path):
        image, _ = nuclei(1)
        tifffile.imwrite(tmp_path / "slide.tif", iio.imread(image))
        code, said = self.ran(tmp_path / "slide.tif", image, "-o", tmp_path / "out")
        assert code == 0, said
        store = LabelStore.open(tmp_path / "out" / "slide.tif.ome.zarr")
        assert [entry["labels"] for entry in said["written"]] == [store.read().max()] * 2
        assert self.ran(tmp_path / "slide.tif", "-o", tmp_path / "out")[1]["skipped"]
        said = self.ran(tmp_path / "slide.tif", "-o", tmp_path / "out", "--answer", "mask")[1]
        assert len(said["written"]) == 1  # nobody corrected it
        store = LabelStore.open(tmp_path / "out" / "slide.tif.ome.zarr")
        store.write(np.s_[0:5, 0:5], np.full((5, 5), 9, np.uint8))
        said = self.ran(tmp_path / "slide.tif", "-o", tmp_path / "out")[1]
        assert [Path(entry["mask"]).name for entry in said["kept"]] == ["slide.tif.ome.zarr"]
        assert store.read()[0, 0] == 9

    def test_images_that_differ_in_their_ending_have_a_mask_each(self, nuclei, tmp_path):
        images = tmp_path / "images"
        images.mkdir()
        tifffile.imwrite(images / "a.tif", iio.imread(nuclei(1)[0]))
        nuclei(2)[0].rename(images / "a.png")
        code, said = self.ran(images, "-o", tmp_path / "out")
        assert code == 0, said
        assert sorted(when_made(tmp_path / "out")) == ["a.png.ome.zarr", "a.tif.ome.zarr"]
        for entry in said["written"]:
            assert LabelStore.open(entry["mask"]).shape == iio.imread(entry["image"]).shape
            assert Path(entry["mask"]).name == f"{Path(entry['image']).name}.ome.zarr"
        before = when_made(tmp_path / "out")
        assert len(self.ran(images, "-o", tmp_path / "out")[1]["skipped"]) == 2
        assert when_made(tmp_path / "out") == before

    def test_the_unfinished_mask_of_another_image_of_that_name_stays(self, nuclei, tmp_path):
        for name, number in (("x", 1), ("y", 2)):
            (tmp_path / name).mkdir()
            tifffile.imwrite(tmp_path / name / "a.tif", iio.imread(nuclei(number)[0]))
        out = tmp_path / "out"
        out.mkdir()
        Record.of(out, chosen_model("nuclei"), instances=True).begin(tmp_path / "x" / "a.tif", out / "a.tif.ome.zarr")
        Partial.begin(out / "a.tif.ome.zarr", "hours of work").reached(0, 512)
        before = (out / "a.tif.ome.zarr.partial" / "progress.json").read_bytes()

        code, said = self.ran(tmp_path / "y", "-o", out)
        assert code == 1
        assert "unfinished mask of another image of this name" in said["failed"][0]["reason"]
        assert (out / "a.tif.ome.zarr.partial" / "progress.json").read_bytes() == before
        assert self.ran(tmp_path / "x", "-o", out)[0] == 0
        assert sorted(when_made(out)) == ["a.tif.ome.zarr"]
        assert str(tmp_path) not in (out / NAME).read_text()

    def test_the_mask_of_another_image_of_that_name_stays(self, nuclei, tmp_path):
        for name, number in (("x", 1), ("y", 2)):
            (tmp_path / name).mkdir()
            tifffile.imwrite(tmp_path / name / "a.tif", iio.imread(nuclei(number)[0]))
        self.ran(tmp_path / "x", "-o", tmp_path / "out")
        mask = LabelStore.open(tmp_path / "out" / "a.tif.ome.zarr").read()
        code, said = self.ran(tmp_path / "y", "-o", tmp_path / "out", "--again")
        assert code == 1
        assert "is the mask of another image and stays" in said["failed"][0]["reason"]
        assert np.array_equal(LabelStore.open(tmp_path / "out" / "a.tif.ome.zarr").read(), mask)

    def test_that_of_a_large_volume_keeps_its_format(self, volume, tmp_path):
        code, said = self.ran(volume, "-o", tmp_path / "out", "--answer", "mask")
        assert code == 0, said
        assert sorted(when_made(tmp_path / "out")) == ["ball.nii.gz"]
        assert np.allclose(
            nibabel.load(tmp_path / "out" / "ball.nii.gz").affine, nibabel.load(volume).affine, atol=1e-4
        )
        assert read_mask(tmp_path / "out" / "ball.nii.gz").max() == 1
