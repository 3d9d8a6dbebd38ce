"""TIFF files that are read as they are looked at, with their pyramids and their several images."""

import re
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image, parts, tiff
from napari_medseg.models.reading import read_image

in_files = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def grey(*shape: int, dtype: str = "u2") -> np.ndarray:
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


@pytest.fixture
def lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every TIFF counts as large."""
    monkeypatch.setattr(tiff, "LARGE", 0)


def pyramid(path: Path, data: np.ndarray, *sides: int, **options: Any) -> Path:
    """A tiled OME-TIFF whose smaller levels have the given numbers of rows and columns."""
    tiles = {"tile": (16, 16), "photometric": "rgb" if data.shape[-1] == 3 else "minisblack", "compression": "zlib"}
    described = {"axes": "YXS" if data.shape[-1] == 3 else "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(data, subifds=len(sides), metadata=described, **(tiles | options))
        for side in sides:
            step = -(-data.shape[0] // side)
            tif.write(data[::step, ::step][:side, :side], subfiletype=1, **tiles)
    return path


# lazy


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (grey(70, 50), {}),
        (grey(70, 50), {"byteorder": ">"}),
        (grey(3, 70, 50), {"metadata": {"axes": "ZYX"}}),
        (grey(3, 70, 50), {"metadata": {"axes": "ZYX"}, "compression": "zlib"}),
        (grey(3, 70, 50), {"metadata": {"axes": "ZYX"}, "compression": "zlib", "predictor": True, "rowsperstrip": 9}),
        (grey(70, 50, 3, dtype="u1"), {"photometric": "rgb", "tile": (16, 32)}),
        (grey(70, 50, 4, dtype="u1"), {"photometric": "rgb", "extrasamples": ["unassalpha"], "tile": (16, 16)}),
        (grey(3, 70, 50, dtype="u1"), {"photometric": "rgb", "planarconfig": "separate", "tile": (16, 16)}),
        (grey(2, 3, 70, 50), {"imagej": True, "metadata": {"axes": "TZYX"}}),
        (grey(7, 2, 70, 50), {"imagej": True, "metadata": {"axes": "ZCYX"}}),
        (grey(70, 50, dtype="f4"), {"bigtiff": True, "tile": (32, 32)}),
        (grey(70, 50) > 9, {}),
    ],
)
def test_what_is_read_later_is_what_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: np.ndarray, options: dict[str, Any]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", data, **({"photometric": "minisblack"} | options))
    at_once = open_image(tmp_path / "a.tif")
    monkeypatch.setattr(tiff, "LARGE", 0)
    later = open_image(tmp_path / "a.tif")
    assert later.image.lazy
    assert not at_once.image.lazy
    assert later.image.data.dtype == at_once.image.data.dtype
    np.testing.assert_array_equal(np.asarray(later.image.data), at_once.image.data)
    assert (later.image.axes, later.coloured, later.planar) == (at_once.image.axes, at_once.coloured, at_once.planar)


@pytest.mark.usefixtures("lazily")
@in_files
@given(
    region=st.tuples(*[st.tuples(st.integers(0, 68), st.integers(1, 70))] * 2),
    options=st.sampled_from(
        [{}, {"tile": (16, 32), "compression": "zlib"}, {"rowsperstrip": 7, "compression": "zlib"}]
    ),
)
def test_any_part_of_it_can_be_had(
    tmp_path: Path, region: tuple[tuple[int, int], ...], options: dict[str, Any]
) -> None:
    data = grey(70, 69)
    tifffile.imwrite(tmp_path / "a.tif", data, **options)
    here = tuple(slice(start, start + length) for start, length in region)
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "a.tif").image.data[here]), data[here])


def test_only_the_tiles_that_are_looked_at_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    data = np.random.default_rng(0).integers(0, 255, (4096, 4096, 3), dtype=np.uint8)
    data[1024:] = 7
    tifffile.imwrite(path, data, photometric="rgb", tile=(256, 256), compression="zlib")
    monkeypatch.setattr(tiff, "LARGE", 0)
    pixels = open_image(path).image.data
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        start, size = tif.pages.first.dataoffsets[-1], tif.pages.first.databytecounts[-1]
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    np.testing.assert_array_equal(np.asarray(pixels[100:300, 500:600]), data[100:300, 500:600])
    with pytest.raises(ImageError, match=r"Part of 'a\.tif' is damaged") as caught:
        np.asarray(pixels[4000:, 4000:])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("large", [0, 1 << 30])
def test_a_bomb_of_a_compressed_tile_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    pytest.importorskip("imagecodecs", reason="without it, zlib decompresses to the end")
    monkeypatch.setattr(tiff, "LARGE", large)
    bomb = zlib.compress(bytes(80 << 20), 9)
    tifffile.imwrite(tmp_path / "a.tif", iter([bomb]), shape=(64, 64), dtype="u1", tile=(64, 64), compression="zlib")
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=r"a\.tif"):
            read_image(tmp_path / "a.tif")
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("lazily")
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_a_file_that_was_changed_for_a_shorter_one_is_said(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8), **options)
    pixels = open_image(path).image.data
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ImageError, match=r"a\.tif"):
        np.asarray(pixels)


@pytest.mark.usefixtures("lazily")
def test_a_stack_of_several_files_is_read_later_too(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", grey(1, 6, 5), photometric="minisblack", metadata={"axes": "ZYX"})
    text = tifffile.TiffFile(tmp_path / "a.ome.tif").ome_metadata
    plane = '<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
    one, other = plane.format(z=0, name="a.ome.tif"), plane.format(z=1, name="Nº 2 肝.ome.tif")
    start, end = text.index("<TiffData"), text.index("</Pixels>")
    text = (text[:start] + one + other + text[end:]).replace('SizeZ="1"', 'SizeZ="2"')
    text = re.sub(r' UUID="[^"]*"', ' UUID="urn:uuid:0"', text)
    tifffile.imwrite(tmp_path / "a.ome.tif", grey(6, 5), description=text.encode(), metadata=None)
    tifffile.imwrite(tmp_path / "Nº 2 肝.ome.tif", grey(6, 5) + 100, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").data, [grey(6, 5), grey(6, 5) + 100])


# pyramids


@pytest.mark.parametrize("large", [0, 1 << 30])
def test_a_pyramid_comes_with_its_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    monkeypatch.setattr(tiff, "LARGE", large)
    data = grey(128, 128, 3, dtype="u1")
    opened = open_image(pyramid(tmp_path / "a.ome.tif", data, 64, 32))
    assert opened.image.lazy == (large == 0)
    assert (opened.image.spacing, opened.image.unit, opened.coloured) == ((0.5, 0.5), "um", True)
    assert [level.shape for level in opened.levels] == [(64, 64, 3), (32, 32, 3)]
    np.testing.assert_array_equal(np.asarray(opened.image.data), data)
    np.testing.assert_array_equal(np.asarray(opened.levels[1]), data[::4, ::4])


def test_pages_that_are_halves_of_the_first_are_its_pyramid(tmp_path: Path) -> None:
    data = grey(128, 128)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for step in (1, 2, 4):
            tif.write(data[::step, ::step], tile=(32, 32), metadata=None, subfiletype=int(step > 1))
    opened = open_image(tmp_path / "a.tif")
    assert opened.image.data.shape == (128, 128)
    assert [level.shape for level in opened.levels] == [(64, 64), (32, 32)]


def test_a_pyramid_whose_level_is_cut_off_is_incomplete(tmp_path: Path) -> None:
    path = pyramid(tmp_path / "a.ome.tif", grey(128, 128), 64, 32)
    with tifffile.TiffFile(path) as tif:
        end = max(tif.series[0].levels[2].keyframe.dataoffsets)
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ImageError, match="incomplete"):
        open_image(path)


# several images


def test_the_images_of_a_file_are_its_parts_and_the_largest_comes_first(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
        for at, (side, name) in enumerate([(20, "left"), (40, "right")]):
            described = {"Name": name, "PhysicalSizeX": 0.5 + at, "PhysicalSizeY": 0.5 + at, "axes": "YX"}
            tif.write(grey(side, side) + at, photometric="minisblack", metadata=described)
    left, right = parts(tmp_path / "a.ome.tif")
    assert (left.key, right.key) == ("0", "1")
    assert "left" in left.title
    assert "40 x 40" in right.title
    largest = open_image(tmp_path / "a.ome.tif")
    assert (largest.part, largest.image.data.shape, largest.image.spacing) == ("1", (40, 40), (1.5, 1.5))
    assert "2 images; this is the largest" in largest.notices[0]
    chosen = open_image(tmp_path / "a.ome.tif", "0")
    assert (chosen.image.data.shape, chosen.image.spacing, chosen.notices) == ((20, 20), (0.5, 0.5), ())
    with pytest.raises(ImageError, match="no image number '7'; its images are 0, 1"):
        open_image(tmp_path / "a.ome.tif", "7")


def slide(path: Path) -> Path:
    """A whole-slide image as Aperio's scanners write it: the slide, a thumbnail, two levels, label and macro."""
    described = "Aperio Image Library v11.2.1\r\n{} |AppMag = 20|MPP = 0.4990"
    with tifffile.TiffWriter(path) as tif:
        options = {"photometric": "rgb", "metadata": None, "compression": "zlib"}
        for side, tiled in ((1024, True), (192, False), (256, True)):
            data = np.full((side, side, 3), side % 251, np.uint8)
            tile = {"tile": (64, 64)} if tiled else {}
            tif.write(data, description=described.format(f"{side}x{side}"), **tile, **options)
        for kind, name in ((1, "label"), (9, "macro")):
            data = np.full((100, 120, 3), 99, np.uint8)
            tif.write(data, description=f"Aperio Image Library v11.2.1\r\n{name} 120x100", subfiletype=kind, **options)
    return path


def test_a_slide_has_its_spacing_and_its_label_is_not_offered(tmp_path: Path) -> None:
    path = slide(tmp_path / "a.svs.tif")
    with tifffile.TiffFile(path) as tif:
        assert [series.name for series in tif.series] == ["Baseline", "Thumbnail", "Label", "Macro"]
    assert [part.title.split(":")[0] for part in parts(path)] == ["1 Baseline", "2 Thumbnail"]
    opened = open_image(path)
    assert (opened.image.spacing, opened.image.unit) == ((0.499, 0.499), "um")
    assert opened.image.data.shape == (1024, 1024, 3)
    assert [level.shape for level in opened.levels] == [(256, 256, 3)]
    with pytest.raises(ImageError, match="its images are 0, 1"):
        open_image(path, "2")
