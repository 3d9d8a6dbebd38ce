import contextlib
import json
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image, parts
from napari_medseg.models.reading import read_image

in_files = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

KINDS = {"t": "time", "c": "channel"}


def grey(*shape: int, dtype: str = "u2") -> np.ndarray:
    return np.arange(1, np.prod(shape) + 1, dtype=dtype).reshape(shape)


def multiscales(axes: str, scales: list[list[float]], unit: str, version: str) -> dict[str, Any]:
    described = [{"name": a, "type": KINDS.get(a, "space")} | ({"unit": unit} if a in "zyx" else {}) for a in axes]
    datasets = [
        {"path": str(at), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        for at, scale in enumerate(scales)
    ]
    return {"multiscales": [{"version": version, "axes": described, "datasets": datasets}]}


def write(
    folder: Path,
    data: np.ndarray,
    axes: str,
    scale: list[float] | None = None,
    *,
    unit: str = "micrometer",
    version: str = "0.5",
    levels: int = 1,
    more: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """An OME-Zarr image by zarr's own hand."""
    scale = scale or [1.0] * len(axes)
    scales = [[s * 2**level if a in "yx" else s for a, s in zip(axes, scale, strict=True)] for level in range(levels)]
    attributes = multiscales(axes, scales, unit, version) | (more or {})
    attributes = {"ome": {"version": version} | attributes} if version == "0.5" else attributes
    group = zarr.open_group(folder, mode="w", zarr_format=3 if version == "0.5" else 2, attributes=attributes)
    halves = tuple(slice(None, None, 2 if a in "yx" else 1) for a in axes)
    for level in range(levels):
        group.create_array(str(level), data=data, **({"chunks": tuple(min(n, 16) for n in data.shape)} | options))
        data = data[halves]
    return folder


# what an image is


@in_files
@given(
    axes=st.sampled_from(["yx", "zyx", "tyx", "cyx", "czyx", "tczyx", "tcyx"]),
    version=st.sampled_from(["0.4", "0.5"]),
    unit=st.sampled_from([("micrometer", "um"), ("millimeter", "mm"), ("nanometer", "nm")]),
    spacing=st.tuples(*[st.floats(1e-3, 1e3)] * 3),
)
def test_pixels_axes_spacing_and_unit_come_as_written(
    tmp_path: Path, axes: str, version: str, unit: tuple[str, str], spacing: tuple[float, float, float]
) -> None:
    sizes, along = {"t": 2, "c": 4, "z": 3, "y": 6, "x": 5}, dict(zip("zyx", spacing, strict=True))
    data = grey(*[sizes[axis] for axis in axes])
    folder = write(tmp_path / "a.zarr", data, axes, [along.get(a, 1.0) for a in axes], unit=unit[0], version=version)
    image = read_image(folder)
    assert image.axes == "".join(a for a in "TZYXC" if a.lower() in axes)
    order = [axes.index(axis.lower()) for axis in image.axes]
    np.testing.assert_array_equal(image.data, data.transpose(order))
    assert image.unit == unit[1]
    assert image.spacing == pytest.approx([along[a] for a in "zyx" if a in axes])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_pyramid_comes_with_its_levels_and_nothing_is_read_before(tmp_path: Path, version: str) -> None:
    data = grey(3, 64, 48)
    opened = open_image(write(tmp_path / "a.zarr", data, "cyx", version=version, levels=3))
    assert opened.image.lazy
    assert opened.image.axes == "YXC"
    assert [level.shape for level in opened.levels] == [(32, 24, 3), (16, 12, 3)]
    np.testing.assert_array_equal(np.asarray(opened.levels[1]), data[:, ::4, ::4].transpose(1, 2, 0))


def test_a_level_that_lies_elsewhere_or_is_another_image_is_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "a.zarr", grey(64, 48), "yx", levels=3)
    attributes = json.loads((folder / "zarr.json").read_text())
    shift = {"type": "translation", "translation": [40.0, 0.0]}
    attributes["attributes"]["ome"]["multiscales"][0]["datasets"][1]["coordinateTransformations"].append(shift)
    (folder / "zarr.json").write_text(json.dumps(attributes))
    assert [level.shape for level in open_image(folder).levels] == [(16, 12)]
    zarr.open_group(folder).create_array("2", data=grey(16, 48), overwrite=True)
    assert open_image(folder).levels == ()


def test_channels_have_their_names_colours_and_what_is_black_and_white(tmp_path: Path) -> None:
    channels = [
        {"label": name, "window": {"start": 5, "end": 90}, "color": c}
        for name, c in (("R", "FF0000"), ("G", "00FF00"), ("B", "0000FF"))
    ]
    folder = write(tmp_path / "a.zarr", grey(3, 8, 9, dtype="u1"), "cyx", more={"omero": {"channels": channels}})
    opened = open_image(folder)
    assert opened.channel_names == ("R", "G", "B")
    assert opened.window == (5.0, 90.0)
    assert opened.coloured
    assert opened.planar


def test_axes_of_one_that_every_image_of_a_converter_has_are_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "a.zarr", grey(1, 1, 1, 8, 9), "tczyx", [1, 1, 3, 0.5, 0.25])
    image = read_image(folder)
    assert (image.axes, image.spacing) == ("YX", (0.5, 0.25))
    assert read_image(write(tmp_path / "b.zarr", grey(1, 8, 9), "zyx")).axes == "ZYX"


