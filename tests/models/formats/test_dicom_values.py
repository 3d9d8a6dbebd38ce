"""What the numbers and the pixels' distances of a DICOM file mean."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from napari_medseg.models.formats import open_image
from napari_medseg.models.formats.dicom_values import Values, type_of

from .dicom_support import AXIAL, Array, image, save, series

RAMP = np.arange(20, dtype=np.uint16).reshape(4, 5)


def read(tmp_path: Path, pixels: Array = RAMP, **elements: Any) -> Any:
    """What opening a file with these elements gives."""
    return open_image(save(image(pixels, **elements), tmp_path / "a.dcm"))


# rescaling


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "dtype"),
    [
        pytest.param("u2", 1, 0, "u2", id="nothing to do"),
        pytest.param("u1", 1, 0, "u1", id="bytes"),
        pytest.param("i2", 1, -1024, "i2", id="CT of 16 bits"),
        pytest.param("u1", 2, -100, "i2", id="whole numbers that fit"),
        pytest.param("u2", 1, -1024, "i4", id="whole numbers that do not fit"),
        pytest.param("u2", 0.5, 0, "f4", id="PET"),
        pytest.param("i2", 1, 0.5, "f4", id="a half"),
    ],
)
def test_values_are_rescaled_in_the_smallest_type_that_is_exact(
    tmp_path: Path, stored: str, slope: float, intercept: float, dtype: str
) -> None:
    opened = read(tmp_path, RAMP.astype(stored), RescaleSlope=slope, RescaleIntercept=intercept)
    data = np.asarray(opened.image.data)
    assert data.dtype == opened.image.data.dtype == dtype
    np.testing.assert_array_equal(data, RAMP * float(slope) + intercept)


def test_twelve_bits_stored_in_sixteen_are_ct_numbers_of_sixteen(tmp_path: Path) -> None:
    opened = read(tmp_path, RAMP, BitsStored=12, HighBit=11, RescaleSlope=1, RescaleIntercept=-1024)
    assert opened.image.data.dtype == np.int16


def test_padding_below_what_sixteen_bits_hold_stays_at_their_end(tmp_path: Path) -> None:
    pixels = np.array([[-32768, 40], [-1000, 32767]], np.int16)
    data = np.asarray(read(tmp_path, pixels, RescaleSlope=1, RescaleIntercept=-1024).image.data)
    assert data.tolist() == [[-32768, -984], [-2024, 31743]]


def test_each_slice_of_a_pet_has_a_slope_of_its_own(tmp_path: Path) -> None:
    for z, slope in enumerate((0.5, 2.0, 3.25)):
        series(
            tmp_path / f"{z}",
            RAMP[np.newaxis],
            origin=(0, 0, z),
            Modality="PT",
            SeriesInstanceUID="1.2.3",
            FrameOfReferenceUID="1.9",
            RescaleSlope=slope,
            RescaleIntercept=0,
        )
    data = np.asarray(open_image(tmp_path).image.data)
    assert data.dtype == np.float32
    np.testing.assert_allclose(data, np.stack([RAMP * slope for slope in (0.5, 2.0, 3.25)]))


@pytest.mark.parametrize(
    "broken", [{"RescaleSlope": 0, "RescaleIntercept": 0}, {"RescaleSlope": "", "RescaleIntercept": ""}]
)
def test_a_slope_of_nothing_is_no_slope(tmp_path: Path, broken: dict[str, Any]) -> None:
    np.testing.assert_array_equal(read(tmp_path, **broken).image.data, RAMP)


def test_colours_are_never_rescaled(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    opened = read(tmp_path, pixels, RescaleSlope=2, RescaleIntercept=-7, WindowCenter=10, WindowWidth=20)
    np.testing.assert_array_equal(opened.image.data, pixels)
    assert (opened.coloured, opened.image.axes, opened.window) == (True, "YXC", None)


def test_a_modality_table_takes_the_place_of_slope_and_intercept(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData, table.ModalityLUTType = [4, 3, 16], [100, 200, 300, 400], "US"
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    data = np.asarray(read(tmp_path, ModalityLUTSequence=[table]).image.data)
    assert data.ravel()[:9].tolist() == [100, 100, 100, 100, 200, 300, 400, 400, 400]


def test_real_numbers_are_kept(tmp_path: Path) -> None:
    data = np.asarray(read(tmp_path, (RAMP / 7).astype(np.float32)).image.data)
    np.testing.assert_array_equal(data, (RAMP / 7).astype(np.float32))


@settings(deadline=None)
@given(
    slope=st.sampled_from([1.0, 2.0, -1.0, 0.3, 100.0]),
    intercept=st.sampled_from([0.0, -1024.0, 0.5, 30000.0]),
    stored=st.sampled_from(["u1", "i1", "u2", "i2"]),
    turned=st.booleans(),
)
def test_the_type_holds_every_value_but_for_the_ends_of_sixteen_bits(
    slope: float, intercept: float, stored: str, turned: bool
) -> None:
    limits = np.iinfo(stored)
    values = Values((limits.min, limits.max), slope, intercept, turned=turned)
    numbers = np.linspace(limits.min, limits.max, 50).astype(stored)
    expected = numbers * slope + intercept
    if turned:
        expected = sum(values.range) - expected
    dtype = type_of([values], np.dtype(stored))
    if dtype == np.int16:
        expected = np.clip(expected, -32768, 32767)
    np.testing.assert_allclose(values.apply(numbers, dtype), expected, rtol=1e-5, atol=1e-2)


# windows and polarity


@pytest.mark.parametrize(
    ("function", "window"),
    [
        ("", (-160.0, 239.0)),
        ("LINEAR", (-160.0, 239.0)),
        ("LINEAR_EXACT", (-160.0, 240.0)),
        ("SIGMOID", (-160.0, 240.0)),
    ],
)
def test_the_first_window_preset_is_kept(tmp_path: Path, function: str, window: tuple[float, float]) -> None:
    preset = {"WindowCenter": [40, 400], "WindowWidth": [400, 2000], "VOILUTFunction": function}
    assert read(tmp_path, RescaleIntercept=-1024, RescaleSlope=1, **preset).window == window


@pytest.mark.parametrize("width", ["", 0, -5, 1])
def test_a_window_without_a_width_is_none(tmp_path: Path, width: Any) -> None:
    assert read(tmp_path, WindowCenter=40, WindowWidth=width).window is None


def test_an_xray_with_bone_dark_is_turned_bright_and_so_is_its_window_and_the_user_is_told(tmp_path: Path) -> None:
    opened = read(
        tmp_path,
        Modality="DX",
        PhotometricInterpretation="MONOCHROME1",
        BitsStored=12,
        HighBit=11,
        WindowCenter=10.5,
        WindowWidth=11,
    )
    np.testing.assert_array_equal(opened.image.data, 4095 - RAMP)
    assert opened.window == (4095 - 15, 4095 - 5)
    assert any("MONOCHROME1" in notice for notice in opened.notices)


def test_quantities_keep_their_values_whatever_the_polarity(tmp_path: Path) -> None:
    opened = read(tmp_path, Modality="PT", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(opened.image.data, RAMP)


# distance of the pixels


PROJECTION = {"Modality": "DX"}


def region(x: float, y: float, *, units: int = 3, area: int = 100, data_type: int = 1) -> Dataset:
    """A region of an ultrasound picture, in cm a pixel."""
    part = Dataset()
    part.RegionSpatialFormat, part.RegionDataType = 1, data_type
    part.RegionLocationMinX0, part.RegionLocationMinY0, part.RegionLocationMaxX1, part.RegionLocationMaxY1 = (
        0,
        0,
        area,
        9,
    )
    part.PhysicalUnitsXDirection = part.PhysicalUnitsYDirection = units
    part.PhysicalDeltaX, part.PhysicalDeltaY = x, y
    return part


@pytest.mark.parametrize(
    ("elements", "spacing", "unit", "notice"),
    [
        pytest.param({"PixelSpacing": [0.8, 0.5]}, (0.8, 0.5), "mm", "", id="rows first"),
        pytest.param({}, (1, 1), "pixel", "", id="nothing said"),
        pytest.param({"PixelSpacing": [0, 0]}, (1, 1), "pixel", "counted in pixels", id="zero"),
        pytest.param({"PixelSpacing": ""}, (1, 1), "pixel", "counted in pixels", id="empty"),
        pytest.param({"PixelAspectRatio": [2, 1]}, (2, 1), "pixel", "", id="aspect ratio only"),
        pytest.param(
            PROJECTION | {"ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2), "mm", "at the detector", id="at the detector"
        ),
        pytest.param(
            PROJECTION | {"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.2, 0.2]},
            (0.2, 0.2),
            "mm",
            "at the detector",
            id="both the same: not calibrated",
        ),
        pytest.param(
            PROJECTION | {"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.1, 0.1]},
            (0.1, 0.1),
            "mm",
            "",
            id="both, different: calibrated",
        ),
        pytest.param(
            PROJECTION | {"PixelSpacing": [0.1, 0.1], "PixelSpacingCalibrationType": "FIDUCIAL"},
            (0.1, 0.1),
            "mm",
            "",
            id="calibrated by something of known size",
        ),
        pytest.param(
            PROJECTION | {"ImagerPixelSpacing": [0.3, 0.3], "EstimatedRadiographicMagnificationFactor": 1.5},
            (0.2, 0.2),
            "mm",
            "estimate",
            id="estimated magnification",
        ),
        pytest.param({"NominalScannedPixelSpacing": [0.1, 0.1]}, (0.1, 0.1), "mm", "scanned film", id="a scanned film"),
        pytest.param(
            {"Modality": "US", "SequenceOfUltrasoundRegions": [region(0.02, 0.05)]},
            (0.5, 0.2),
            "mm",
            "",
            id="ultrasound in cm",
        ),
        pytest.param(
            {"Modality": "US", "SequenceOfUltrasoundRegions": [region(1, 1, units=4), region(0.02, -0.05)]},
            (0.5, 0.2),
            "mm",
            "",
            id="ultrasound beside a Doppler trace in seconds",
        ),
        pytest.param(
            {
                "Modality": "US",
                "SequenceOfUltrasoundRegions": [region(0.02, 0.02), region(0.04, 0.04, area=300)],
            },
            (0.4, 0.4),
            "mm",
            "several scales",
            id="ultrasound of two scales",
        ),
    ],
)
def test_spacing_is_what_the_file_knows_and_no_more(
    tmp_path: Path, elements: dict[str, Any], spacing: tuple[float, float], unit: str, notice: str
) -> None:
    opened = read(tmp_path, **elements)
    assert opened.image.spacing == pytest.approx(spacing)
    assert opened.image.unit == unit
    assert [notice in told for told in opened.notices] == ([True] if notice else [])


@pytest.mark.parametrize("spacing", [0.0, -1.0, ""])
def test_a_noted_distance_of_slices_that_is_nothing_is_not_used(tmp_path: Path, spacing: Any) -> None:
    placed = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": list(AXIAL), "PixelSpacing": [1, 1]}
    opened = read(tmp_path, SpacingBetweenSlices=spacing, SliceThickness=3, **placed)
    assert opened.image.geometry.spacing[0] > 0
    assert read(tmp_path, SpacingBetweenSlices=0, SliceThickness=0, **placed).image.geometry.spacing[0] == 1
