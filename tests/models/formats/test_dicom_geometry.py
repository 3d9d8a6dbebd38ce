"""Where a series lies in the patient, against the millimetres that were written and against SimpleITK."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import OpenedImage, open_image
from napari_medseg.models.geometry import Geometry, turn

from .dicom_support import (
    AXIAL,
    CORONAL,
    FEET_FIRST_PRONE,
    PRONE,
    SAGITTAL,
    image,
    numbered,
    save,
    series,
    turned,
)

ORIENTATIONS = {
    "axial": AXIAL,
    "sagittal": SAGITTAL,
    "coronal": CORONAL,
    "feet first, prone": FEET_FIRST_PRONE,
    "prone": PRONE,
    "sagittal, to the right": (0, -1, 0, 0, 0, -1),
    "oblique": turned(AXIAL, (20, -15, 30)),
    "double oblique coronal": turned(CORONAL, (10, 25, -40)),
}


def place_of(opened: OpenedImage, value: int) -> np.ndarray:
    """(L, P, S) in mm of the voxel that has this value."""
    geometry = opened.image.geometry
    assert isinstance(geometry, Geometry)
    index = np.argwhere(np.asarray(opened.image.data) == value)[0]
    return (geometry.affine @ [*([0] * (3 - len(index))), *index, 1])[:3]


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_a_box_lies_where_it_was_written_and_is_as_large(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    volume = np.zeros((7, 9, 11), np.int16)
    volume[2:5, 3:7, 4:10] = 500  # 6 x 3.2 x 3 mm
    origin, spacing = np.array((-30.0, 20.0, 700.0)), (2.0, 0.8, 0.5)
    series(tmp_path / "box", volume, orientation=orientation, spacing=spacing, origin=tuple(origin))

    opened = open_image(tmp_path / "box")

    assert opened.image.geometry is not None
    assert opened.image.spacing == pytest.approx(spacing)
    assert (opened.image.axes, opened.image.unit) == ("ZYX", "mm")
    found = np.argwhere(np.asarray(opened.image.data) == 500)
    inside = (opened.image.geometry.affine @ np.c_[found, np.ones(len(found))].T)[:3].T
    along_x, along_y = np.reshape(orientation, (2, 3))
    axes = np.stack([np.cross(along_x, along_y), along_y, along_x])
    seen = (inside - origin) @ axes.T  # along Z, Y, X of the scanner
    np.testing.assert_allclose(seen.min(axis=0), (2 * 2.0, 3 * 0.8, 4 * 0.5), atol=1e-4)
    np.testing.assert_allclose(seen.max(axis=0), (4 * 2.0, 6 * 0.8, 9 * 0.5), atol=1e-4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    degrees=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 6)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    shape=st.tuples(*[st.integers(2, 4)] * 3),
)
def test_every_voxel_lies_where_simpleitk_says(
    degrees: tuple[float, ...], spacing: tuple[float, ...], origin: tuple[float, ...], shape: tuple[int, ...]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        series(Path(folder), numbered(*shape), orientation=turned(AXIAL, degrees), spacing=spacing, origin=origin)
        opened = open_image(folder)
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
        other = reader.Execute()
        theirs = SimpleITK.GetArrayFromImage(other)
        for value in (1, shape[2], int(np.prod(shape)) // 2, int(np.prod(shape))):
            index = np.argwhere(theirs == value)[0][::-1]
            there = other.TransformIndexToPhysicalPoint([int(i) for i in index])
            np.testing.assert_allclose(place_of(opened, value), there, atol=0.01)


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_the_image_stands_as_radiologists_look_at_it_and_a_mask_is_turned_back(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    volume = numbered(3, 4, 5)
    series(tmp_path / "a", volume, orientation=orientation)
    opened = open_image(tmp_path / "a")
    geometry = opened.image.geometry
    assert geometry is not None
    assert geometry.as_seen() == (False, False, False)
    np.testing.assert_array_equal(turn(np.asarray(opened.image.data), geometry.flipped), volume)
    np.testing.assert_allclose(geometry.stored(volume.shape).origin, (-30.0, 20.0, 700.0), atol=1e-6)


def test_slices_come_in_the_order_of_their_positions_whatever_their_names_and_numbers(tmp_path: Path) -> None:
    volume = numbered(12, 3, 3)
    paths = series(tmp_path / "a", volume)
    assert [path.name for path in paths] != sorted(path.name for path in paths)
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "a").image.data), volume)


def test_an_oblique_volume_keeps_its_own_grid_and_the_user_is_told(tmp_path: Path) -> None:
    series(tmp_path / "oblique", numbered(3, 4, 5), orientation=turned(AXIAL, (20, 0, 0)))
    series(tmp_path / "straight", numbered(3, 4, 5))
    opened = open_image(tmp_path / "oblique")
    assert sorted(np.asarray(opened.image.data).ravel()) == list(range(1, 61))
    assert any("20 degrees" in notice for notice in opened.notices)
    assert open_image(tmp_path / "straight").notices == ()


def test_a_single_slice_has_a_place_and_the_thickness_of_its_slice(tmp_path: Path) -> None:
    (path,) = series(tmp_path / "a", numbered(1, 4, 5))
    opened = open_image(path)
    assert (opened.image.axes, opened.image.spacing) == ("YX", (0.8, 0.5))
    assert opened.image.geometry is not None
    assert opened.image.geometry.spacing == pytest.approx((5.0, 0.8, 0.5))
    np.testing.assert_allclose(place_of(opened, 1), (-30.0, 20.0, 700.0))


@pytest.mark.parametrize("tilt", [(0.7, 0.0), (-0.55, 0.0), (0.4, -0.3)])
@pytest.mark.parametrize("orientation", [AXIAL, FEET_FIRST_PRONE], ids=["head first", "feet first, prone"])
def test_a_tilted_volume_is_put_upright_and_a_ball_stays_where_it_is(
    tmp_path: Path, tilt: tuple[float, float], orientation: tuple[float, ...]
) -> None:
    spacing, shape = (1.5, 0.8, 0.5), (12, 24, 30)
    along_x, along_y = np.reshape(np.array(orientation, float), (2, 3))
    normal = np.cross(along_x, along_y)
    origin = np.array((-30.0, 20.0, 700.0))
    step = normal * spacing[0] + along_y * tilt[0] + along_x * tilt[1]
    centre = origin + 6 * step + 11 * spacing[1] * along_y + 14 * spacing[2] * along_x
    z, y, x = np.indices(shape)
    places = origin + z[..., None] * step + y[..., None] * spacing[1] * along_y + x[..., None] * spacing[2] * along_x
    ball = (1000 * np.exp(-((places - centre) ** 2).sum(axis=-1) / 4)).astype(np.int16)
    series(tmp_path / "a", ball, orientation=orientation, spacing=spacing, origin=tuple(origin), tilt=tilt)

    opened = open_image(tmp_path / "a")

    geometry, data = opened.image.geometry, np.asarray(opened.image.data)
    assert geometry is not None
    assert geometry.shear < 1e-6
    assert opened.image.spacing == pytest.approx(spacing)
    assert data.dtype == np.int16
    assert data.sum() == pytest.approx(ball.sum(), rel=0.01), "nothing is cut off"
    weights = data / data.sum()
    index = [float((weights * axis).sum()) for axis in np.indices(data.shape)]
    np.testing.assert_allclose((geometry.affine @ [*index, 1])[:3], centre, atol=0.05)
    assert any("moved within its plane" in notice for notice in opened.notices)


def test_what_is_outside_of_a_tilted_slice_has_the_padding_value(tmp_path: Path) -> None:
    volume = np.full((4, 5, 6), 40, np.int16)
    series(tmp_path / "a", volume, tilt=(1.6, 0.0), PixelPaddingValue=-2000, RescaleIntercept=-24, RescaleSlope=1)
    data = np.asarray(open_image(tmp_path / "a").image.data)
    assert data.shape == (4, 11, 6)  # 3 steps of 2 rows
    assert set(np.unique(data)) == {-2024, 16}


def test_slices_that_lie_beside_each_other_are_refused(tmp_path: Path) -> None:
    series(tmp_path / "a", numbered(4, 5, 6), tilt=(40.0, 0.0))
    with pytest.raises(ImageError, match="no volume"):
        open_image(tmp_path / "a")


def test_a_missing_slice_is_named_and_empty_and_the_others_stay_where_they_are(tmp_path: Path) -> None:
    volume = numbered(9, 3, 3)
    series(tmp_path / "a", volume, leave_out=[3], RescaleIntercept=-1000, RescaleSlope=1)
    opened = open_image(tmp_path / "a")
    data = np.asarray(opened.image.data)
    assert data.shape == volume.shape
    assert (data[3] == -1000).all()
    np.testing.assert_array_equal(data[4:], volume[4:].astype(int) - 1000)
    assert opened.image.spacing[0] == 2.0
    (notice,) = opened.notices
    assert "slice is missing" in notice
    assert "number 3 " in notice


def test_the_number_of_a_missing_slice_is_that_on_the_slider_also_where_the_series_is_turned(tmp_path: Path) -> None:
    series(tmp_path / "a", numbered(9, 3, 3), orientation=PRONE, leave_out=[2])
    opened = open_image(tmp_path / "a")
    empty = [z for z in range(9) if not np.asarray(opened.image.data)[z].any()]
    assert f"number {empty[0]} " in opened.notices[0]


@pytest.mark.parametrize("steps", [(2.0, 2.0, 2.0, 5.0, 5.0, 5.0), (1.0, 1.3, 0.8, 1.9), (1.0, 2.0), (1.0, 1.0, 90.0)])
def test_mixed_spacings_are_refused_and_named(tmp_path: Path, steps: tuple[float, ...]) -> None:
    for z in [0.0, *itertools.accumulate(steps)]:
        series(
            tmp_path / f"{z}", numbered(1, 3, 3), origin=(0, 0, z), SeriesInstanceUID="1.2.3", FrameOfReferenceUID="1.9"
        )
    with pytest.raises(ImageError, match="unevenly spaced") as refused:
        open_image(tmp_path)
    for step in set(steps):
        assert f"{step:g}" in str(refused.value)


def test_positions_with_few_digits_are_even(tmp_path: Path) -> None:
    for z in range(9):
        at = (0, 0, round(z * 0.6 / 0.7, 2))
        series(tmp_path / f"{z}", numbered(1, 3, 3), origin=at, SeriesInstanceUID="1.2.3", FrameOfReferenceUID="1.9")
    assert open_image(tmp_path).image.spacing[0] == pytest.approx(0.6 / 0.7, rel=1e-2)


def test_the_thickness_of_a_slice_is_not_taken_for_the_distance_of_slices(tmp_path: Path) -> None:
    series(tmp_path / "a", numbered(3, 4, 5), spacing=(1.25, 1, 1), SpacingBetweenSlices=7)
    assert open_image(tmp_path / "a").image.spacing[0] == 1.25


def test_without_positions_slices_come_by_number_with_the_noted_distance_and_the_user_is_told(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        dataset = image(
            np.full((4, 5), number, np.uint8),
            SeriesInstanceUID="1.2.3",
            InstanceNumber=number,
            PixelSpacing=[1, 1],
            SpacingBetweenSlices=2.5,
        )
        save(dataset, tmp_path / f"{9 - number}.dcm")
    opened = open_image(tmp_path)
    assert np.asarray(opened.image.data)[:, 0, 0].tolist() == [1, 2, 3]
    assert (opened.image.spacing, opened.image.geometry) == ((2.5, 1.0, 1.0), None)
    assert any("order of their numbers" in notice for notice in opened.notices)
    assert any("2.5 mm" in notice for notice in opened.notices)


@pytest.mark.parametrize("orientation", [[0] * 6, [1, 0, 0, 1, 0, 0], [1, 0, 0]])
def test_a_nonsense_orientation_is_no_place(tmp_path: Path, orientation: list[float]) -> None:
    dataset = image(
        np.ones((4, 5), np.uint8),
        ImagePositionPatient=[0, 0, 0],
        ImageOrientationPatient=orientation,
        PixelSpacing=[1, 1],
    )
    assert open_image(save(dataset, tmp_path / "a.dcm")).image.geometry is None