def test_the_time_of_a_frame_comes_in_seconds(tmp_path: Path) -> None:
    folder = write(tmp_path / "a.zarr", grey(3, 8, 9), "tyx", [250, 1, 1], version="0.4")
    attributes = json.loads((folder / ".zattrs").read_text())
    attributes["multiscales"][0]["axes"][0]["unit"] = "millisecond"
    (folder / ".zattrs").write_text(json.dumps(attributes))
    assert open_image(folder).image.frame_seconds == 0.25


def test_an_array_without_a_description_is_opened_and_says_so(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=grey(3, 8, 9))
    opened = open_image(tmp_path / "a.zarr")
    assert opened.image.axes == "ZYX"
    assert "does not say its spacing" in opened.notices[0]


# several images


def plate(folder: Path, version: str) -> Path:
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}, {"path": "B/2", "rowIndex": 1, "columnIndex": 1}]
    ome = {"plate": {"wells": wells, "rows": [{"name": "A"}, {"name": "B"}], "columns": [{"name": "1"}, {"name": "2"}]}}
    kept = 3 if version == "0.5" else 2
    zarr.open_group(folder, mode="w", zarr_format=kept, attributes={"ome": ome} if kept == 3 else ome)
    for at, well in enumerate(("A/1", "B/2")):
        inner: dict[str, Any] = {"well": {"images": [{"path": "0"}, {"path": "1"}]}}
        zarr.open_group(folder / well, mode="w", zarr_format=kept, attributes={"ome": inner} if kept == 3 else inner)
        for field in range(2):
            write(folder / well / str(field), grey(8, 9) + 100 * at + 10 * field, "yx", version=version)
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_fields_of_a_plate_are_its_parts(tmp_path: Path, version: str) -> None:
    folder = plate(tmp_path / "p.zarr", version)
    assert [part.key for part in parts(folder)] == ["A/1/0", "A/1/1", "B/2/0", "B/2/1"]
    assert parts(folder)[3].title == "p: well B/2, field 1, 8 x 9 (YX)"
    np.testing.assert_array_equal(read_image(folder, "B/2/1").data, grey(8, 9) + 110)
    first = open_image(folder)
    assert (first.part, first.image.name) == ("A/1/0", "p A/1/0")
    assert "4 images; this is the first" in first.notices[0]
    assert [part.key for part in parts(folder / "B" / "2")] == ["0", "1"]


