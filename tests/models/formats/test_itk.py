import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image
from napari_medseg.models.formats.itk_writing import itk_bytes
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import read_image, read_mask

ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")

CORONAL = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)
"""Directions, as columns, of rows, columns and slices of a volume whose slices are seen from the front."""


def voxels(*shape: int, dtype: str = "i2") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def saved(path: Path, data: np.ndarray, direction: np.ndarray | None = None, *, packed: bool = False) -> Path:
    """A file by SimpleITK, 0.5 x 0.7 x 3 mm, with its first voxel at (10, -20, 30)."""
    image = sitk.GetImageFromArray(data, isVector=False)
    dimension = image.GetDimension()
    image.SetSpacing([0.5, 0.7, 3.0, 1.0][:dimension])
    image.SetOrigin([10.0, -20.0, 30.0, 0.0][:dimension])
    if direction is not None:
        image.SetDirection(direction.flatten().tolist())
    sitk.WriteImage(image, str(path), packed)
    return path


def nrrd(path: Path, *lines: str, numbers: bytes = bytes(48)) -> Path:
    """An NRRD of 4 x 3 x 2 short numbers, with lines of one's own."""
    start = ("NRRD0004", "type: short", "dimension: 3", "sizes: 4 3 2", "endian: little")
    encoding = () if any(line.startswith("encoding") for line in lines) else ("encoding: raw",)
    path.write_bytes("\n".join((*start, *encoding, *lines)).encode() + b"\n\n" + numbers)
    return path


def meta(path: Path, *lines: str, numbers: bytes = bytes(48)) -> Path:
    """A MetaImage of 4 x 3 x 2 short numbers, with lines of one's own."""
    start = ("ObjectType = Image", "NDims = 3", "DimSize = 4 3 2", "ElementType = MET_SHORT")
    last = () if any(line.startswith("ElementDataFile") for line in lines) else ("ElementDataFile = LOCAL",)
    path.write_bytes("\n".join((*start, *lines, *last)).encode() + b"\n" + numbers)
    return path


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "gzip"])
def test_voxels_come_with_spacing_and_place(tmp_path: Path, ending: str, packed: bool) -> None:
    data = voxels(4, 5, 6)
    opened = open_image(saved(tmp_path / f"a{ending}", data, packed=packed))
    image = opened.image
    np.testing.assert_array_equal(image.data, data)
    assert (image.axes, image.unit, image.name, image.data.dtype) == ("ZYX", "mm", "a", "i2")
    assert image.spacing == pytest.approx((3, 0.7, 0.5))
    assert image.geometry is not None
    np.testing.assert_allclose(image.geometry.origin, (10, -20, 30))
    assert not opened.notices


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_array_is_turned_as_radiologists_see_it(tmp_path: Path, ending: str) -> None:
    data = voxels(4, 5, 6)
    image = read_image(saved(tmp_path / f"a{ending}", data, -CORONAL))
    np.testing.assert_array_equal(image.data, data[::-1, ::-1, ::-1])
    assert image.geometry is not None
    assert image.geometry.flipped == (True, True, True)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("shape", [(5, 6), (4, 5, 6), (3, 4, 5, 6)], ids=["YX", "ZYX", "TZYX"])
def test_a_mask_lies_on_the_grid_of_its_source(tmp_path: Path, ending: str, shape: tuple[int, ...]) -> None:
    data = voxels(*shape)
    direction = np.eye(len(shape))
    if len(shape) > 2:
        direction[:3, :3] = -CORONAL
    else:
        direction = np.array([[0.0, -1], [-1, 0]])
    source = saved(tmp_path / f"a{ending}", data, direction)
    image = read_image(source)
    (tmp_path / f"m{ending}").write_bytes(itk_bytes(image.data, image, ending))
    mask, theirs = sitk.ReadImage(str(tmp_path / f"m{ending}")), sitk.ReadImage(str(source))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), data)
    np.testing.assert_allclose(mask.GetOrigin(), theirs.GetOrigin())
    np.testing.assert_allclose(mask.GetSpacing(), theirs.GetSpacing())
    np.testing.assert_allclose(mask.GetDirection(), theirs.GetDirection())
    np.testing.assert_array_equal(read_mask(tmp_path / f"m{ending}"), image.data)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_a_mask_of_an_image_without_a_place_keeps_the_spacing(tmp_path: Path, ending: str) -> None:
    image = MedicalImage(np.zeros((3, 4, 5), "u1"), "ZYX", (200, 50, 25), "um")
    path = tmp_path / f"m{ending}"
    path.write_bytes(itk_bytes(np.ones((3, 4, 5), "u1"), image, ending))
    back = read_image(path)
    assert (back.spacing, back.unit) == (pytest.approx((0.2, 0.05, 0.025)), "mm")


@pytest.mark.parametrize("ending", ENDINGS)
def test_components_are_channels_and_three_bytes_are_colours(tmp_path: Path, ending: str) -> None:
    for name, dtype, channels, coloured in (("rgb", "u1", 3, True), ("flow", "f4", 2, False)):
        data = voxels(4, 5, 6, channels, dtype=dtype)
        sitk.WriteImage(sitk.GetImageFromArray(data, isVector=True), str(tmp_path / f"{name}{ending}"))
        opened = open_image(tmp_path / f"{name}{ending}")
        assert (opened.image.axes, opened.coloured) == ("ZYXC", coloured)
        np.testing.assert_array_equal(opened.image.data, data)


