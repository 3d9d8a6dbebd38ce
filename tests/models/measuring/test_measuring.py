import math
import time

import dask.array as da
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_medseg.models.errors import CancelledError, ImageError
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.measuring import LabelMeasures, measure, measure_planes


def ellipsoid(diameters: tuple[float, ...], spacing: tuple[float, ...]) -> np.ndarray:
    """Voxels whose centres lie in it, in a box with some room; 2D or 3D."""
    axes = []
    for diameter, step in zip(diameters, spacing, strict=True):
        reach = int(diameter / 2 / step) + 2
        axes.append(np.arange(-reach, reach + 1) * step / (diameter / 2))
    return sum(at**2 for at in np.meshgrid(*axes, indexing="ij")) <= 1


def only(mask: np.ndarray, spacing: tuple[float, ...], unit: str = "mm", **options) -> LabelMeasures:
    image = MedicalImage(np.zeros(mask.shape, np.uint8), "ZYX"[-mask.ndim :], spacing, unit)
    (found,) = measure(mask, image, **options)
    return found


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7), (0.7, 1.3, 2.0)])
def test_a_ball(spacing: tuple[float, ...]) -> None:
    ball = only(ellipsoid((40, 40, 40), spacing), spacing)
    assert ball.volume == pytest.approx(4 / 3 * math.pi * 20**3, rel=0.01)
    assert ball.surface == pytest.approx(4 * math.pi * 20**2, rel=0.02)
    assert ball.equivalent_diameter == pytest.approx(40, rel=0.01)
    assert ball.longest_diameter == pytest.approx(40, abs=max(spacing))
    assert ball.shortest_diameter == pytest.approx(40, abs=max(spacing))
    assert (ball.area, ball.perimeter) == (None, None)


def test_an_ellipsoid_in_anisotropic_voxels() -> None:
    spacing = (3.0, 0.8, 0.8)
    found = only(ellipsoid((30, 24, 56), spacing), spacing)
    assert found.volume == pytest.approx(math.pi / 6 * 30 * 24 * 56, rel=0.02)  # ten slices
    assert found.longest_diameter == pytest.approx(56, abs=1)
    assert found.shortest_diameter == pytest.approx(24, abs=1)
    assert found.plane == found.centre[0] == 7  # its widest slice


def test_a_disc() -> None:
    disc = only(ellipsoid((60, 60), (0.5, 0.5)), (0.5, 0.5), "um")
    assert disc.unit == "um"
    assert disc.area == pytest.approx(math.pi * 30**2, rel=0.01)
    assert disc.perimeter == pytest.approx(math.pi * 60, rel=0.01)
    assert (disc.volume, disc.surface, disc.plane, disc.frame) == (None, None, None, None)


def test_a_box_has_the_volume_of_its_voxels_exactly_wherever_it_lies() -> None:
    mask = np.zeros((12, 20, 30), np.uint8)
    mask[0:4, 10:20, 25:30] = 1
    box = only(mask, (2.5, 0.5, 0.7))
    assert box.volume == pytest.approx(4 * 2.5 * 10 * 0.5 * 5 * 0.7)
    assert box.pixels == 200
    assert box.box == ((0, 4), (10, 20), (25, 30))
    assert box.longest_diameter == pytest.approx(math.hypot(5, 3.5), abs=0.5)
    middle = np.zeros_like(mask)
    middle[5:9, 5:15, 10:15] = 1
    assert only(middle, (2.5, 0.5, 0.7)).surface == pytest.approx(box.surface)


def test_without_a_known_length_everything_is_in_pixels() -> None:
    mask = np.zeros((8, 20, 20), np.uint8)
    mask[2:5, 5:10, 5:10] = 1
    found = only(mask, (5.0, 1.0, 1.0), "pixel")
    assert found.unit == "pixel"
    assert found.volume == 75
    assert found == only(mask, (1.0, 1.0, 1.0), "pixel")


labels_3d = arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(0, 3))


@settings(max_examples=40, deadline=None)
@given(mask=labels_3d, spacing=st.tuples(*[st.floats(0.1, 10)] * 3), seed=st.integers(0, 2**16))
def test_simpleitk_measures_the_same(mask: np.ndarray, spacing: tuple[float, ...], seed: int) -> None:
    values = np.random.default_rng(seed).normal(-500, 300, mask.shape)
    found = measure(mask, MedicalImage(values, "ZYX", spacing, "mm"))

    labels, picture = sitk.GetImageFromArray(mask), sitk.GetImageFromArray(values)
    for image in (labels, picture):
        image.SetSpacing(spacing[::-1])
    shapes, statistics = sitk.LabelShapeStatisticsImageFilter(), sitk.LabelStatisticsImageFilter()
    shapes.Execute(labels)
    statistics.Execute(picture, labels)
    assert [one.label for one in found] == list(shapes.GetLabels())
    for one in found:
        assert one.pixels == shapes.GetNumberOfPixels(one.label)
        assert one.volume == pytest.approx(shapes.GetPhysicalSize(one.label))
        assert one.equivalent_diameter == pytest.approx(2 * shapes.GetEquivalentSphericalRadius(one.label))
        assert one.surface == pytest.approx(shapes.GetPerimeter(one.label))
        assert one.mean[0] == pytest.approx(statistics.GetMean(one.label))
        x, y, z, width, height, depth = shapes.GetBoundingBox(one.label)
        assert one.box == ((z, z + depth), (y, y + height), (x, x + width))


