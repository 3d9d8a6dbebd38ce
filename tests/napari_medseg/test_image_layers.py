import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_medseg.image_layers import (
    channel_siblings,
    layer_settings,
    mask_layer_settings,
    medical_image,
    pixel_side,
)
from napari_medseg.models.errors import ImageError
from napari_medseg.models.image import MedicalImage

steps = st.floats(0.05, 20)
quick = settings(max_examples=60, deadline=None)


def pixels(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


@pytest.mark.parametrize(
    "settings", [{"scale": (0.5, 2.0)}, {"affine": np.diag([0.5, 2.0, 1.0])}, {"scale": (-1, 0.5), "rotate": 30}]
)
def test_a_pixel_is_as_long_as_scale_rotation_and_affine_make_it(settings: dict[str, object]) -> None:
    assert pixel_side(Image(pixels(4, 5), **settings)) == pytest.approx(0.5)


@quick
@given(
    axes=st.sampled_from(["YX", "ZYX", "TYX", "TZYX"]),
    spacing=st.tuples(steps, steps, steps),
    unit=st.sampled_from(["mm", "um", "nm", "cm", "m", "pixel"]),
)
def test_an_image_that_is_shown_comes_back_as_it_was(axes: str, spacing: tuple[float, float, float], unit: str) -> None:
    shape = tuple({"T": 2, "Z": 4, "Y": 6, "X": 5}[axis] for axis in axes)
    image = MedicalImage(pixels(*shape), axes, spacing[-sum(a in "ZYX" for a in axes) :], unit)
    again = medical_image(Image(image.data, **layer_settings(image)))
    np.testing.assert_array_equal(again.data, image.data)
    assert (again.axes, again.unit) == (axes, unit)
    assert again.spacing == pytest.approx(image.spacing)


@pytest.mark.parametrize(
    ("shape", "rgb", "axes"),
    [
        ((6, 5), False, "YX"),
        ((4, 6, 5), False, "ZYX"),
        ((2, 4, 6, 5), False, "TZYX"),
        ((6, 5, 3), True, "YXC"),
        ((4, 6, 5, 3), True, "ZYXC"),
    ],
)
def test_a_layer_without_a_word_about_its_axes_is_a_plane_a_stack_or_a_stack_in_time(
    shape: tuple[int, ...], rgb: bool, axes: str
) -> None:
    image = medical_image(Image(pixels(*shape), rgb=rgb, name="scan"))
    assert (image.axes, image.unit, image.name) == (axes, "pixel", "scan")
    np.testing.assert_array_equal(image.data, pixels(*shape))


def test_transparency_is_left_out() -> None:
    np.testing.assert_array_equal(medical_image(Image(pixels(6, 5, 4), rgb=True)).data, pixels(6, 5, 4)[..., :3])


def test_axes_that_another_reader_spelled_are_taken() -> None:
    image = medical_image(Image(pixels(3, 6, 5), axis_labels=("time", "y", "x"), scale=(9, 2, 3)))
    assert (image.axes, image.spacing) == ("TYX", (2.0, 3.0))


def test_axes_noted_for_other_data_are_not_believed() -> None:
    layer = Image(pixels(3, 6, 5), metadata={"medseg": {"axes": "YX"}})
    assert medical_image(layer).axes == "ZYX"
    layer.metadata["medseg"] = "nonsense"
    assert medical_image(layer).axes == "ZYX"


def test_more_axes_than_are_known_are_refused() -> None:
    with pytest.raises(ImageError, match="5 axes"):
        medical_image(Image(pixels(2, 2, 2, 6, 5)))


@pytest.mark.parametrize(
    ("units", "scale", "spacing", "unit"),
    [
        (("um", "um"), (2, 3), (2.0, 3.0), "um"),
        (("micron", "um"), (2, 3), (2.0, 3.0), "um"),
        (("nm", "um"), (500, 3), (0.5, 3.0), "um"),
        (("inch", "mm"), (1, 3), (25.4, 3.0), "mm"),
        (("mm", "pixel"), (2, 3), (2.0, 3.0), "pixel"),
        (("second", "second"), (2, 3), (2.0, 3.0), "pixel"),
    ],
)
def test_units_of_several_names_become_that_of_x(
    units: tuple[str, str], scale: tuple[float, float], spacing: tuple[float, float], unit: str
) -> None:
    image = medical_image(Image(pixels(6, 5), units=units, scale=scale))
    assert image.spacing == pytest.approx(spacing)
    assert image.unit == unit


def test_spacing_is_measured_through_every_transform() -> None:
    layer = Image(pixels(4, 6, 5), scale=(-5, 1.5, 1.5), affine=np.diag([2, 1, 1, 1.0]), translate=(7, 8, 9))
    assert medical_image(layer).spacing == (10.0, 1.5, 1.5)


@pytest.mark.parametrize(
    "oblique",
    [
        {"rotate": (0, 5, 0)},
        {"rotate": 90},
        {"shear": (0.1, 0, 0)},
        {"affine": np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])},
    ],
    ids=["rotated", "turned", "sheared", "tilted"],
)
def test_an_oblique_volume_is_refused_and_a_plane_is_not(oblique: dict) -> None:
    with pytest.raises(ImageError, match=r"'gantry' is shown obliquely.*[Rr]esample"):
        medical_image(Image(pixels(4, 6, 5), name="gantry", **oblique))
    assert medical_image(Image(pixels(6, 5), rotate=30, scale=(2, 3))).spacing == pytest.approx((2, 3))


