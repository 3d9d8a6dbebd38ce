import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_medseg.models.errors import LedgerError
from napari_medseg.trainer.pixels import PixelStore, pixel_key

TYPES = [np.bool_, np.float16, np.float32, np.uint8, np.uint16, np.uint32, np.int16]
ARRAYS = st.sampled_from([*TYPES, np.float64, np.int64, np.dtype(">i2"), np.dtype(">f4")]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=5, min_side=1, max_side=5))
)


@pytest.fixture
def store(tmp_path: Path) -> PixelStore:
    return PixelStore(tmp_path)


def file_of(tmp_path: Path, key: str) -> Path:
    return tmp_path / "objects" / key[:2] / f"{key}.tif"


@settings(max_examples=150, deadline=None)
@given(array=ARRAYS)
@example(array=np.ones((1, 1, 1, 1, 1), bool))
def test_every_array_comes_back_with_its_shape_and_its_bits(
    array: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = PixelStore(tmp_path_factory.getbasetemp() / "round-trip")
    back = store.get(store.put(array))
    expected = array.astype(np.uint8) if array.dtype == bool else array
    assert back.shape == array.shape
    assert back.dtype == expected.dtype.newbyteorder("=")
    assert back.tobytes() == expected.astype(back.dtype).tobytes()  # NaN and -0.0, too


@pytest.mark.parametrize("dtype", TYPES)
def test_a_single_plane_keeps_its_axis_of_length_one(store: PixelStore, dtype: type) -> None:
    array = np.arange(35).reshape(1, 5, 7).astype(dtype)
    back = store.get(store.put(array))
    assert back.shape == (1, 5, 7)
    assert np.array_equal(back, array)


def test_type_and_shape_belong_to_the_key() -> None:
    zeros = np.zeros((4, 6), np.uint8)
    keys = {pixel_key(a) for a in (zeros, zeros.T, zeros.astype(np.int8), zeros[None], zeros.reshape(3, 8))}
    assert len(keys) == 5


def test_layout_in_memory_does_not_belong_to_the_key() -> None:
    array = np.arange(24, dtype=np.int16).reshape(4, 6)
    assert pixel_key(np.asfortranarray(array)) == pixel_key(array) == pixel_key(array.astype(">i2"))


def test_equal_pixels_are_written_once(store: PixelStore, tmp_path: Path) -> None:
    array = np.eye(8)
    key = store.put(array)
    before = file_of(tmp_path, key).stat()
    assert store.put(array) == key
    assert file_of(tmp_path, key).stat().st_mtime_ns == before.st_mtime_ns
    assert file_of(tmp_path, key).stat().st_ino == before.st_ino
    assert len(list((tmp_path / "objects").rglob("*.*"))) == 1


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_file_is_noticed_and_healed_by_the_next_put(store: PixelStore, tmp_path: Path, keep: int) -> None:
    array = np.random.default_rng(0).integers(0, 9, (20, 20), np.uint8)
    key = store.put(array)
    path = file_of(tmp_path, key)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(LedgerError, match=r"damaged.*truncated or changed"):
        store.get(key)
    assert store.verify() == [key]
    assert store.put(array) == key
    assert np.array_equal(store.get(key), array)
    assert store.verify() == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_never_comes_back_as_other_pixels(
    store: PixelStore, tmp_path: Path, position: int, bit: int
) -> None:
    array = np.arange(300, dtype=np.uint16).reshape(15, 20)
    path = file_of(tmp_path, pixel_key(array))
    if not path.exists():
        store.put(array)
    sound = path.read_bytes()
    content = bytearray(sound)
    content[position % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        assert np.array_equal(store.get(path.stem), array)
    except LedgerError as error:
        assert "damaged" in str(error)  # noqa: PT017 (either of the two is right)
    finally:
        path.write_bytes(sound)


@pytest.mark.timeout(20)
def test_a_header_that_speaks_of_a_huge_image_is_refused_before_it_is_read(store: PixelStore, tmp_path: Path) -> None:
    key = store.put(np.zeros((30, 40), np.uint8))
    with tifffile.TiffFile(file_of(tmp_path, key), mode="r+b") as file:
        file.pages[0].tags["ImageLength"].overwrite(2**31)
    with pytest.raises(LedgerError, match="damaged"):
        store.get(key)


def test_a_missing_file_is_an_error_that_says_what_to_do(store: PixelStore) -> None:
    with pytest.raises(LedgerError, match=r"missing.*copy of the project"):
        store.get("0" * 64)


@pytest.mark.parametrize(
    "key", ["", "ab", "../" * 8 + "etc/passwd", "A" * 64, "0" * 63 + "/", "0" * 64 + "\n", "g" * 64, None]
)
def test_a_key_that_is_not_64_hex_digits_leads_nowhere(store: PixelStore, key: str) -> None:
    with pytest.raises(LedgerError, match="does not name pixels"):
        store.get(key)


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 4)), np.zeros(4), np.float32(1), np.zeros((2, 2), complex), np.array([["a"]]), np.array([[None]])],
)
def test_what_a_tiff_cannot_hold_is_refused_before_anything_is_written(
    store: PixelStore, tmp_path: Path, array: np.ndarray
) -> None:
    with pytest.raises(LedgerError, match="cannot be kept"):
        store.put(array)
    assert not list(tmp_path.iterdir())


def test_any_tiff_reader_sees_a_colour_image_as_one_page(store: PixelStore, tmp_path: Path) -> None:
    key = store.put(np.zeros((64, 48, 3), np.float32))
    with tifffile.TiffFile(file_of(tmp_path, key)) as file:
        assert len(file.pages) == 1


def test_two_processes_may_put_the_same_pixels_at_once(tmp_path: Path) -> None:
    program = (
        "import numpy as np, pathlib, sys\n"
        "from napari_medseg.trainer.pixels import PixelStore\n"
        "store = PixelStore(pathlib.Path(sys.argv[1]))\n"
        "for i in range(20): print(store.put(np.full((50, 50), i, np.uint8)))\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, os.fspath(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [child.communicate()[0].split() for child in children]
    assert said[0] == said[1]
    assert [child.returncode for child in children] == [0, 0]
    store = PixelStore(tmp_path)
    assert [int(store.get(key)[0, 0]) for key in said[0]] == list(range(20))
    assert not list(tmp_path.rglob("*.partial"))
