import shutil
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import ImageError
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import read_image, read_mask
from napari_medseg.models.writing import mask_ending, write_mask

in_files = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
lengths = st.floats(1e-3, 1e3)


@st.composite
def images(draw: st.DrawFn, axes: tuple[str, ...] = ("YX", "ZYX", "TYX", "TZYX"), least: int = 1) -> MedicalImage:
    """Images whose sides differ in length and whose pixels all differ, with any spacing."""
    named = draw(st.sampled_from(axes))
    shape = draw(st.lists(st.integers(least, 7), min_size=len(named), max_size=len(named), unique=least > 1))
    colours = draw(st.sampled_from(["", "C"]))
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    if colours:
        data = np.stack([data] * 3, axis=-1)
    spacing = draw(st.tuples(*[lengths for axis in named if axis in "ZYX"]))
    return MedicalImage(data, named + colours, spacing, draw(st.sampled_from(["mm", "um", "nm", "cm", "m", "pixel"])))


def phantom_mask(image: MedicalImage) -> np.ndarray:
    """Labels that differ in every pixel, so that any flip, swap or shift shows."""
    return np.arange(np.prod(image.mask_shape), dtype=np.uint16).reshape(image.mask_shape) + 7


@in_files
@given(image=images())
def test_a_tiff_mask_reads_back_with_its_labels_axes_spacing_and_unit(tmp_path: Path, image: MedicalImage) -> None:
    mask = phantom_mask(image)
    write_mask(tmp_path / "mask.tif", mask, image)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif"), mask)
    again = read_image(tmp_path / "mask.tif")
    assert (again.axes, again.spacing, again.unit) == (image.axes.replace("C", ""), image.spacing, image.unit)


@in_files
@given(image=images(least=2))
def test_an_ome_mask_reads_back_with_its_labels_axes_spacing_and_unit(tmp_path: Path, image: MedicalImage) -> None:
    mask = phantom_mask(image)
    write_mask(tmp_path / "mask.ome.tif", mask, image)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.ome.tif"), mask)
    again = read_image(tmp_path / "mask.ome.tif")
    assert (again.axes, again.spacing, again.unit) == (image.axes.replace("C", ""), image.spacing, image.unit)


@in_files
@given(image=images(axes=("YX",)), top=st.sampled_from([1, 255, 256, 65535]))
def test_a_png_mask_reads_back_with_its_labels(tmp_path: Path, image: MedicalImage, top: int) -> None:
    mask = np.zeros(image.mask_shape, np.int64)
    mask[0, -1] = top
    write_mask(tmp_path / "mask.png", mask, image)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), mask)


@pytest.mark.parametrize("ending", [".tif", ".ome.tif"])
@pytest.mark.parametrize("planes", [3, 4])
def test_three_or_four_planes_are_no_colours(tmp_path: Path, ending: str, planes: int) -> None:
    image = MedicalImage(np.zeros((planes, 6, 5)), "ZYX", (3, 1, 1), "mm")
    write_mask(tmp_path / f"m{ending}", phantom_mask(image), image)
    with tifffile.TiffFile(tmp_path / f"m{ending}") as tif:
        assert len(tif.pages) == planes
        assert tif.pages.first.samplesperpixel == 1


@pytest.mark.parametrize("top", [255, 65535, 2**32 - 1])
@pytest.mark.parametrize("ending", [".tif", ".ome.tif"])
def test_labels_are_kept_in_the_smallest_type(tmp_path: Path, ending: str, top: int) -> None:
    image = MedicalImage(np.zeros((4, 5)), "YX")
    write_mask(tmp_path / f"m{ending}", np.full((4, 5), top), image)
    assert tifffile.imread(tmp_path / f"m{ending}").dtype == np.min_scalar_type(top)


def test_other_programs_find_the_pixel_size_in_the_tags(tmp_path: Path) -> None:
    image = MedicalImage(np.zeros((4, 5)), "YX", (2.0, 0.5), "mm")
    write_mask(tmp_path / "m.tif", np.zeros((4, 5), int), image)
    with tifffile.TiffFile(tmp_path / "m.tif") as tif:
        page = tif.pages.first
        assert page.resolutionunit == tifffile.RESUNIT.CENTIMETER
        assert page.resolution == (20.0, 5.0)


@pytest.mark.parametrize(
    ("name", "shape", "top", "works"),
    [
        ("m.png", (3, 4, 5), 1, r"m\.tif"),
        ("m.png", (4, 5), 65536, r"m\.tif"),
        ("m.jpg", (4, 5), 1, r"m\.png"),
        ("m.bmp", (3, 4, 5), 1, r"m\.tif"),
        ("m", (4, 5), 1, r"m\.png"),
    ],
)
def test_a_format_that_cannot_hold_the_mask_is_refused_and_one_that_can_is_named(
    tmp_path: Path, name: str, shape: tuple[int, ...], top: int, works: str
) -> None:
    image = MedicalImage(np.zeros(shape), "ZYX"[-len(shape) :])
    with pytest.raises(ImageError, match=works):
        write_mask(tmp_path / name, np.full(shape, top), image)
    assert list(tmp_path.iterdir()) == []


def test_a_mask_of_another_image_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "m.tif"
    path.write_bytes(b"old")
    with pytest.raises(ImageError, match=r"\(5, 4\)"):
        write_mask(path, np.zeros((5, 4), int), MedicalImage(np.zeros((4, 5)), "YX"))
    assert path.read_bytes() == b"old"


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    image = MedicalImage(np.zeros((4, 5)), "YX")
    for label in (1, 2):
        write_mask(tmp_path / "new" / "m.png", np.full((4, 5), label), image)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["m.png"]
    assert (read_mask(tmp_path / "new" / "m.png") == 2).all()


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(WriteError, match="could not be written"):
        write_mask(tmp_path / "f" / "m.png", np.zeros((4, 5), int), MedicalImage(np.zeros((4, 5)), "YX"))


def test_a_png_says_that_it_loses_the_spacing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = MedicalImage(np.zeros((4, 5)), "YX", (2, 2), "mm")
    write_mask(tmp_path / "m.png", np.zeros((4, 5), int), image)
    assert "cannot hold the spacing" in caplog.text


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.png", ".png"),
        ("a.JPG", ".png"),
        ("a.jpeg", ".png"),
        ("a.tif", ".tif"),
        ("b/a.ome.TIFF", ".tif"),
        ("a.mp4", ".tif"),
        ("a.AVI", ".tif"),
        ("a.nii", ".nii.gz"),
        ("a.nii.gz", ".nii.gz"),
        ("a.DCM", ".nii.gz"),
        ("a.nrrd", ".nrrd"),
        ("a.nhdr", ".nrrd"),
        ("a.mha", ".mha"),
        ("a.mhd", ".mha"),
        ("a.ome.zarr", ".ome.zarr"),
        ("a.zarr", ".ome.zarr"),
        ("a", ".png"),
    ],
)
def test_a_mask_keeps_what_the_format_of_its_image_holds(name: str, ending: str) -> None:
    assert mask_ending(name) == ending


def test_what_a_file_is_counts_more_than_its_name(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.png", np.zeros((3, 4), np.uint8))
    assert mask_ending(tmp_path / "a.png") == ".tif"
    shutil.copy(pydicom.data.get_testdata_file("CT_small.dcm"), tmp_path / "IM0001")
    assert mask_ending(tmp_path / "IM0001") == ".nii.gz"
    assert mask_ending(tmp_path) == ".nii.gz"