def test_place_and_unit_are_not_made_up(tmp_path: Path) -> None:
    bare = open_image(nrrd(tmp_path / "bare.nrrd"))
    assert (bare.image.geometry, bare.image.unit, bare.image.spacing) == (None, "pixel", (1, 1, 1))
    assert "not in the file; lengths are in pixels" in bare.notices[0]
    spaced = read_image(nrrd(tmp_path / "spaced.nrrd", "spacings: 1 2 3", 'units: "um" "um" "um"'))
    assert (spaced.geometry, spaced.unit, spaced.spacing) == (None, "um", (3, 2, 1))
    assert read_image(meta(tmp_path / "bare.mha")).unit == "pixel"
    meant_mm = read_image(meta(tmp_path / "spaced.mha", "ElementSpacing = 1 2 3"))
    assert (meant_mm.geometry, meant_mm.unit, meant_mm.spacing) == (None, "mm", (3, 2, 1))


def test_a_place_in_another_unit_is_brought_to_millimetres(tmp_path: Path) -> None:
    image = read_image(
        nrrd(
            tmp_path / "a.nrrd",
            "space: left-posterior-superior",
            "space directions: (500,0,0) (0,500,0) (0,0,2000)",
            "space origin: (1000,0,0)",
            'space units: "um" "um" "um"',
        )
    )
    assert (image.spacing, image.unit) == ((2, 0.5, 0.5), "mm")
    assert image.geometry is not None
    assert image.geometry.origin[0] == 1


# Bad files


@pytest.mark.parametrize(
    "place",
    [
        ("space: left-posterior-superior", "space directions: (0,0,0) (0,1,0) (0,0,1)"),
        ("space: left-posterior-superior", "space directions: (1,0,0) (0,1,0) (1,0,0)"),
        ("space: left-posterior-superior", "space directions: (nan,0,0) (0,1,0) (0,0,1)"),
        ("ElementSpacing = 0 2 3",),
        ("ElementSpacing = nan 2 3",),
        ("TransformMatrix = nan 0 0 0 1 0 0 0 1",),
        ("Offset = nan 2 3",),
    ],
    ids=lambda lines: lines[-1],
)
def test_a_broken_place_is_refused_with_what_to_do(tmp_path: Path, place: tuple[str, ...]) -> None:
    path = nrrd(tmp_path / "a.nrrd", *place) if ":" in place[0] else meta(tmp_path / "a.mha", *place)
    with pytest.raises(ImageError, match=r"header.*Export it again; its first lines are text"):
        open_image(path)


def test_a_sheared_volume_is_refused(tmp_path: Path) -> None:
    lines = ("space: left-posterior-superior", "space directions: (1,0,0) (0,1,0) (0,0.5,2)")
    with pytest.raises(ImageError, match="is sheared: two of its axes"):
        open_image(nrrd(tmp_path / "a.nrrd", *lines))


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "gzip"])
def test_a_truncated_file_is_refused(tmp_path: Path, ending: str, packed: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 9999, (10, 20, 30)).astype("i2")
    path = saved(tmp_path / f"cut{ending}", noise, packed=packed)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ImageError, match=r"'cut\..*incomplete"):
        open_image(path)


@pytest.mark.parametrize("form", ["nrrd", "nrrd gzip", "mha", "mha compressed"])
def test_a_header_that_claims_more_than_the_file_holds_takes_no_memory(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"lies.{form.split(maxsplit=1)[0]}"
    if form.startswith("nrrd"):
        nrrd(path, *(["encoding: gzip"] if "gzip" in form else []), numbers=gzip.compress(bytes(48)))
    else:
        meta(path, *(["CompressedData = True"] if "compressed" in form else []))
    content = path.read_bytes()
    path.write_bytes(content.replace(b": 4 3 2", b": 40000 30000 2000").replace(b"= 4 3 2", b"= 40000 30000 2000"))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="said to hold 40000 x 30000 x 2000 voxels, more than its"):
            open_image(path)
        assert tracemalloc.get_traced_memory()[1] < 1e7
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "sub/a.raw", "..\\a.raw"])
def test_pixels_in_another_folder_are_not_looked_at(tmp_path: Path, name: str) -> None:
    for path in (
        nrrd(tmp_path / "a.nhdr", f"data file: {name}"),
        meta(tmp_path / "a.mhd", f"ElementDataFile = {name}"),
        meta(tmp_path / "b.mhd", f"ElementDataFile = LIST\n{name}"),
        nrrd(tmp_path / "b.nhdr", f"data file: LIST\n{name}"),
    ):
        with pytest.raises(ImageError, match="outside its folder"):
            open_image(path)


def test_a_missing_file_of_pixels_is_named(tmp_path: Path) -> None:
    saved(tmp_path / "a.mhd", voxels(4, 5, 6))
    (tmp_path / "a.raw").unlink()
    with pytest.raises(ImageError, match=r"in a file of their own, 'a.raw', which is missing"):
        open_image(tmp_path / "a.mhd")


def test_pixels_spread_over_numbered_files_are_read(tmp_path: Path) -> None:
    data = voxels(2, 3, 4)
    for number, plane in enumerate(data, 1):
        (tmp_path / f"a{number:02d}.raw").write_bytes(plane.tobytes())
    path = meta(tmp_path / "a.mhd", "ElementDataFile = a%02d.raw 1 2 1", numbers=b"")
    np.testing.assert_array_equal(read_image(path).data, data)


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image([4, 3, 2], sitk.sitkComplexFloat32), str(tmp_path / "a.nrrd"))
    with pytest.raises(ImageError, match="numbers that are not read here"):
        open_image(tmp_path / "a.nrrd")


def test_names_with_spaces_and_other_letters_are_opened(tmp_path: Path) -> None:
    for ending in ENDINGS:
        path = saved(tmp_path / f"härt 患者{ending}", voxels(4, 5, 6))
        np.testing.assert_array_equal(read_image(path).data, voxels(4, 5, 6))
