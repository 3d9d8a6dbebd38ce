import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.errors import MultipleReaderError
from napari.settings import get_settings
from npe2 import PluginManager

from napari_medseg.image_layers import METADATA_KEY, channel_siblings, medical_image
from napari_medseg.models.errors import ImageError
from napari_medseg.models.reading import read_image
from napari_medseg.reader import PATTERNS, PLUGIN, always_open_here, get_reader, read


def grey(*shape: int, dtype: str = "u2") -> np.ndarray:
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


@pytest.fixture(autouse=True)
def plugins() -> None:
    """napari's own readers and those of installed plugins, as a window loads them."""
    PluginManager.instance().discover()


@pytest.fixture
def volume(tmp_path: Path) -> str:
    path = tmp_path / "heart.ome.tif"
    described = {"axes": "CZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(path, grey(2, 3, 6, 5), photometric="minisblack", metadata=described)
    return str(path)


@pytest.fixture
def chosen_readers() -> Iterator[None]:
    before = get_settings().plugins.extension2reader
    yield
    get_settings().plugins.extension2reader = before


def test_napari_own_reader_loses_spacing_and_channels_and_this_one_keeps_them(volume: str) -> None:
    viewer = ViewerModel()
    (bare,) = viewer.open(volume, plugin="napari")
    assert bare.data.shape == (2, 3, 6, 5)
    assert bare.scale.tolist() == [1, 1, 1, 1]
    first, second = viewer.open(volume, plugin=PLUGIN)
    for layer, channel in ((first, 0), (second, 1)):
        np.testing.assert_array_equal(layer.data, grey(2, 3, 6, 5)[channel])
        assert layer.scale.tolist() == [2.0, 0.25, 0.5]
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
        assert layer.axis_labels == ("z", "y", "x")
    assert first.name == "heart channel 1"
    assert first.colormap.name != second.colormap.name


def test_each_channel_knows_the_whole_image_and_its_siblings(volume: str) -> None:
    viewer = ViewerModel()
    first, second = viewer.open(volume, plugin=PLUGIN)
    stranger = viewer.open(volume, plugin=PLUGIN)[0]
    assert channel_siblings(first, viewer.layers) == (second,)
    assert channel_siblings(second, viewer.layers) == (first,)
    assert first.metadata[METADATA_KEY] | {"source": None} == {
        "found": tuple,
        "axes": "ZYXC",
        "spacing": (2.0, 0.25, 0.5),
        "unit": "um",
        "shape": (3, 6, 5),
        "path": volume,
        "part": "",
        "geometry": None,
        "origin": (),
        "notices": (),
        "window": None,
        "time": (1.0, "frame"),
        "header": None,
        "patient": "",
        "source": None,
        "channel": 0,
        "channels": 2,
    }
    whole = read_image(volume)
    for one, others in ((first, (second,)), (second, (first,))):
        image = medical_image(one, others)
        np.testing.assert_array_equal(image.data, whole.data)
        assert (image.axes, image.spacing, image.unit) == (whole.axes, whole.spacing, whole.unit)
    assert stranger not in channel_siblings(first, viewer.layers)


def test_channels_have_the_names_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    described = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(path, grey(2, 6, 5), photometric="minisblack", metadata=described)
    assert [settings["name"] for _, settings, _ in read(str(path))] == ["a DAPI", "a GFP"]


@pytest.mark.parametrize(
    ("data", "options", "axes", "shape", "rgb"),
    [
        (grey(6, 5), {}, "YX", (6, 5), False),
        (grey(7, 6, 5), {}, "ZYX", (7, 6, 5), False),
        (grey(7, 6, 3), {"metadata": {"axes": "ZYX"}}, "ZYX", (7, 6, 3), False),
        (grey(2, 7, 6, 5), {}, "TZYX", (2, 7, 6, 5), False),
        (grey(6, 5, 3, dtype="u1"), {"photometric": "rgb"}, "YXC", (6, 5, 3), True),
        (grey(7, 6, 5, 3, dtype="u1"), {"photometric": "rgb"}, "ZYXC", (7, 6, 5, 3), True),
    ],
)
def test_every_kind_of_tiff_becomes_layers(
    tmp_path: Path, data: np.ndarray, options: dict[str, Any], axes: str, shape: tuple[int, ...], rgb: bool
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", data, **({"photometric": "minisblack"} | options))
    (layer,) = ViewerModel().open(tmp_path / "a.tif", plugin=PLUGIN)
    assert (layer.data.shape, layer.rgb, layer.name) == (shape, rgb, "a")
    image = medical_image(layer)
    assert image.axes == axes
    np.testing.assert_array_equal(image.data, data)


def test_three_stains_are_three_layers_and_no_colours(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", grey(3, 6, 5), photometric="minisblack", metadata={"axes": "CYX"})
    layers = ViewerModel().open(tmp_path / "a.ome.tif", plugin=PLUGIN)
    assert [layer.rgb for layer in layers] == [False] * 3


@pytest.mark.parametrize(("dtype", "top", "white"), [("u2", 65535, 65535), ("u2", 4000, 4095), ("f4", 0.5, 1)])
def test_colours_of_more_bits_are_shown_from_0_to_1(tmp_path: Path, dtype: str, top: float, white: float) -> None:
    data = np.zeros((6, 5, 3), dtype)
    data[0, 0, 0] = top
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb")
    ((shown, settings, _),) = read(str(tmp_path / "a.tif"))
    assert settings["rgb"]
    assert shown.max() == pytest.approx(top / white)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    axes=st.sampled_from(["YX", "ZYX", "TYX", "TZYX", "CYX", "CZYX", "ZCYX", "TCYX"]),
    steps=st.tuples(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.01, 100)),
    unit=st.sampled_from(["nm", "um", "mm"]),
)
def test_what_the_layers_give_back_is_what_the_file_holds(
    tmp_path: Path, axes: str, steps: tuple[float, float, float], unit: str
) -> None:
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 6, "X": 5}
    described: dict[str, Any] = {"axes": axes}
    for axis, step in zip("ZYX", steps, strict=True):
        described |= {f"PhysicalSize{axis}": step, f"PhysicalSize{axis}Unit": {"um": "µm"}.get(unit, unit)}
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, grey(*[sizes[a] for a in axes]), photometric="minisblack", metadata=described)
    first, *others = ViewerModel().open(path, plugin=PLUGIN)
    image, whole = medical_image(first, others), read_image(path)
    np.testing.assert_array_equal(image.data, whole.data)
    assert (image.axes, image.unit) == (whole.axes, whole.unit)
    assert image.spacing == pytest.approx(whole.spacing)


