import csv
import json
import shutil

import nibabel
import numpy as np
import pydicom
import pydicom.data
import pytest

from napari_medseg.models.reading import read_mask

CT = pydicom.data.get_testdata_file("CT_small.dcm")


def test_a_mask_becomes_outlines_and_measurements(medseg, nuclei, tmp_path):
    image, mask = nuclei(1)
    ran = medseg("export", mask, "--image", image, "-o", tmp_path / "nuclei.coco.json", "--json")
    assert ran.code == 0, ran.err
    count = len(np.unique(read_mask(mask))) - 1
    assert ran.json == {"written": str(tmp_path / "nuclei.coco.json"), "format": "coco", "labels": count}
    coco = json.loads((tmp_path / "nuclei.coco.json").read_text())
    assert coco["images"][0]["file_name"] == image.name
    assert len(coco["annotations"]) == count

    ran = medseg("export", mask, "--image", image, "-o", tmp_path / "nuclei.csv")
    assert ran.code == 0, ran.err
    assert f"{count} labels written" in ran.out
    assert len(list(csv.DictReader((tmp_path / "nuclei.csv").open()))) == count


def test_a_nifti_mask_of_a_dicom_image_becomes_a_dicom_seg_with_names(medseg, tmp_path):
    mask = np.zeros((128, 128, 1), np.uint8)
    mask[30:60, 20:70] = 1
    source = tmp_path / "ct.dcm"
    shutil.copy(CT, source)
    nibabel.Nifti1Image(mask, None).to_filename(tmp_path / "mask.nii.gz")
    out = tmp_path / "out.dcm"
    ran = medseg(
        "export", tmp_path / "mask.nii.gz", "--image", source, "-o", out, "--label", "1=liver", "--label", "2=b"
    )
    assert ran.code == 0, ran.err
    assert "holds the patient's name" in ran.out
    found = pydicom.dcmread(out)
    assert [str(one.SegmentLabel) for one in found.SegmentSequence] == ["liver", "b"]
    assert found.PatientID == pydicom.dcmread(CT).PatientID


def test_an_older_file_is_replaced_only_when_asked(medseg, nuclei, tmp_path):
    image, mask = nuclei(1)
    out = tmp_path / "out.geojson"
    out.write_text("old")
    ran = medseg("export", mask, "--image", image, "-o", out)
    assert ran.code == 1
    assert "--replace" in ran.sentence
    assert out.read_text() == "old"
    assert medseg("export", mask, "--image", image, "-o", out, "--replace").code == 0
    assert json.loads(out.read_text())["type"] == "FeatureCollection"


def test_the_image_itself_is_not_replaced_even_when_asked(medseg, nuclei):
    image, mask = nuclei(1)
    before = image.read_bytes()
    ran = medseg("export", mask, "--image", image, "-o", image, "--replace")
    assert ran.code == 1
    assert "is the image itself, and stays" in ran.sentence
    assert image.read_bytes() == before


def test_a_mask_of_another_place_is_refused(medseg, tmp_path):
    affine = np.diag([0.661468, 0.661468, 5, 1.0])
    nibabel.Nifti1Image(np.ones((128, 128, 1), np.uint8), affine).to_filename(tmp_path / "moved.nii")
    image = nibabel.Nifti1Image(np.ones((128, 128, 1), np.int16), affine + np.eye(4, k=3) * 20)
    image.to_filename(tmp_path / "image.nii")
    ran = medseg("export", tmp_path / "moved.nii", "--image", tmp_path / "image.nii", "-o", tmp_path / "out.csv")
    assert ran.code == 1
    assert "20 mm (30 voxels) away from its image" in ran.sentence
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("out", "options", "reason"),
    [
        ("out.txt", [], "is none of"),
        ("out.csv", ["--label", "liver"], "names no label"),
        ("out.csv", ["--format", "x"], "no format"),
    ],
)
def test_wrong_use_is_told_apart_from_failure(medseg, nuclei, tmp_path, out, options, reason):
    image, mask = nuclei(1)
    ran = medseg("export", mask, "--image", image, "-o", tmp_path / out, *options)
    assert ran.code == 2
    assert reason in ran.err