@settings(max_examples=30, deadline=None)
@given(mask=labels_3d, seed=st.integers(0, 2**16), channels=st.sampled_from([0, 3]))
def test_mean_and_sd_are_those_of_the_pixels(mask: np.ndarray, seed: int, channels: int) -> None:
    shape = (*mask.shape, channels) if channels else mask.shape
    values = np.random.default_rng(seed).normal(1e4, 1, shape)
    for one in measure(mask, MedicalImage(values, "ZYXC" if channels else "ZYX")):
        inside = values[mask == one.label].reshape(one.pixels, -1)
        assert one.mean == pytest.approx(inside.mean(0))
        assert one.sd == pytest.approx(inside.std(0), abs=1e-9)


def test_values_that_are_no_numbers_are_left_out() -> None:
    values = np.array([[1.0, 3.0, np.nan], [np.nan, np.inf, 7.0]])
    mask = np.array([[1, 1, 1], [2, 2, 0]])
    first, second = measure(mask, MedicalImage(values, "YX"))
    assert (first.mean, first.sd) == ((2.0,), (1.0,))
    assert math.isnan(second.mean[0])


def test_pieces_that_touch_at_a_corner_are_one() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[1:3, 1:3] = mask[3:5, 3:5] = mask[8, 8] = 4
    found = only(mask, ())
    assert (found.label, found.pieces, found.pixels) == (4, 2, 9)


def test_each_label_in_each_plane() -> None:
    mask = np.zeros((4, 20, 20), np.uint8)
    mask[1, 5:10, 5:10] = 1
    mask[2, 5:10, 5:15] = 1
    mask[2, 15:18, 15:18] = 2
    image = MedicalImage(np.zeros(mask.shape), "ZYX", (3, 0.5, 0.5), "mm")
    found = measure_planes(mask, image, names={2: "node"})
    assert [(one.plane, one.label, one.name) for one in found] == [(1, 1, ""), (2, 1, ""), (2, 2, "node")]
    assert [one.area for one in found] == pytest.approx([6.25, 12.5, 2.25])
    assert all(one.volume is None and one.surface is None for one in found)
    assert found[2].box == ((2, 3), (15, 18), (15, 18))
    assert found[2].centre == (2, 16, 16)
    assert sum(one.area for one in found) * 3 == pytest.approx(sum(one.volume for one in measure(mask, image)))


def test_a_series_is_measured_frame_by_frame() -> None:
    mask = np.zeros((3, 20, 20), np.uint8)
    mask[0, 5:10, 5:10] = mask[2, 5:10, 5:15] = 1
    found = measure(mask, MedicalImage(np.zeros(mask.shape), "TYX", (0.5, 0.5), "mm"))
    assert [(one.frame, one.plane, one.area) for one in found] == [(0, None, 6.25), (2, None, 12.5)]
    assert found[1].centre[0] == 2


def test_a_lazy_image_is_measured_like_one_in_memory_and_not_read_twice() -> None:
    values = np.random.default_rng(0).integers(0, 4000, (6, 40, 50)).astype(np.int16)
    mask = np.zeros(values.shape, np.uint8)
    mask[1:4, 5:30, 5:40] = 1
    mask[2:5, 30:35, 41:45] = 2
    read = []

    def plane(block: np.ndarray, block_info: list[dict]) -> np.ndarray:
        read.append(block_info[0]["chunk-location"])
        return block

    lazy = da.from_array(values, chunks=(1, 20, 50)).map_blocks(plane, dtype=values.dtype, meta=values[:0])
    found = measure(mask, MedicalImage(lazy, "ZYX", (2, 1, 1), "mm"))

    assert found == measure(mask, MedicalImage(values, "ZYX", (2, 1, 1), "mm"))
    assert len(read) == len(set(read)) == 8


def test_labels_of_any_size_are_found() -> None:
    mask = np.zeros((10, 10), np.uint32)
    mask[1:3, 1:3], mask[5:7, 5:9] = 70_000, 4_000_000_000
    found = measure(mask, MedicalImage(np.zeros(mask.shape), "YX"))
    assert [(one.label, one.pixels) for one in found] == [(70_000, 4), (4_000_000_000, 8)]


def test_an_empty_mask_has_no_measures() -> None:
    image = MedicalImage(np.zeros((3, 4, 5)), "ZYX")
    assert measure(np.zeros((3, 4, 5), np.uint8), image) == ()
    assert measure_planes(np.zeros((3, 4, 5), np.uint8), image) == ()


def test_a_mask_of_another_image_is_refused() -> None:
    with pytest.raises(ImageError, match="shape"):
        measure(np.zeros((4, 5), np.uint8), MedicalImage(np.zeros((5, 4)), "YX"))


def test_it_tells_how_far_it_is_and_stops_when_asked() -> None:
    mask = np.zeros((5, 20, 20), np.uint8)
    mask[:, 5:10, 5:10] = 1
    image, shares = MedicalImage(np.zeros(mask.shape), "TYX"), []
    measure(mask, image, progress=shares.append)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    with pytest.raises(CancelledError):
        measure(mask, image, cancel=lambda: True)


def test_a_thousand_nuclei_are_measured_in_their_boxes_and_not_in_the_whole_image() -> None:
    mask = np.zeros((2048, 2048), np.uint16)
    disc = ellipsoid((21, 23), (1, 1))
    for number in range(1000):
        y, x = 20 + 60 * (number // 32), 20 + 60 * (number % 32)
        mask[y : y + disc.shape[0], x : x + disc.shape[1]][disc] = number + 1
    image = MedicalImage(np.zeros(mask.shape, np.uint8), "YX")
    start = time.thread_time()
    found = measure(mask, image)
    assert len(found) == 1000
    assert time.thread_time() - start < 4  # half a second on a machine that does nothing else; a minute otherwise
