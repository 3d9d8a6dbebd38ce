import gzip
import os
import struct
import tempfile
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nibabel.testing import data_path

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import OpenedImage, open_image
from napari_medseg.models.reading import read_image, read_mask

SAMPLES = Path(data_path)

UPRIGHT = np.diag([-0.5, -0.7, 3.0, 1.0])
"""Affine, to (R, A, S), of an axial volume that radiologists need not turn."""

OFFSETS = {"dim": 40, "datatype": 70, "pixdim": 76, "vox_offset": 108, "qform_code": 252, "sform_code": 254}
"""Of fields in the header of NIfTI-1, in bytes."""


def voxels(*shape: int, dtype: str = "i2") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def nifti(
    path: Path, data: np.ndarray, affine: np.ndarray | None = UPRIGHT, unit: str = "mm", **fields: object
) -> Path:
    image = nibabel.Nifti1Image(data, affine)
    image.header.set_xyzt_units(unit, "sec")
    if affine is not None:
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
    for name, value in fields.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def patched(path: Path, name: str, form: str, *values: float) -> Path:
    """Numbers of the header of a plain file, replaced."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<" + form, content, OFFSETS[name], *values)
    path.write_bytes(content)
    return path


def told(opened: OpenedImage) -> str:
    return " ".join(opened.notices)


# What is in the file


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_voxels_come_with_their_spacing_in_the_order_of_planes_rows_and_columns(tmp_path: Path, ending: str) -> None:
    data = voxels(6, 5, 4)
    opened = open_image(nifti(tmp_path / f"heart{ending}", data))
    image = opened.image
    np.testing.assert_array_equal(np.asarray(image.data), data.T)
    assert image.data.dtype == "i2"
    assert (image.axes, image.unit, image.name) == ("ZYX", "mm", "heart")
    assert image.spacing == pytest.approx((3, 0.7, 0.5))
    assert not opened.notices


def test_a_plain_file_is_read_as_it_is_needed_and_a_gzipped_one_whole(tmp_path: Path) -> None:
    data = voxels(600, 500, 40)
    plain = open_image(nifti(tmp_path / "a.nii", data)).image
    assert plain.lazy
    assert not open_image(nifti(tmp_path / "b.nii.gz", data[:9, :9])).image.lazy

    tracemalloc.start()
    try:
        plane = np.asarray(plain.data[20])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(plane, data[..., 20].T)
    assert peak < data.nbytes


def test_the_array_is_turned_as_radiologists_see_it(tmp_path: Path) -> None:
    data = voxels(6, 5, 4)
    image = read_image(nifti(tmp_path / "a.nii.gz", data, np.diag([0.5, 0.7, 3.0, 1.0])))  # rows towards the front
    np.testing.assert_array_equal(image.data, data.T[:, ::-1, ::-1])
    assert image.geometry is not None
    assert image.geometry.flipped == (False, True, True)


@pytest.mark.parametrize("name", ["anatomical.nii", "standard.nii.gz", "reoriented_anat_moved.nii"])
def test_sample_files_lie_where_nibabel_says(name: str) -> None:
    image = read_image(SAMPLES / name)
    reference = nibabel.load(SAMPLES / name)
    assert image.geometry is not None
    shape = image.data.shape
    np.testing.assert_allclose(image.geometry.stored(shape).ras_affine, reference.affine, atol=1e-6)
    for index in [(0, 0, 0), (shape[0] - 1, 1, 2), tuple(n // 2 for n in shape)]:
        lps = image.geometry.affine @ (*index, 1)
        at = np.linalg.inv(reference.affine) @ (np.diag([-1, -1, 1, 1]) @ lps)
        x, y, z = np.rint(at[:3]).astype(int)
        assert image.data[index] == reference.get_fdata()[x, y, z]


def test_a_fourth_axis_is_time_with_its_step(tmp_path: Path) -> None:
    opened = open_image(SAMPLES / "functional.nii")
    assert opened.image.axes == "TZYX"
    assert opened.image.mask_shape == (20, 3, 21, 17)
    assert opened.image.frame_seconds == 2.0
    np.testing.assert_allclose(
        np.asarray(opened.image.data)[:, :, ::-1], nibabel.load(SAMPLES / "functional.nii").get_fdata().T, rtol=1e-6
    )


def test_a_fifth_axis_is_channels_and_axes_of_length_one_are_none(tmp_path: Path) -> None:
    data = voxels(6, 5, 4, 1, 3, dtype="f4")
    image = read_image(nifti(tmp_path / "a.nii", data))
    assert image.axes == "ZYXC"
    np.testing.assert_array_equal(image.data, np.moveaxis(data[:, :, :, 0], -1, 0).transpose(3, 2, 1, 0))
    assert read_image(nifti(tmp_path / "b.nii", data[..., :1, 0, 0])).axes == "YX"
    assert read_image(nifti(tmp_path / "c.nii", data[..., 0, 0, 0])).axes == "YX"


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_colours_are_channels(tmp_path: Path, ending: str) -> None:
    colours = voxels(6, 5, 4, 3, dtype="u1")
    stored = colours.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    opened = open_image(nifti(tmp_path / f"a{ending}", stored))
    assert opened.coloured
    np.testing.assert_array_equal(np.asarray(opened.image.data), colours.transpose(2, 1, 0, 3))


def test_slope_and_intercept_are_applied_and_whole_numbers_stay_whole_without(tmp_path: Path) -> None:
    data = voxels(6, 5, 4)
    path = nifti(tmp_path / "a.nii", data)
    for at, value in ((112, 2.0), (116, -1024.0)):  # scl_slope, scl_inter
        content = bytearray(path.read_bytes())
        struct.pack_into("<f", content, at, value)
        path.write_bytes(content)
    image = read_image(path)
    assert image.data.dtype == "f4"
    np.testing.assert_array_equal(image.data, 2.0 * data.T - 1024)


def test_either_byte_order_and_nifti_2_are_read(tmp_path: Path) -> None:
    data = voxels(6, 5, 4)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(data.astype(">i2"), UPRIGHT, header), tmp_path / "big.nii")
    nibabel.save(nibabel.Nifti2Image(data, UPRIGHT), tmp_path / "two.nii.gz")
    for name in ("big.nii", "two.nii.gz"):
        image = read_image(tmp_path / name)
        np.testing.assert_array_equal(image.data, data.T)
        assert image.data.dtype == np.dtype("=i2")
        assert image.spacing == pytest.approx((3, 0.7, 0.5))


def test_the_intensities_to_be_shown_come_along(tmp_path: Path) -> None:
    assert open_image(nifti(tmp_path / "a.nii", voxels(6, 5, 4), cal_min=-160, cal_max=240)).window == (-160, 240)
    assert open_image(nifti(tmp_path / "b.nii", voxels(6, 5, 4))).window is None


def test_a_mask_is_read_with_its_labels(tmp_path: Path) -> None:
    labels = voxels(6, 5, 4) % 14
    np.testing.assert_array_equal(read_mask(nifti(tmp_path / "a.nii.gz", labels)), labels.T)
    np.testing.assert_array_equal(read_mask(nifti(tmp_path / "b.nii.gz", labels.astype("f8"))), labels.T)


def test_labels_that_were_saved_as_real_numbers_with_a_slope_are_whole_and_probabilities_are_none(
    tmp_path: Path,
) -> None:
    labels = voxels(6, 5, 4) % 14
    for values in (labels, labels / 14):
        image = nibabel.Nifti1Image(values.astype("f4"), UPRIGHT)
        image.set_data_dtype("i2")
        nibabel.save(image, tmp_path / "a.nii")
        if values is labels:
            assert not np.array_equal(read_image(tmp_path / "a.nii").data, labels.T)
            np.testing.assert_array_equal(read_mask(tmp_path / "a.nii"), labels.T)
    with pytest.raises(ImageError, match="not whole numbers"):
        read_mask(tmp_path / "a.nii")


# Where it lies


def test_voxel_sizes_below_0_are_taken_as_their_lengths(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", voxels(6, 5, 4))
    patched(patched(path, "sform_code", "h", 0), "pixdim", "4f", -1, -0.5, -0.7, -3)
    image = read_image(path)
    assert image.geometry is not None
    reference = nibabel.load(path).affine
    np.testing.assert_allclose(image.geometry.stored((4, 5, 6)).ras_affine, reference, atol=1e-6)


@pytest.mark.parametrize("thickness", [0.0, np.nan])
def test_one_slice_without_a_thickness_has_the_size_of_its_pixels(tmp_path: Path, thickness: float) -> None:
    path = nifti(tmp_path / "a.nii", voxels(6, 5, 1), None)
    patched(path, "pixdim", "4f", 1, 0.5, 0.7, thickness)
    image = read_image(path)
    assert (image.spacing, image.unit) == (pytest.approx((0.7, 0.5)), "mm")


@pytest.mark.parametrize(("unit", "in_mm"), [("mm", 1), ("micron", 1e-3), ("meter", 1e3), ("unknown", 1)])
def test_a_place_is_in_millimetres_whatever_the_unit_of_the_file(tmp_path: Path, unit: str, in_mm: float) -> None:
    image = read_image(nifti(tmp_path / "a.nii", voxels(6, 5, 4), unit=unit))
    assert image.unit == "mm"
    assert image.spacing == pytest.approx((3 * in_mm, 0.7 * in_mm, 0.5 * in_mm))


def test_sform_and_qform_that_differ_are_reported_and_the_sform_is_used(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(voxels(6, 5, 4), UPRIGHT)
    shifted = UPRIGHT.copy()
    shifted[2, 3] = 12.5
    image.set_sform(UPRIGHT, 1)
    image.set_qform(shifted, 1)
    nibabel.save(image, tmp_path / "a.nii")
    opened = open_image(tmp_path / "a.nii")
    assert opened.image.geometry is not None
    assert opened.image.geometry.origin[2] == 0
    assert "sform and qform are 12.5 mm apart" in told(opened)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_broken_affine_is_told_and_the_voxel_sizes_are_used(tmp_path: Path, value: float) -> None:
    path = nifti(tmp_path / "a.nii", voxels(6, 5, 4))
    content = bytearray(path.read_bytes())
    struct.pack_into("<12f", content, 280, *[value] * 12)  # srow_x, srow_y, srow_z
    path.write_bytes(content)
    patched(path, "qform_code", "h", 0)
    opened = open_image(path)
    assert opened.image.geometry is None
    assert opened.image.spacing == pytest.approx((3, 0.7, 0.5))
    assert opened.image.unit == "mm"
    assert "sform is broken" in told(opened)
    assert "cannot be told; voxels are 0.5 x 0.7 x 3 mm" in told(opened)


def test_a_broken_sform_gives_way_to_a_good_qform(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", voxels(6, 5, 4))
    content = bytearray(path.read_bytes())
    struct.pack_into("<12f", content, 280, *[0.0] * 12)
    path.write_bytes(content)
    opened = open_image(path)
    assert opened.image.geometry is not None
    assert "sform is broken" in told(opened)


def test_a_file_without_a_place_and_without_voxel_sizes_is_opened_in_pixels(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", voxels(6, 5, 4), None)
    patched(path, "pixdim", "4f", 1, np.nan, 0, 2)
    opened = open_image(path)
    assert (opened.image.spacing, opened.image.unit) == ((1, 1, 1), "pixel")
    assert "lengths are in pixels" in told(opened)


def test_an_oblique_volume_keeps_its_grid_and_says_so() -> None:
    opened = open_image(SAMPLES / "example4d.nii.gz")
    assert "obliquely in the patient, by 9.3 degrees" in told(opened)
    assert opened.image.data.shape == (2, 24, 96, 128)


def test_a_sheared_volume_is_refused_with_what_to_do(tmp_path: Path) -> None:
    sheared = UPRIGHT.copy()
    sheared[1, 2] = 3 * np.tan(np.radians(15))
    path = tmp_path / "tilted.nii"
    image = nibabel.Nifti1Image(voxels(6, 5, 4), sheared)
    image.set_sform(sheared, 1)
    image.set_qform(None, 0)
    nibabel.save(image, path)
    with pytest.raises(ImageError, match=r"'tilted.nii' is sheared: two of its axes are 75.0 degrees apart.*Resample"):
        open_image(path)


# Bad files


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_that_claims_more_than_the_file_holds_takes_no_memory(tmp_path: Path, ending: str) -> None:
    path = patched(nifti(tmp_path / "lies.nii", voxels(6, 5, 4)), "dim", "4h", 3, 30000, 30000, 30000)
    if ending == ".nii.gz":
        path = tmp_path / "lies.nii.gz"
        path.write_bytes(gzip.compress((tmp_path / "lies.nii").read_bytes()))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="said to hold 30000 x 30000 x 30000 x 1 x 1 voxels, more than its"):
            open_image(path)
        assert tracemalloc.get_traced_memory()[1] < 1e7
    finally:
        tracemalloc.stop()


def test_a_gzipped_file_that_holds_less_than_it_could_takes_only_that_memory(tmp_path: Path) -> None:
    path = patched(nifti(tmp_path / "lies.nii", voxels(6, 5, 4)), "dim", "4h", 3, 3000, 3000, 30)
    (tmp_path / "lies.nii.gz").write_bytes(gzip.compress(path.read_bytes() + os.urandom(600_000)))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=r"incomplete: .* of 540000000 bytes of voxels are there"):
            open_image(tmp_path / "lies.nii.gz")
        assert tracemalloc.get_traced_memory()[1] < 3e7
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, ending: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 9999, (30, 20, 10)).astype("i2")
    path = nifti(tmp_path / f"cut{ending}", noise)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(ImageError, match=r"'cut.nii.*(incomplete|damaged|ends)"):
        open_image(path)


def test_a_damaged_byte_in_a_gzipped_file_is_found(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 9999, (30, 20, 10)).astype("i2")
    path = nifti(tmp_path / "a.nii.gz", noise)
    content = bytearray(path.read_bytes())
    content[-5] ^= 255  # of the checksum
    path.write_bytes(content)
    with pytest.raises(ImageError, match="damaged or incomplete"):
        open_image(path)


def test_a_plain_file_that_is_cut_short_later_is_an_error_and_no_crash(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", voxels(60, 50, 40))
    image = open_image(path).image
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ImageError, match="has become shorter"):
        image.loaded()


def test_a_header_that_makes_one_file_millions_of_tiny_frames_takes_few_chunks(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", voxels(1000, 1000, 4, dtype="u1"))
    image = open_image(patched(path, "dim", "6h", 5, 1, 1, 1, 2000, 2000)).image
    assert image.axes == "TYXC"
    assert np.prod(image.data.numblocks) < 10


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
@example([(3, 128), (111, 191)], False)
def test_whatever_stands_in_the_header_there_is_an_image_or_a_sentence(
    changes: list[tuple[int, int]], packed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = nifti(Path(folder) / "a.nii", voxels(6, 5, 4))
        content = bytearray(path.read_bytes())
        for at, value in changes:
            content[at] = value
        path.write_bytes(gzip.compress(content) if packed else content)
        try:
            image = read_image(path)
        except ImageError:
            return
        assert image.data.nbytes < 1e5


@pytest.mark.parametrize(
    ("field", "form", "values", "sentence"),
    [
        ("dim", "4h", (3, 6, 0, 4), "has no voxels: it is said to be 6 x 0 x 4"),
        ("dim", "4h", (3, 6, -5, 4), "has no voxels"),
        ("dim", "2h", (1, 120), "two to five"),
        ("dim", "8h", (7, 2, 2, 2, 2, 2, 2, 1), "two to five"),
        ("datatype", "h", (32,), "complex numbers"),
        ("datatype", "h", (9999,), r"code 9999"),
        ("datatype", "h", (1536,), r"code 1536"),
    ],
    ids=["a zero", "negative", "one axis", "six axes", "complex", "unknown type", "128 bits"],
)
def test_headers_that_make_no_image_are_refused(
    tmp_path: Path, field: str, form: str, values: tuple[int, ...], sentence: str
) -> None:
    path = patched(nifti(tmp_path / "a.nii", voxels(6, 5, 4)), field, form, *values)
    with pytest.raises(ImageError, match=sentence):
        open_image(path)


def test_a_pair_of_files_is_refused_with_what_to_do() -> None:
    with pytest.raises(ImageError, match=r"header of a pair.*Save it as one file"):
        open_image(SAMPLES / "nifti1.hdr")


def test_names_with_spaces_and_other_letters_are_opened(tmp_path: Path) -> None:
    folder = tmp_path / "Übung mit Leerzeichen"
    folder.mkdir()
    assert read_image(nifti(folder / "härt 患者.nii.gz", voxels(6, 5, 4))).name == "härt 患者"
