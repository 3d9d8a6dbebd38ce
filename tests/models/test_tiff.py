import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_medseg.models.errors import ImageError
from napari_medseg.models.reading import read_image

in_files = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def grey(*shape: int, dtype: str = "u2") -> np.ndarray:
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


# axes


@in_files
@given(axes=st.permutations("TZC").flatmap(lambda o: st.integers(0, 3).map(lambda n: "".join(o[:n]) + "YX")))
def test_the_axes_of_an_ome_tiff_come_in_the_one_order(tmp_path: Path, axes: str) -> None:
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 6, "X": 5}
    data = grey(*[sizes[axis] for axis in axes])
    tifffile.imwrite(tmp_path / "a.ome.tif", data, photometric="minisblack", metadata={"axes": axes})
    image = read_image(tmp_path / "a.ome.tif")
    assert image.axes == "".join(axis for axis in "TZYXC" if axis in axes)
    np.testing.assert_array_equal(image.data, data.transpose([axes.index(axis) for axis in image.axes]))
    assert image.data.flags.c_contiguous


@pytest.mark.parametrize(
    ("data", "options", "axes"),
    [
        (grey(6, 5), {}, "YX"),
        (grey(7, 6, 5), {}, "ZYX"),
        (grey(2, 7, 6, 5), {}, "TZYX"),
        (grey(6, 5, 3, dtype="u1"), {"photometric": "rgb"}, "YXC"),
        (grey(7, 6, 5, 3, dtype="u1"), {"photometric": "rgb"}, "ZYXC"),
        (grey(2, 7, 6, 5), {"imagej": True, "metadata": {"axes": "TZYX"}}, "TZYX"),
        (grey(7, 2, 6, 5), {"imagej": True, "metadata": {"axes": "ZCYX"}}, "ZYXC"),
        (grey(7, 6, 5), {"metadata": {"axes": "TYX"}}, "TYX"),
        (grey(7, 6, 5), {"metadata": {"axes": "PYX"}}, "ZYX"),
        (grey(1, 6, 5), {"metadata": {"axes": "ZYX"}}, "ZYX"),
        (grey(6, 5) > 9, {}, "YX"),
        (grey(6, 5, dtype="f4"), {}, "YX"),
        (grey(6, 5, dtype="i2") - 9, {"compression": "zlib", "predictor": True}, "YX"),
        (grey(6, 5), {"bigtiff": True}, "YX"),
        (grey(6, 5), {"byteorder": ">"}, "YX"),
    ],
)
def test_every_kind_of_tiff_has_its_axes(tmp_path: Path, data: np.ndarray, options: dict[str, Any], axes: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", data, **({"photometric": "minisblack"} | options))
    image = read_image(tmp_path / "a.tif")
    assert image.axes == axes
    inverse = {"ZYXC": (0, 3, 1, 2)} if options.get("imagej") else {}
    np.testing.assert_array_equal(image.data.transpose(inverse.get(axes, range(data.ndim))), data)


def test_pages_without_a_word_about_them_are_planes(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for plane in grey(3, 6, 5):
            tif.write(plane, metadata=None)
    assert read_image(tmp_path / "a.tif").axes == "ZYX"


def test_colours_in_planes_of_their_own_become_the_last_axis(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", grey(3, 6, 5, dtype="u1"), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, np.moveaxis(grey(3, 6, 5), 0, -1))


def test_transparency_of_a_tiff_is_left_out(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", grey(6, 5, 4, dtype="u1"), photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, grey(6, 5, 4)[..., :3])


def test_more_axes_than_are_known_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", grey(2, 2, 2, 6, 5), photometric="minisblack")
    with pytest.raises(ImageError, match="TZYXC"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_what_other_programs_compress_is_read(tmp_path: Path, compression: str, mode: str) -> None:
    data = grey(40, 50, 3)[..., 0] if mode == "I;16" else grey(40, 50, 3, dtype="u1")
    data = np.ascontiguousarray(data[..., 0]) if mode == "L" else data
    Image.fromarray(data).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, data)


# spacing


def ome(**physical: Any) -> dict[str, Any]:
    return {"metadata": {"axes": "ZYX"} | {f"PhysicalSize{key}": value for key, value in physical.items()}}


@pytest.mark.parametrize(
    ("name", "options", "spacing", "unit"),
    [
        ("a.ome.tif", ome(X=0.5, Y=0.25, Z=2.0), (2.0, 0.25, 0.5), "um"),
        ("a.ome.tif", ome(X=0.5, Y=500, Z=0.002, XUnit="µm", YUnit="nm", ZUnit="mm"), (2.0, 0.5, 0.5), "um"),
        ("a.ome.tif", ome(X=1.5, Y=1.5, Z=5, XUnit="mm", YUnit="mm", ZUnit="mm"), (5.0, 1.5, 1.5), "mm"),
        ("a.ome.tif", ome(X=0.5, Y=0.5), (0.5, 0.5, 0.5), "um"),
        ("a.ome.tif", ome(X=0, Y=0, Z=1), (1.0, 1.0, 1.0), "pixel"),
        ("a.ome.tif", ome(), (1.0, 1.0, 1.0), "pixel"),
        (
            "a.tif",
            {"imagej": True, "resolution": (2, 4), "metadata": {"axes": "ZYX", "spacing": 3.0, "unit": "micron"}},
            (3.0, 0.25, 0.5),
            "um",
        ),
        (
            "a.tif",
            {"imagej": True, "resolution": (2, 2), "metadata": {"axes": "ZYX", "unit": "\\u00B5m"}},
            (1.0, 0.5, 0.5),
            "um",
        ),
        ("a.tif", {"imagej": True, "resolution": (72, 72), "metadata": {"axes": "ZYX", "unit": "inch"}}, None, "pixel"),
        (
            "a.tif",
            {"resolution": (2, 2), "metadata": {"axes": "ZYX", "spacing": 3.0, "unit": "um"}},
            (3.0, 0.5, 0.5),
            "um",
        ),
        ("a.tif", {"resolution": (20, 40), "resolutionunit": "CENTIMETER"}, (0.5, 0.25, 0.5), "mm"),
        ("a.tif", {"resolution": (25400, 25400), "resolutionunit": "INCH"}, (0.001, 0.001, 0.001), "mm"),
        ("a.tif", {"resolution": (72, 72), "resolutionunit": "INCH"}, None, "pixel"),
        ("a.tif", {"resolution": (300, 300), "resolutionunit": "INCH"}, None, "pixel"),
        ("a.tif", {"resolution": (118.11, 118.11), "resolutionunit": "CENTIMETER"}, None, "pixel"),
        ("a.tif", {"resolution": (1, 1), "resolutionunit": "CENTIMETER"}, None, "pixel"),
        ("a.tif", {"resolution": (20, 20), "resolutionunit": "NONE"}, None, "pixel"),
        ("a.tif", {}, None, "pixel"),
    ],
)
def test_the_spacing_is_the_one_that_was_measured(
    tmp_path: Path, name: str, options: dict[str, Any], spacing: tuple[float, ...] | None, unit: str
) -> None:
    tifffile.imwrite(tmp_path / name, grey(7, 6, 5), **({"photometric": "minisblack"} | options))
    image = read_image(tmp_path / name)
    assert image.axes == "ZYX"
    assert image.spacing == pytest.approx(spacing or (1.0, 1.0, 1.0), rel=1e-9)
    assert image.unit == unit


# claims of a header


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("side", [2**14, 2**17, 2**31 - 1])
def test_a_header_that_lies_about_the_size_takes_no_memory(tmp_path: Path, compression: str | None, side: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, grey(64, 64), compression=compression, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for tag in ("ImageWidth", "ImageLength"):
            # kept in its place: a LONG where a SHORT or a LONG stood
            entry = tif.pages.first.tags[tag]
            tif.filehandle.seek(entry.offset + 2)
            tif.filehandle.write(struct.pack("<HII", 4, 1, side))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError):
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_planes_that_an_ome_tiff_promises_and_lacks_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, grey(3, 6, 5), photometric="minisblack", metadata={"axes": "ZYX"})
    path.write_bytes(path.read_bytes().replace(b'SizeZ="3"', b'SizeZ="5"'))
    with pytest.raises(ImageError, match="2 of its 5 planes are missing"):
        read_image(path)


def linked(path: Path, other: str) -> None:
    """An OME-TIFF of two planes whose second stands in the file `other`."""
    tifffile.imwrite(path, grey(1, 6, 5), photometric="minisblack", metadata={"axes": "ZYX"}, ome=True)
    tiff_data = '<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:0"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="5" SizeY="6" SizeC="1" SizeZ="2" SizeT="1">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        + tiff_data.format(z=0, name=path.name)
        + tiff_data.format(z=1, name=other)
        + "</Pixels></Image></OME>"
    )
    tifffile.imwrite(path, grey(6, 5), description=text, metadata=None)


def test_an_image_of_several_files_needs_them_all(tmp_path: Path) -> None:
    linked(tmp_path / "a.ome.tif", "b.ome.tif")
    with pytest.raises(ImageError, match=r"'b\.ome\.tif' is missing"):
        read_image(tmp_path / "a.ome.tif")
    tifffile.imwrite(tmp_path / "b.ome.tif", grey(6, 5) + 100, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").data, [grey(6, 5), grey(6, 5) + 100])


@pytest.mark.parametrize("other", ["../b.ome.tif", "/etc/b.tif", "..\\b.tif", "\\\\server\\b.tif"])
def test_no_file_of_another_folder_is_read(tmp_path: Path, other: str) -> None:
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "b.ome.tif", grey(6, 5), metadata=None)
    linked(tmp_path / "in" / "a.ome.tif", other)
    with pytest.raises(ImageError, match="outside its folder"):
        read_image(tmp_path / "in" / "a.ome.tif")


def test_an_image_that_does_not_fit_in_memory_is_refused_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_medseg.models import memory

    tifffile.imwrite(tmp_path / "a.tif", grey(600, 500))
    free = type("Memory", (), {"available": 300_000})()
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: free)
    with pytest.raises(ImageError, match=r"needs 0\.6 MB of memory, but only 0\.3 MB are free"):
        read_image(tmp_path / "a.tif")
