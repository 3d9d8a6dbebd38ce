import numpy as np
import pytest

from napari_medseg.case_views import SIDE, SMALL, view_of
from napari_medseg.models.image import MedicalImage


def image_of(shape, axes, spacing=()):
    return MedicalImage(np.zeros(shape, np.uint8), axes, spacing, "mm" if spacing else "pixel")


def test_a_volume_shows_the_middle_slice_with_an_object():
    image = image_of((10, 240, 300), "ZYX", (3.0, 0.5, 0.5))
    image.data[:] = np.arange(10, dtype=np.uint8)[:, None, None]
    mask = np.zeros(image.mask_shape, np.uint8)
    mask[4:9, 50:60, 50:60] = 1
    view = view_of(image, mask, None)
    assert view.where == "slice 6 of 10 (counted from 0)"
    assert view.image.data[0, 0] == 6
    assert view.mask.sum() == 100
    assert view.aspect == pytest.approx(300 / 240)


def test_a_series_of_volumes_in_colours_is_shown_too():
    image = image_of((2, 3, 240, 260, 3), "TZYXC")
    mask = np.zeros(image.mask_shape, np.uint8)
    view = view_of(image, mask, mask)
    assert view.where == "frame 1 of 2 (counted from 0), slice 0 of 3 (counted from 0)"
    assert (view.image.axes, view.image.data.shape) == ("YXC", (240, 260, 3))


@pytest.mark.parametrize(
    ("spot", "corner"), [((2960, 4970), (2520, 4520)), ((0, 0), (0, 0)), ((1500, 2500), (1440, 2400))]
)
def test_of_a_large_plane_the_part_that_was_corrected_is_shown(spot, corner):
    image = image_of((3000, 5000), "YX")
    mask, proposal = np.zeros((2, *image.mask_shape), np.uint8)
    mask[700:800, 700:800] = proposal[700:800, 700:800] = 1
    mask[spot] = 1
    view = view_of(image, mask, proposal)
    assert view.where == f"{SIDE} x {SIDE} of 5000 x 3000 pixels"
    assert view.mask[spot[0] - corner[0], spot[1] - corner[1]] == 1


def test_a_long_strip_is_cut_along_its_length():
    image = image_of((100, 5000), "YX")
    view = view_of(image, np.zeros((100, 5000), np.uint8), None)
    assert view.mask.shape == (100, SIDE)
    assert view.where == f"{SIDE} x 100 of 5000 x 100 pixels"


@pytest.mark.parametrize("side", [1, 40, SMALL, SIDE, SIDE + 1, 2 * SIDE, 2 * SIDE + 1])
def test_pictures_are_neither_tiny_nor_huge(side):
    view = view_of(image_of((side, side), "YX"), np.ones((side, side), np.uint8), None)
    assert view.mask.shape == view.image.data.shape
    assert SMALL <= max(view.mask.shape) <= SIDE + 1


def test_pixels_that_are_longer_one_way_are_shown_as_long():
    view = view_of(image_of((300, 300), "YX", (0.5, 0.25)), np.ones((300, 300), np.uint8), None)
    assert view.aspect == pytest.approx(0.5)
