import contextlib
import itertools
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image
from napari_medseg.models.formats.kinds import IMAGE_ENDINGS, is_image
from napari_medseg.models.geometry import Geometry
from napari_medseg.models.grids import on_the_grid
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import mask_on, read_image, read_mask, read_placed_mask
from napari_medseg.models.writing import write_mask

from .formats.dicom_support import series

in_files = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def grey(*shape: int, dtype: str = "u2") -> np.ndarray:
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG by hand, so that it may lie."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# PNG and JPEG


@pytest.mark.parametrize(
    ("mode", "shape", "dtype", "axes"),
    [
        ("L", (6, 9), "u1", "YX"),
        ("I;16", (6, 9), "u2", "YX"),
        ("RGB", (6, 9, 3), "u1", "YXC"),
        ("RGBA", (6, 9, 4), "u1", "YXC"),
        ("LA", (6, 9, 2), "u1", "YX"),
    ],
)
def test_png_pixels_come_as_stored_without_transparency(
    tmp_path: Path, mode: str, shape: tuple[int, ...], dtype: str, axes: str
) -> None:
    data = grey(*shape, dtype=dtype) * (1000 if dtype == "u2" else 1)
    Image.frombytes(mode, (9, 6), data.tobytes()).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    kept = data[..., :3] if mode == "RGBA" else data[..., 0] if mode == "LA" else data
    np.testing.assert_array_equal(image.data, kept)
    assert (image.axes, image.spacing, image.unit, image.name) == (axes, (1.0, 1.0), "pixel", "a")
    assert image.data.dtype == dtype


def test_a_palette_is_colours_in_an_image_and_labels_in_a_mask(tmp_path: Path) -> None:
    indices = grey(4, 5, dtype="u1") % 3
    picture = Image.fromarray(indices, "P")
    picture.putpalette([0, 0, 0, 200, 10, 20, 30, 40, 250])
    picture.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").data[0, 1].tolist() == [200, 10, 20]
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), indices)


def test_the_orientation_noted_by_a_camera_is_not_applied_as_napari_does_not(tmp_path: Path) -> None:
    picture = Image.fromarray(np.zeros((40, 60, 3), "u1"))
    noted = picture.getexif()
    noted[0x112] = 6
    picture.save(tmp_path / "a.jpg", exif=noted)
    from napari_builtins.io import imread

    assert read_image(tmp_path / "a.jpg").data.shape == imread(str(tmp_path / "a.jpg")).shape == (40, 60, 3)


def test_colours_for_printers_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 4), "u1"), "CMYK").save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").data.shape == (8, 8, 3)


def test_16_bit_colours_of_a_png_come_with_8_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    colours = (grey(4, 5, 3) * 1000).astype(">u2")
    (tmp_path / "a.png").write_bytes(png(5, 4, 16, 2, b"".join(b"\0" + row.tobytes() for row in colours)))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").data, colours >> 8)
    assert "upper 8" in caplog.text


def test_a_file_is_what_its_first_bytes_say(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 77, "u1")).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").data.mean() == 77
    tifffile.imwrite(tmp_path / "b.jpg", grey(4, 5))
    np.testing.assert_array_equal(read_image(tmp_path / "b.jpg").data, grey(4, 5))


# masks


def test_a_mask_of_three_planes_that_were_saved_as_samples_is_a_stack(tmp_path: Path) -> None:
    from napari_builtins.io import imsave_extensions, napari_write_labels

    assert ".tif" in imsave_extensions()
    napari_write_labels(str(tmp_path / "a.tif"), grey(3, 6, 5), {})
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), grey(3, 6, 5))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_grey_mask_saved_as_colours_is_read_and_a_colourful_one_is_refused(tmp_path: Path, name: str) -> None:
    labels = grey(6, 5, dtype="u1")
    Image.fromarray(np.stack([labels] * 3, -1)).save(tmp_path / name)
    np.testing.assert_array_equal(read_mask(tmp_path / name), labels)
    Image.fromarray(grey(6, 5, 3, dtype="u1")).save(tmp_path / name)
    with pytest.raises(ImageError, match="colour picture"):
        read_mask(tmp_path / name)