def test_numbered_series_are_parts(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    for at in range(2):
        write(tmp_path / "a.zarr" / str(at), grey(8, 9) + at, "yx", version="0.4")
    assert [part.key for part in parts(tmp_path / "a.zarr")] == ["0", "1"]
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr", "1").data, grey(8, 9) + 1)


@pytest.mark.parametrize("elsewhere", ["../secret", "/etc", "a/../../b", "..\\secret", "C:\\secret"])
def test_nothing_outside_the_folder_is_read(tmp_path: Path, elsewhere: str) -> None:
    write(tmp_path / "secret", grey(8, 9), "yx")
    folder = write(tmp_path / "a.zarr", grey(8, 9), "yx")
    text = (folder / "zarr.json").read_text()
    (folder / "zarr.json").write_text(text.replace('"path": "0"', f'"path": {json.dumps(elsewhere)}'))
    with pytest.raises(ImageError, match="outside its folder"):
        open_image(folder)
    with pytest.raises(ImageError, match="outside its folder"):
        open_image(folder, elsewhere)


# damage


def chunk(folder: Path) -> Path:
    """The first chunk file of the first level."""
    return min(path for path in (folder / "0").rglob("*") if path.is_file() and path.name[0] not in ".z")


@pytest.mark.parametrize(
    "kind", ["blosc", "zstd", "gzip", "sharded", "blosc 0.4", "zstd 0.4", "zlib 0.4", "lz4 0.4", "none"]
)
def test_a_chunk_that_is_cut_short_is_said_in_one_sentence(tmp_path: Path, kind: str) -> None:
    folder = compressed(tmp_path / "a.zarr", kind, np.random.default_rng(0).integers(1, 999, (32, 32), np.uint16))
    good = read_image(folder)
    assert good.data.min() >= 1
    path = chunk(folder)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ImageError, match=r"a\.zarr") as caught:
        read_image(folder)
    assert "\n" not in str(caught.value)


def compressed(folder: Path, kind: str, data: np.ndarray) -> Path:
    import numcodecs
    from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

    options: dict[str, dict[str, Any]] = {
        "blosc": {"compressors": BloscCodec()},
        "zstd": {"compressors": ZstdCodec()},
        "gzip": {"compressors": GzipCodec()},
        "sharded": {"compressors": ZstdCodec(), "chunks": (8, 8), "shards": (16, 16)},
        "blosc 0.4": {"compressors": numcodecs.Blosc()},
        "zstd 0.4": {"compressors": numcodecs.Zstd()},
        "zlib 0.4": {"compressors": numcodecs.Zlib()},
        "lz4 0.4": {"compressors": numcodecs.LZ4()},
        "none": {"compressors": None},
    }
    return write(folder, data, "yx", version="0.4" if kind.endswith("0.4") else "0.5", **options[kind])


def bomb(kind: str, size: int) -> bytes:
    """A compressed chunk that comes, or claims to come, to `size` bytes."""
    if kind.startswith("blosc"):
        import numcodecs

        honest = bytearray(numcodecs.Blosc().encode(np.zeros(512, "u1")))
        honest[4:8] = struct.pack("<I", size)
        return bytes(honest)
    if kind.startswith("zstd"):
        return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size) + b"\x01\0\0"
    if kind == "lz4 0.4":
        return struct.pack("<I", size) + b"\0" * 40
    stream = zlib.compressobj(9, wbits=zlib.MAX_WBITS | (16 if kind == "gzip" else 0))
    return b"".join(stream.compress(bytes(1 << 20)) for _ in range(size >> 20)) + stream.flush()


