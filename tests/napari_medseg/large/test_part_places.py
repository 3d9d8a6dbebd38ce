"""A part of an image lies in the patient, and begins in time, where it is cut out of the image."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from napari.layers import Image

from napari_medseg.image_layers import mask_layer_settings, medical_image
from napari_medseg.large.layers import part_images
from napari_medseg.models.formats import open_image
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.writing import write_mask
from napari_medseg.opening.layers import made_layers
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.project_export import export_project

SERIES = np.arange(1, 721, dtype=np.int16).reshape(4, 5, 6, 6)  # T, Z, Y, X
TURNED = np.array([[-0.6, 0.0, -1.6, 12], [0.8, 0, -1.2, -7], [0, 0.9, 0, 30], [0, 0, 0, 1]])
BOX = (slice(1, 4), slice(2, 5), slice(1, 5), slice(0, 4))


def nifti(path: Path) -> Path:
    image = nibabel.Nifti1Image(SERIES.T, TURNED)
    image.header.set_xyzt_units("mm", "msec")
    image.header["toffset"], image.header["pixdim"][4] = 70, 250
    nibabel.save(image, path / "series.nii")
    return path / "series.nii"


def nrrd(path: Path) -> Path:
    image = sitk.GetImageFromArray(SERIES, isVector=False)
    image.SetSpacing((1.0, 2.0, 3.0, 0.5))
    image.SetOrigin((10.0, -20.0, 30.0, 7.0))
    sitk.WriteImage(image, str(path / "series.nrrd"))
    return path / "series.nrrd"


def part_of(file: Path, box: tuple[slice, ...] = BOX) -> MedicalImage:
    (layer,) = made_layers(open_image(file))
    (part,) = part_images([layer], [np.asarray(layer.data[box])], box)
    return medical_image(part)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii"])
def test_a_mask_of_some_frames_begins_with_the_first_of_them(tmp_path: Path, ending: str) -> None:
    image = part_of(nrrd(tmp_path))
    write_mask(tmp_path / f"mask{ending}", image.data, image)
    if ending == ".nii":
        assert nibabel.load(tmp_path / "mask.nii").header["toffset"] == pytest.approx(7.5)
    else:
        written = sitk.ReadImage(str(tmp_path / f"mask{ending}"))
        assert (written.GetOrigin()[3], written.GetSpacing()[3]) == pytest.approx((7.5, 0.5))


@pytest.mark.parametrize("rest", [BOX[1:], (slice(0, 5), slice(0, 6), slice(0, 6))])
def test_so_does_one_of_a_nifti_whether_its_planes_are_whole_or_not(tmp_path: Path, rest: tuple[slice, ...]) -> None:
    image = part_of(nifti(tmp_path), (BOX[0], *rest))
    write_mask(tmp_path / "mask.nii", image.data, image)
    header = nibabel.load(tmp_path / "mask.nii").header
    in_s = {"msec": 1e-3, "sec": 1.0}[header.get_xyzt_units()[1]]
    assert in_s * np.array([header["toffset"], header["pixdim"][4]]) == pytest.approx([0.32, 0.25])
    write_mask(tmp_path / "mask.nrrd", image.data, image)
    assert sitk.ReadImage(str(tmp_path / "mask.nrrd")).GetOrigin()[3] == pytest.approx(0.32)


def test_frames_that_are_cut_out_by_hand_begin_where_they_are_shown(tmp_path: Path) -> None:
    (layer,) = made_layers(open_image(nrrd(tmp_path)))
    settings = mask_layer_settings(layer) | {"metadata": layer.metadata}
    whole = Image(layer.data, **settings)
    settings["translate"] = settings["translate"] + np.array([2 * layer.scale[0], 0, 0, 0])
    moved, cut = Image(layer.data, **settings), Image(layer.data[2:], **settings)
    assert [medical_image(one).header.begin for one in (whole, moved, cut)] == [7.0, 7.0, 8.0]


def test_a_part_that_is_accepted_leaves_the_project_at_its_place(tmp_path: Path) -> None:
    """Every voxel has a number of its own, by which it is found again in the file that was opened."""
    source = nibabel.load(nifti(tmp_path))
    image = part_of(tmp_path / "series.nii")
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.add(image, image.data.astype(np.uint16))
        done = export_project(ledger, tmp_path / "out", images=True)
    for written in (done.masks["case-0001"], done.images["case-0001"]):
        part = nibabel.load(written)
        numbers = np.asarray(part.dataobj)
        assert sorted(numbers.ravel()) == sorted(image.data.ravel())
        for index in np.ndindex(*numbers.shape[:3]):
            (*there, _), *_ = np.argwhere(source.get_fdata() == numbers[(*index, 0)])
            np.testing.assert_allclose(part.affine @ (*index, 1), TURNED @ (*there, 1), atol=1e-4)