def test_a_tilt_below_half_a_pixel_is_none() -> None:
    tilted = np.eye(4)
    tilted[0, 1] = 1e-4
    assert medical_image(Image(pixels(4, 6, 5), affine=tilted)).axes == "ZYX"


def test_lazy_and_multiscale_pixels_are_taken_at_full_size() -> None:
    data = pixels(64, 48)
    image = medical_image(Image(da.from_array(data, chunks=16)))
    assert type(image.data) is np.ndarray
    np.testing.assert_array_equal(image.data, data)
    pyramid = [da.from_array(data, chunks=16), da.from_array(data[::2, ::2], chunks=16)]
    np.testing.assert_array_equal(medical_image(Image(pyramid, multiscale=True)).data, data)


def test_pixels_that_cannot_be_had_are_said() -> None:
    def gone(block: np.ndarray) -> np.ndarray:
        raise OSError("server went away")

    lazy = da.zeros((8, 8), chunks=4, dtype="u1")
    layer = Image(lazy, name="slide", contrast_limits=(0, 1))
    layer._data = lazy.map_blocks(gone, dtype="u1", meta=np.zeros((0, 0), "u1"))  # the server leaves later
    with pytest.raises(ImageError, match=r"'slide' cannot be had \(server went away"):
        medical_image(layer)


def test_pixels_that_do_not_fit_in_memory_are_refused() -> None:
    huge = da.zeros((10**7, 10**7), chunks=(1000, 1000), dtype="u1")
    layer = Image([huge, da.zeros((8, 8), dtype="u1")], multiscale=True, contrast_limits=(0, 1), name="slide")
    with pytest.raises(ImageError, match=r"'slide' needs 100000\.0 GB"):
        medical_image(layer)


def channel(of: str, number: int, data: np.ndarray) -> Image:
    return Image(
        data, name=f"{of}{number}", metadata={"medseg": {"source": of, "channel": number, "channels": 3, "axes": "YXC"}}
    )


def test_channels_are_stacked_in_their_own_order_whichever_is_asked() -> None:
    layers = [channel("a", n, pixels(6, 5) + n) for n in (2, 0, 1)]
    viewer = ViewerModel()
    for layer in [*layers, channel("b", 0, pixels(6, 5)), Image(pixels(6, 5))]:
        viewer.add_layer(layer)
    for layer in layers:
        image = medical_image(layer, channel_siblings(layer, viewer.layers))
        assert image.axes == "YXC"
        np.testing.assert_array_equal(image.data, pixels(6, 5)[..., None] + np.arange(3))


def test_a_layer_of_no_known_source_has_no_siblings() -> None:
    layers = [Image(pixels(6, 5)), Image(pixels(6, 5))]
    assert channel_siblings(layers[0], layers) == ()


def test_channels_of_different_shape_are_refused() -> None:
    with pytest.raises(ImageError, match=r"'a0'.*'a1'"):
        medical_image(channel("a", 0, pixels(6, 5)), [channel("a", number, pixels(5, 6)) for number in (1, 2)])


def test_some_of_the_channels_of_an_image_are_not_the_image() -> None:
    with pytest.raises(ImageError, match="Only 2 of the 3 channels"):
        medical_image(channel("a", 0, pixels(6, 5)), [channel("a", 1, pixels(6, 5))])


@quick
@given(
    scale=st.tuples(steps, steps, steps),
    translate=st.tuples(steps, steps, steps),
    rotate=st.floats(-180, 180),
    shear=st.floats(-0.5, 0.5),
    tilt=st.floats(-0.5, 0.5),
    ndim=st.sampled_from([2, 3]),
    rgb=st.booleans(),
)
def test_a_mask_lies_exactly_over_its_image(
    scale: tuple, translate: tuple, rotate: float, shear: float, tilt: float, ndim: int, rgb: bool
) -> None:
    affine = np.eye(ndim + 1)
    affine[0, 1] = tilt
    layer = Image(
        pixels(*(4, 6, 5)[-ndim:], *([3] if rgb else [])),
        rgb=rgb,
        scale=scale[-ndim:],
        translate=translate[-ndim:],
        rotate=rotate,
        shear=[shear] * (ndim * (ndim - 1) // 2),
        affine=affine,
        units=("um",) * ndim,
        axis_labels=("z", "y", "x")[-ndim:],
    )
    mask = Labels(np.zeros((4, 6, 5)[-ndim:], np.uint8), **mask_layer_settings(layer))
    for corner in np.ndindex((2,) * ndim):
        point = np.array(corner) * (np.array(mask.data.shape) - 1)
        np.testing.assert_allclose(mask.data_to_world(point), layer.data_to_world(point), atol=1e-6)
    assert (mask.units, mask.axis_labels) == (layer.units, layer.axis_labels)


def test_settings_of_a_mask_do_not_hang_on_the_image() -> None:
    layer = Image(pixels(6, 5), scale=(2, 3))
    taken = mask_layer_settings(layer)
    layer.scale = (7, 7)
    assert taken["scale"].tolist() == [2, 3]


def test_no_network_library_and_no_window_library_is_loaded() -> None:
    rooms = ("image_layers", "reader", "sample_data", "phantom", "samples", "models.reading", "models.writing")
    script = "import sys; " + "".join(f"import napari_medseg.{room}; " for room in rooms)
    script += "from napari_medseg.sample_data import histology; histology(); "
    script += "print(sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    for name in ("torch", "triton", "torchvision", "timm", "monai", "PyQt5", "PyQt6", "PySide6"):
        assert f"'{name}'" not in loaded