@pytest.mark.parametrize("kind", ["blosc", "zstd", "gzip", "blosc 0.4", "zstd 0.4", "zlib 0.4", "lz4 0.4"])
def test_a_bomb_of_a_compressed_chunk_takes_no_memory(tmp_path: Path, kind: str) -> None:
    folder = compressed(tmp_path / "a.zarr", kind, grey(16, 16))
    read_image(folder)  # what is imported for it counts not
    # The only chunk there is: what another thread allocates at the moment that tracing ends can crash Python 3.11.
    chunk(folder).write_bytes(bomb(kind, 80 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=r"a\.zarr.*claims to be more"):
            read_image(folder)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_bomb_inside_a_shard_takes_no_memory(tmp_path: Path) -> None:
    folder = compressed(tmp_path / "a.zarr", "sharded", np.random.default_rng(0).integers(1, 999, (32, 32), np.uint16))
    path = chunk(folder)
    content = bytearray(path.read_bytes())
    start = content.index(b"\x28\xb5\x2f\xfd")
    content[start : start + 13] = bomb("zstd", 80 << 20)[:13]
    path.write_bytes(content)
    with pytest.raises(ImageError, match="claims to be more"):
        read_image(folder)


def test_a_header_that_lies_about_the_size_takes_no_memory(tmp_path: Path) -> None:
    folder = write(tmp_path / "a.zarr", grey(32, 32), "yx", version="0.4")
    header = json.loads((folder / "0" / ".zarray").read_text())
    for shape, chunks in (([10**9, 10**9], [16, 16]), ([10**6, 10**6], [10**6, 10**6])):
        (folder / "0" / ".zarray").write_text(json.dumps(header | {"shape": shape, "chunks": chunks}))
        with pytest.raises(ImageError, match=r"a\.zarr"):
            read_image(folder)


def test_chunks_that_are_not_there_are_told_and_an_image_without_any_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "a.zarr", grey(32, 32), "yx")
    assert open_image(folder).notices == ()
    chunk(folder).unlink()
    assert "1 of the 4 chunks are not stored" in open_image(folder).notices[0]
    for path in (folder / "0" / "c").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(ImageError, match="holds no pixels"):
        open_image(folder)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("zarr.json", lambda text: text[:-30], "damaged"),
        ("zarr.json", lambda text: text.replace("multiscales", "nothing"), "does not say which image"),
        ("zarr.json", lambda text: text.replace('"datasets"', '"other"'), "does not say which image"),
        ("zarr.json", lambda text: text.replace('"name": "y"', '"name": "q"'), "TZYXC"),
        (
            "0/zarr.json",
            lambda text: text.replace('"uint16"', '"complex64"').replace("fill_value", "was"),
            "damaged|complex",
        ),
        ("0/zarr.json", lambda text: text.replace('"zstd"', '"bz9"'), "damaged|bz9"),
    ],
)
def test_damaged_descriptions_are_said_in_one_sentence(tmp_path: Path, name: str, change: Any, said: str) -> None:
    folder = write(tmp_path / "a.zarr", grey(32, 32), "yx")
    (folder / name).write_text(change((folder / name).read_text()))
    with pytest.raises(ImageError, match=said) as caught:
        read_image(folder)
    assert "\n" not in str(caught.value)


def test_names_with_spaces_and_other_letters_are_opened(tmp_path: Path) -> None:
    folder = write(tmp_path / "Gewebe Nº 7 - 肝.ome.zarr", grey(32, 32), "yx")
    assert read_image(folder).name == "Gewebe Nº 7 - 肝"


@in_files
@given(
    name=st.sampled_from(["zarr.json", "0/zarr.json", "0/c/0/0"]),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_folder_is_read_or_refused_and_nothing_else_happens(
    tmp_path: Path, name: str, damage: list[tuple[float, int]]
) -> None:
    folder = write(tmp_path / "a.zarr", grey(32, 32), "yx", [0.5, 0.25])
    content = bytearray((folder / name).read_bytes())
    for share, value in damage:
        content[int(share * len(content))] = value
    (folder / name).write_bytes(content)
    with contextlib.suppress(ImageError):
        assert read_image(folder).data.size < 1e7
