import gzip
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.testing import data_path

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image
from napari_medseg.models.formats.nifti_writing import nifti_bytes
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import read_image, read_mask


def written(path: Path, mask: np.ndarray, image: MedicalImage) -> Path:
    path.write_bytes(nifti_bytes(mask, image, "".join(path.suffixes)))
    return path


def plain(*shape: int, axes: str, spacing: tuple[float, ...], unit: str) -> MedicalImage:
    return MedicalImage(np.zeros(shape, "u1"), axes, spacing, unit)


@pytest.mark.parametrize("name", ["anatomical.nii", "example4d.nii.gz", "functional.nii", "standard.nii.gz"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_mask_lies_voxel_for_voxel_on_its_source(tmp_path: Path, name: str, ending: str) -> None:
    source = nibabel.load(Path(data_path) / name)
    image = read_image(Path(data_path) / name)
    limit = 1.01 * float(np.median(image.data))  # rounding decides nothing
    mask = (image.data > limit).astype("u1")
    back = nibabel.load(written(tmp_path / f"mask{ending}", mask, image))
    np.testing.assert_array_equal(np.asarray(back.dataobj), source.get_fdata() > limit)
    np.testing.assert_allclose(back.affine, source.affine, atol=1e-6)
    np.testing.assert_array_equal(read_mask(tmp_path / f"mask{ending}"), mask)


def test_sform_qform_units_and_intent_are_written(tmp_path: Path) -> None:
    image = replace(read_image(Path(data_path) / "anatomical.nii"), header=None)  # as of another format
    header = nibabel.load(written(tmp_path / "mask.nii", np.ones(image.mask_shape, "u1"), image)).header
    sform, qform = header.get_sform(coded=True), header.get_qform(coded=True)
    assert (sform[1], qform[1]) == (1, 1)
    np.testing.assert_allclose(sform[0], qform[0], atol=1e-5)
    assert header.get_xyzt_units()[0] == "mm"
    assert header.get_intent()[0] == "label"


@pytest.mark.parametrize(("largest", "dtype"), [(255, "u1"), (256, "u2"), (70_000, "i4")])
def test_labels_take_the_smallest_type_that_holds_them(tmp_path: Path, largest: int, dtype: str) -> None:
    mask = np.zeros((3, 4, 5), "u4")
    mask[0, 0, 0] = largest
    image = plain(3, 4, 5, axes="ZYX", spacing=(1, 1, 1), unit="mm")
    assert nibabel.load(written(tmp_path / "m.nii.gz", mask, image)).get_data_dtype() == dtype
    assert read_mask(tmp_path / "m.nii.gz").max() == largest


def test_labels_that_nifti_cannot_hold_are_refused() -> None:
    image = plain(2, 2, axes="YX", spacing=(1, 1), unit="mm")
    with pytest.raises(ImageError, match="Nothing was written"):
        nifti_bytes(np.full((2, 2), 2**31, "u4"), image, ".nii")


@pytest.mark.parametrize(("unit", "in_mm", "named"), [("mm", 1, "mm"), ("um", 1e-3, "mm"), ("pixel", 1, "unknown")])
def test_without_a_place_the_spacing_is_written_and_nothing_is_made_up(
    tmp_path: Path, unit: str, in_mm: float, named: str
) -> None:
    image = plain(3, 4, 5, axes="ZYX", spacing=(3, 2, 0.5), unit=unit)
    header = nibabel.load(written(tmp_path / "m.nii", np.ones((3, 4, 5), "u1"), image)).header
    assert header.get_zooms() == pytest.approx((0.5 * in_mm, 2 * in_mm, 3 * in_mm))
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    assert header.get_xyzt_units()[0] == named
    back = open_image(tmp_path / "m.nii").image
    assert back.geometry is None
    assert back.spacing == pytest.approx([in_mm * length for length in image.spacing])
    assert back.unit == ("pixel" if unit == "pixel" else "mm")


@pytest.mark.parametrize(
    ("axes", "shape", "stored"),
    [
        ("YX", (4, 5), (5, 4)),
        ("TYX", (3, 4, 5), (5, 4, 1, 3)),
        ("TZYX", (2, 3, 4, 5), (5, 4, 3, 2)),
        ("YXC", (4, 5, 3), (5, 4)),
    ],
)
def test_planes_and_series_read_back_as_they_were(
    tmp_path: Path, axes: str, shape: tuple[int, ...], stored: tuple[int, ...]
) -> None:
    spacing = (2.0, 1.0, 0.5)[-sum(axis in "ZYX" for axis in axes) :]
    image = plain(*shape, axes=axes, spacing=spacing, unit="mm")
    mask = np.arange(np.prod(image.mask_shape)).reshape(image.mask_shape)
    assert nibabel.load(written(tmp_path / "m.nii.gz", mask, image)).shape == stored
    back = read_image(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(back.data, mask)
    assert back.axes == axes.replace("C", "")
    assert back.spacing == pytest.approx(spacing)


def test_one_slice_keeps_its_place(tmp_path: Path) -> None:
    data = np.arange(20, dtype="i2").reshape(5, 4, 1)
    affine = np.array([[0, 0, 2.5, 11], [0.5, 0, 0, 22], [0, 0.7, 0, 33], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / "slice.nii")
    image = read_image(tmp_path / "slice.nii")
    back = nibabel.load(written(tmp_path / "m.nii", image.data, image))
    np.testing.assert_array_equal(np.asarray(back.dataobj), data)
    np.testing.assert_allclose(back.affine, affine, atol=1e-6)


def test_axes_too_long_for_nifti_1_are_written_as_nifti_2(tmp_path: Path) -> None:
    image = plain(2, 40_000, axes="YX", spacing=(1, 1), unit="mm")
    mask = np.arange(80_000).reshape(2, 40_000) % 3
    assert isinstance(nibabel.load(written(tmp_path / "m.nii", mask, image)), nibabel.Nifti2Image)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii"), mask)


def test_the_same_mask_is_the_same_file_and_gz_is_only_its_compression() -> None:
    image = plain(3, 4, 5, axes="ZYX", spacing=(1, 1, 1), unit="mm")
    mask = np.ones((3, 4, 5), "u1")
    packed = nifti_bytes(mask, image, ".nii.gz")
    assert packed == nifti_bytes(mask, image, ".nii.gz")
    assert gzip.decompress(packed) == nifti_bytes(mask, image, ".nii")


def test_a_mask_of_another_size_is_refused() -> None:
    image = plain(3, 4, 5, axes="ZYX", spacing=(1, 1, 1), unit="mm")
    with pytest.raises(ImageError, match="its image needs"):
        nifti_bytes(np.ones((3, 4, 6), "u1"), image, ".nii")


def test_simpleitk_finds_source_and_mask_on_one_grid(tmp_path: Path) -> None:
    source = Path(data_path) / "anatomical.nii"
    image = read_image(source)
    theirs = sitk.ReadImage(str(source))
    mask = sitk.ReadImage(str(written(tmp_path / "m.nii.gz", np.ones(image.mask_shape, "u1"), image)))
    assert mask.GetSize() == theirs.GetSize()
    np.testing.assert_allclose(mask.GetOrigin(), theirs.GetOrigin(), atol=1e-5)
    np.testing.assert_allclose(mask.GetDirection(), theirs.GetDirection(), atol=1e-6)