def test_a_jpeg_holds_one_object_and_not_several(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), "u1")
    mask[10:40, 20:50] = 255
    Image.fromarray(mask).save(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.jpg"), mask)
    Image.fromarray(np.repeat(grey(1, 64, dtype="u1") * 4, 64, 0)).save(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="PNG or TIFF"):
        read_mask(tmp_path / "a.jpg")


def test_whole_real_numbers_are_labels_and_others_are_not(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", grey(6, 5, dtype="f4"))
    assert read_mask(tmp_path / "a.tif").dtype == np.uint8
    tifffile.imwrite(tmp_path / "a.tif", grey(6, 5, dtype="f4") / 2)
    with pytest.raises(ImageError, match="whole numbers"):
        read_mask(tmp_path / "a.tif")


# what cannot be read


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.b.jpeg", "a.tif", "a.ome.TIFF"])
def test_images_are_known_by_their_ending(name: str) -> None:
    assert is_image(name)
    assert Path(name).suffix.lower() in IMAGE_ENDINGS


@pytest.mark.parametrize("name", ["a.txt", "png", "a.png.gz", "._a.png", ""])
def test_other_files_are_not_images(name: str) -> None:
    assert not is_image(name)


def folder(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None: ...


def pipe(path: Path) -> None:
    os.mkfifo(path)


def bytes_of(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


UNREADABLE = [
    ("a.png", nothing, "There is no file"),
    ("a.png", folder, "is a folder"),
    ("a.png", pipe, "is not a file"),
    ("a.png", bytes_of(b""), "is empty"),
    ("a.tif", bytes_of(b""), "is empty"),
    ("a.png", bytes_of(b"Dear colleague, enclosed"), "is not an image"),
    ("a.tif", bytes_of(b"Dear colleague, enclosed"), "is not an image"),
    ("a.txt", bytes_of(b"Dear colleague"), "its ending is '.txt'"),
    ("a.png", bytes_of(b"\x89PN"), "ends after 3 bytes"),
    ("a.png", bytes_of(b"\x89PNG\r\n\x1a\n"), "damaged"),
    ("a.jpg", bytes_of(b"\xff\xd8\xff\xe0"), "damaged"),
    ("a.tif", bytes_of(b"II*\0"), "damaged"),
    ("a.tif", bytes_of(b"II*\0\x08\0\0\0\0\0\0\0\0\0"), "no pixels|damaged"),
    ("a.png", bytes_of(png(5, 0, 8, 0, b"")), "5 x 0"),
    ("a.png", bytes_of(png(60000, 60000, 8, 0, b"\0" * 99)), "larger than any PNG"),
    ("a.png", bytes_of(png(9000, 9000, 8, 0, b"\0" * 99)), "damaged or incomplete"),
]


@pytest.mark.parametrize(("name", "make", "said"), UNREADABLE, ids=[f"{n} {s}" for n, _, s in UNREADABLE])
@pytest.mark.parametrize("read", [read_image, read_mask])
def test_what_cannot_be_read_is_said_in_one_sentence(
    tmp_path: Path, name: str, make: Callable[[Path], None], said: str, read: Callable[[Path], object]
) -> None:
    make(tmp_path / name)
    with pytest.raises(ImageError, match=said) as caught:
        read(tmp_path / name)
    assert "a." in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_file_that_may_be_meant_is_named(tmp_path: Path) -> None:
    Image.fromarray(grey(6, 5, dtype="u1")).save(tmp_path / "patient_07.png")
    with pytest.raises(ImageError, match=r"Did you mean 'patient_07\.png'"):
        read_image(tmp_path / "patient_7.png")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_file_without_permission_is_said() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name, "a.png")
        Image.fromarray(grey(6, 5, dtype="u1")).save(path)
        path.chmod(0)
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                if os.getuid() == 0:
                    os.setuid(65534)
                read_image(path)
                said = "it was read"
            except BaseException as error:
                said = f"{type(error).__name__}: {error}"
            os.write(write_end, said.encode())
            os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end) as pipe_end:
            said = pipe_end.read()
        os.waitpid(child, 0)
    assert said.startswith("ImageError: 'a.png' may not be read by you")


# damage


def whole_tiffs() -> dict[str, dict[str, Any]]:
    return {
        "plain.tif": {},
        "zlib.tif": {"compression": "zlib"},
        "strips.tif": {"rowsperstrip": 4, "metadata": None},
        "ij.tif": {"imagej": True, "metadata": {"axes": "ZYX"}},
        "ome.ome.tif": {"metadata": {"axes": "ZYX"}},
        "omez.ome.tif": {"metadata": {"axes": "ZYX"}, "compression": "zlib"},
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Good files by name."""
    home = tmp_path_factory.mktemp("whole")
    noise = np.random.default_rng(0).integers(1, 255, (3, 20, 30), dtype=np.uint8)
    for name, options in whole_tiffs().items():
        tifffile.imwrite(home / name, noise, photometric="minisblack", **options)
    Image.fromarray(np.moveaxis(noise, 0, -1)).save(home / "a.png")
    Image.fromarray(np.moveaxis(noise, 0, -1)).save(home / "a.jpg")
    return {path.name: path.read_bytes() for path in home.iterdir()}


FILES = [*whole_tiffs(), "a.png", "a.jpg"]


@settings(in_files, max_examples=200)
@given(name=st.sampled_from(FILES), share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_never_taken_for_a_whole_one(
    tmp_path: Path, whole: dict[str, bytes], name: str, share: float
) -> None:
    (tmp_path / name).write_bytes(whole[name])
    complete = read_image(tmp_path / name)
    (tmp_path / name).write_bytes(whole[name][: int(share * len(whole[name]))])
    try:
        cut = read_image(tmp_path / name)
    except ImageError:
        return
    np.testing.assert_array_equal(cut.data, complete.data)  # only a word after the pixels was lost


@settings(in_files, max_examples=300)
@given(
    name=st.sampled_from(FILES),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_file_is_read_or_refused_and_nothing_else_happens(
    tmp_path: Path, whole: dict[str, bytes], name: str, damage: list[tuple[float, int]]
) -> None:
    content = bytearray(whole[name])
    for share, value in damage:
        content[int(share * min(len(content), 400))] = value  # headers stand in front
    (tmp_path / name).write_bytes(content)
    with contextlib.suppress(ImageError):
        assert read_image(tmp_path / name).data.size < 1e8


def placed(path: Path, data: np.ndarray, affine: np.ndarray) -> Path:
    nibabel.Nifti1Image(data, affine).to_filename(path)
    return path


class TestMaskOn:
    """`mask_on`: a mask voxel for voxel on an image."""

    def test_a_segmentation_of_some_planes_gets_the_others_empty(self, tmp_path: Path) -> None:
        series(tmp_path / "ct", np.zeros((8, 6, 5), np.int16), StudyInstanceUID="1.2.3.4")
        opened = open_image(tmp_path / "ct")
        labels = np.zeros((8, 6, 5), np.uint8)
        labels[3:5, 1:4, 2] = 1
        write_mask(tmp_path / "seg.dcm", labels, opened.image, source=opened)
        whole = read_placed_mask(tmp_path / "seg.dcm")
        assert whole.geometry is not None
        affine = whole.geometry.affine.copy()
        affine[:3, 3] += 3 * affine[:3, 0]
        some = MedicalImage(whole.data[3:5], "ZYX", whole.spacing, "mm", geometry=Geometry(affine))
        np.testing.assert_array_equal(on_the_grid(opened.image, some).data, labels)
        affine[:3, 3] += 0.5 * affine[:3, 0]
        between = MedicalImage(whole.data[3:5], "ZYX", whole.spacing, "mm", geometry=Geometry(affine))
        assert on_the_grid(opened.image, between) is between

    def test_a_mask_of_another_place_is_refused_with_both_names(self, tmp_path: Path) -> None:
        image = open_image(placed(tmp_path / "image.nii", np.zeros((5, 6, 8), np.int16), np.eye(4)))
        placed(tmp_path / "mask.nii", np.ones((5, 6, 8), np.uint8), np.eye(4) + 3 * np.eye(4, k=3))
        with pytest.raises(ImageError, match=r"'mask\.nii' does not fit 'image\.nii'"):
            mask_on(tmp_path / "mask.nii", image)

    @pytest.mark.parametrize(("angle", "times"), [(0, ()), (20, (2,)), (45, ())])
    def test_a_mask_may_be_stored_in_any_order_and_direction_of_the_axes(
        self, tmp_path: Path, angle: int, times: tuple[int, ...]
    ) -> None:
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = rotation * (0.7, 0.7, 2.5), (-40, 12, 80)
        labels = np.random.default_rng(0).integers(0, 5, (6, 6, 6, *times), np.uint8)
        image = open_image(placed(tmp_path / "image.nii", labels.astype(np.int16), affine))
        expected = image.image.loaded().data
        for axes in itertools.permutations(range(3)):
            for signs in itertools.product((1, -1), repeat=3):
                stored = nibabel.Nifti1Image(labels, affine).as_reoriented(np.transpose((axes, signs)))
                stored.to_filename(tmp_path / "mask.nii")
                np.testing.assert_array_equal(mask_on(tmp_path / "mask.nii", image), expected)

    def test_as_many_pixels_in_another_shape_are_no_mask(self, tmp_path: Path) -> None:
        image = open_image(placed(tmp_path / "image.nii", np.zeros((4, 8, 8), np.int16), np.eye(4)))
        tifffile.imwrite(tmp_path / "mask.tif", np.ones((16, 16), np.uint8))
        with pytest.raises(ImageError, match="shape"):
            mask_on(tmp_path / "mask.tif", image)

    def test_one_slice_fits_with_and_without_an_axis_for_it(self, tmp_path: Path) -> None:
        Image.fromarray(np.zeros((6, 9), np.uint8)).save(tmp_path / "image.png")
        tifffile.imwrite(tmp_path / "mask.tif", np.ones((1, 6, 9), np.uint8), metadata={"axes": "ZYX"})
        assert mask_on(tmp_path / "mask.tif", open_image(tmp_path / "image.png")).shape == (6, 9)
