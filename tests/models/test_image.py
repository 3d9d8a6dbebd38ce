from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_medseg.models.errors import ImageError, MedSegError
from napari_medseg.models.image import AXES, MedicalImage, as_image, as_mask

AXES_ALLOWED = [t + z + "YX" + c for t in ("", "T") for z in ("", "Z") for c in ("", "C")]


@pytest.mark.parametrize("axes", AXES_ALLOWED)
def test_every_allowed_set_of_axes_knows_its_spatial_axes_and_its_mask_shape(axes: str) -> None:
    sizes = dict(zip(AXES, (2, 3, 5, 7, 4), strict=True))
    image = MedicalImage(np.zeros([sizes[a] for a in axes]), axes)
    assert image.spatial_ndim == (3 if "Z" in axes else 2)
    assert image.spacing == (1.0,) * image.spatial_ndim
    assert image.mask_shape == tuple(sizes[a] for a in axes if a != "C")
    assert image.channels == (4 if "C" in axes else 1)


@pytest.mark.parametrize("axes", AXES_ALLOWED)
def test_planes_put_together_are_the_image(axes: str) -> None:
    sizes = dict(zip(AXES, (2, 3, 5, 7, 4), strict=True))
    data = np.random.default_rng(0).random([sizes[a] for a in axes])
    image = MedicalImage(data, axes)
    again = np.empty_like(data if "C" in axes else data[..., None])
    for index, plane in image.planes():
        assert plane.shape == (5, 7, image.channels)
        again[index] = plane
    np.testing.assert_array_equal(again.reshape(data.shape), data)


@pytest.mark.parametrize("axes", ["XY", "YXZ", "ZCYX", "Y", "", "YXQ", "YYX", "YXC "])
def test_axes_in_another_order_are_refused(axes: str) -> None:
    with pytest.raises(ImageError, match="TZYXC"):
        MedicalImage(np.zeros((3,) * len(axes)), axes)


@pytest.mark.parametrize("spacing", [(0, 1), (-1, 1), (np.nan, 1), (np.inf, 1), (1,), (1, 1, 1)])
def test_a_spacing_that_cannot_be_is_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(ImageError, match="spacing"):
        MedicalImage(np.zeros((3, 4)), "YX", spacing)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.zeros((0, 4)), "no pixels"),
        (np.zeros((3, 4, 5)), "3 axes"),
        (np.zeros((3, 4), complex), "complex"),
        (np.full((3, 4), "a"), "values of type"),
    ],
)
def test_what_is_no_image_is_refused_with_its_name(data: np.ndarray, said: str) -> None:
    with pytest.raises(ImageError, match=f"'scan 7'.*{said}"):
        MedicalImage(data, "YX", name="scan 7")


def test_booleans_become_numbers_and_nothing_can_be_reassigned() -> None:
    image = MedicalImage(np.eye(3, dtype=bool), "YX")
    assert image.data.dtype == np.uint8
    with pytest.raises(FrozenInstanceError):
        image.axes = "XY"  # type: ignore[misc]


def test_other_pixels_keep_axes_spacing_unit_and_name() -> None:
    image = MedicalImage(np.zeros((2, 3, 4)), "ZYX", (5, 1, 1.5), "mm", "liver")
    other = image.with_data(np.ones((2, 3, 4)))
    assert (other.axes, other.spacing, other.unit, other.name) == ("ZYX", (5.0, 1.0, 1.5), "mm", "liver")
    with pytest.raises(ImageError):
        image.with_data(np.ones((3, 4)))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((8, 9), "YX"),
        ((8, 9, 3), "YXC"),
        ((8, 9, 4), "YXC"),
        ((8, 9, 2), "ZYX"),
        ((3, 8, 9), "ZYX"),
        ((3, 3, 3), "ZYX"),
        ((5, 8, 9, 3), "ZYXC"),
        ((5, 6, 8, 9), "TZYX"),
    ],
)
def test_a_bare_array_is_given_axes(shape: tuple[int, ...], axes: str) -> None:
    assert as_image(np.zeros(shape)).axes == axes


def test_an_image_stays_itself_and_five_bare_axes_are_refused() -> None:
    image = MedicalImage(np.zeros((3, 4)), "YX")
    assert as_image(image) is image
    with pytest.raises(ImageError, match="named"):
        as_image(np.zeros((1, 2, 3, 4, 5)))


integer_masks = hnp.arrays(
    st.sampled_from([np.uint8, np.int16, np.int32, np.uint32, np.int64]),
    hnp.array_shapes(min_dims=2, max_dims=4, max_side=5),
    elements=st.integers(0, 127),
)


@given(mask=integer_masks)
def test_a_mask_keeps_its_labels_in_the_smallest_type(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(as_mask(mask), mask)
    np.testing.assert_array_equal(as_mask(mask.astype(float)), mask)
    assert as_mask(mask).dtype == np.uint8
    assert as_mask(as_mask(mask)) is not None
    np.testing.assert_array_equal(as_mask(mask > 0), mask > 0)


@given(top=st.integers(0, 2**32 - 1))
def test_the_type_of_a_mask_holds_its_largest_label(top: int) -> None:
    mask = as_mask(np.array([[0, top]], np.int64))
    assert mask[0, 1] == top
    assert mask.dtype == (np.uint8 if top < 256 else np.uint16 if top < 65536 else np.uint32)


@pytest.mark.parametrize(
    "mask",
    [
        np.array([[0, -1]]),
        np.array([[0, 0.5]]),
        np.array([[0, np.nan]]),
        np.array([[0, np.inf]]),
        np.array([[0, 2**32]]),
        np.array([["a", "b"]]),
        np.zeros((0, 3), int),
    ],
    ids=["negative", "half", "nan", "infinite", "too large", "letters", "empty"],
)
def test_what_are_no_labels_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(ImageError):
        as_mask(mask)


@given(shape=hnp.array_shapes(min_dims=1, max_dims=4, max_side=6))
def test_a_mask_of_another_shape_is_refused_and_says_both(shape: tuple[int, ...]) -> None:
    image = MedicalImage(np.zeros((4, 5, 3)), "YXC")
    if shape == (4, 5):
        as_mask(np.zeros(shape, int), image)
    else:
        with pytest.raises(MedSegError, match=r"\(4, 5\)"):
            as_mask(np.zeros(shape, int), image)