def test_the_reader_leaves_pictures_to_napari_and_never_raises(tmp_path: Path, volume: str) -> None:
    (tmp_path / "text.tif").write_text("Dear colleague")
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "a.tif").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name in ("text.tif", "empty.tif", "folder.tif", "missing.tif", "a.png", "a.tif", "\0.tif", "", "x" * 5000):
        assert get_reader(str(tmp_path / name)) is None
    assert get_reader([volume]) is None
    assert get_reader(None) is None  # type: ignore[arg-type]
    assert get_reader(volume) is read


def test_the_reader_is_chosen_without_loading_pixels(volume: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tifffile, "TiffFile", None)
    assert get_reader(volume) is read


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_does_not_stop_the_window(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tif")
    assert get_reader(str(tmp_path / "a.tif")) is None


def test_a_damaged_tiff_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0")
    with pytest.raises(ImageError, match="no pixels"):
        read(str(tmp_path / "a.tif"))
    (tmp_path / "b.tif").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match="damaged or incomplete"):
        read(str(tmp_path / "b.tif"))


def test_napari_asks_until_this_reader_is_chosen_for_good(volume: str, chosen_readers: None) -> None:
    get_settings().plugins.extension2reader = {}
    with pytest.raises(MultipleReaderError):
        ViewerModel().open(volume, plugin=None)
    assert always_open_here()
    assert set(get_settings().plugins.extension2reader) == set(PATTERNS)
    layers = ViewerModel().open(volume, plugin=None)
    assert [layer.scale.tolist() for layer in layers] == [[2.0, 0.25, 0.5]] * 2


def test_a_choice_that_the_user_made_stays(chosen_readers: None) -> None:
    get_settings().plugins.extension2reader = {"*.tif": "napari", "*.zarr": "other"}
    assert not always_open_here()
    assert get_settings().plugins.extension2reader == {"*.tif": "napari", "*.zarr": "other"}


def test_in_a_window_a_tiff_lies_in_its_own_spacing(make_napari_viewer_proxy: Any, volume: str) -> None:
    viewer: napari.Viewer = make_napari_viewer_proxy()
    viewer.open(volume, plugin=PLUGIN)
    assert viewer.dims.axis_labels == ("z", "y", "x")
    assert [float(step) for step in viewer.dims.range[0]] == [0.0, 4.0, 2.0]
