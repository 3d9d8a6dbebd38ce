"""The pixels of every way in which DICOM stores them, against pydicom's own files and decoders."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from dask.base import compute
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from napari_medseg.models.formats import open_image, parts

from .dicom_support import image, numbered, save, series

SAMPLES = {
    "JPEG baseline, YBR_FULL": "SC_rgb_dcmtk_+eb+cy+n1.dcm",
    "JPEG baseline, YBR_FULL_422": "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "JPEG baseline, RGB": "SC_rgb_dcmtk_+eb+cr.dcm",
    "JPEG lossless": "SC_rgb_jpeg_gdcm.dcm",
    "JPEG-LS lossless": "MR_small_jpeg_ls_lossless.dcm",
    "JPEG-LS lossy": "JPEGLSNearLossless_16.dcm",
    "JPEG 2000 lossless": "MR_small_jp2klossless.dcm",
    "JPEG 2000 lossless, YBR_RCT": "GDCMJ2K_TextGBR.dcm",
    "JPEG 2000 lossy, CT": "693_J2KI.dcm",
    "RLE": "MR_small_RLE.dcm",
    "RLE, two frames of 16-bit colours": "SC_rgb_rle_16bit_2frame.dcm",
    "deflated": "image_dfl.dcm",
    "big endian": "MR_small_bigendian.dcm",
    "big endian, colours of odd size": "SC_rgb_small_odd_big_endian.dcm",
    "implicit VR": "MR_small_implicit.dcm",
    "YBR_FULL_422 without compression": "SC_ybr_full_422_uncompressed.dcm",
    "ultrasound clip": "examples_ybr_color.dcm",
    "dose": "rtdose_rle.dcm",
}


def sample(name: str) -> str:
    """One of pydicom's own files."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    return str(path)


@pytest.mark.parametrize("name", SAMPLES.values(), ids=SAMPLES.keys())
def test_pixels_are_those_that_pydicom_decodes(name: str) -> None:
    dataset = dcmread(sample(name))
    expected = dataset.pixel_array * float(dataset.get("DoseGridScaling", 1))
    expected = expected * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))

    opened = open_image(sample(name))

    data = np.asarray(opened.image.data)
    assert data.dtype.isnative
    np.testing.assert_allclose(data, expected, rtol=1e-6)
    assert opened.coloured == (dataset.SamplesPerPixel == 3)


def test_jpeg_of_twelve_bits_is_read_too() -> None:
    data = np.asarray(open_image(sample("JPGExtended.dcm")).image.data)
    assert (data.shape, data.dtype, int(data.max())) == ((1024, 256), np.uint16, 264)


@pytest.mark.parametrize(("bits", "dtype"), [(16, "i2"), (16, "u2"), (12, "i2"), (12, "u2"), (8, "u1")])
@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEG2000Lossless, HTJ2KLossless], ids=lambda uid: uid.name)
def test_compression_without_loss_loses_nothing(tmp_path: Path, syntax: str, bits: int, dtype: str) -> None:
    low = -(1 << bits - 1) if dtype == "i2" else 0
    pixels = np.linspace(low, low + (1 << bits) - 1, 40 * 48).astype(dtype).reshape(40, 48)
    if syntax == JPEGLosslessSV1:  # which knows no sign
        bare = (pixels.astype(np.int32) & (1 << bits) - 1).astype("u2" if bits > 8 else "u1")
        codestream = imagecodecs.jpeg8_encode(bare, lossless=True, bitspersample=bits, predictor=1)
    elif syntax == JPEG2000Lossless:
        codestream = imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", level=0, bitspersample=bits)
    else:
        codestream = imagecodecs.htj2k_encode(pixels)
    dataset = image(pixels, BitsStored=bits, HighBit=bits - 1)
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].is_undefined_length = True
    np.testing.assert_array_equal(open_image(save(dataset, tmp_path / "a.dcm", syntax)).image.data, pixels)


def test_a_palette_becomes_colours_of_eight_bits() -> None:
    dataset = dcmread(sample("examples_palette.dcm"))
    opened = open_image(sample("examples_palette.dcm"))
    assert (opened.coloured, opened.image.axes, opened.image.data.dtype) == (True, "YXC", np.uint8)
    expected = apply_color_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(opened.image.data, expected >> 8 if expected.dtype == np.uint16 else expected)


def test_an_ultrasound_clip_is_time_with_its_interval_and_millimetres() -> None:
    opened = open_image(sample("examples_ybr_color.dcm"))
    assert (opened.image.axes, opened.image.data.shape) == ("TYXC", (30, 240, 320, 3))
    assert opened.image.data.chunksize == (1, 240, 320, 3)
    assert opened.image.frame_seconds == pytest.approx(0.033333)
    assert opened.image.spacing == pytest.approx((0.510497, 0.510497))
    assert parts(sample("examples_ybr_color.dcm"))[0].title == "US, 30 frames of 320 x 240, colour, 0.51 x 0.51 mm"


def test_frames_of_a_dose_lie_where_their_offsets_say() -> None:
    image = open_image(sample("rtdose.dcm")).image
    assert (image.axes, image.spacing) == ("ZYX", (5.0, 10.0, 10.0))
    assert image.geometry is not None
    np.testing.assert_allclose(image.geometry.origin, (189.43125, 199.43125, -761.87))


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian], ids=lambda uid: uid.name
)
def test_a_series_reads_the_same_in_every_encoding(tmp_path: Path, syntax: str) -> None:
    for path in series(tmp_path / "a", numbered(3, 4, 5)):
        dataset = dcmread(path)
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
        plain = Dataset()  # without a memory of how it was stored
        plain.update(dataset)
        save(plain, tmp_path / "b" / path.name, syntax)
    np.testing.assert_array_equal(open_image(tmp_path / "b").image.data, numbered(3, 4, 5))


def test_a_compressed_film_is_read_frame_by_frame(tmp_path: Path) -> None:
    frames = numbered(5, 16, 12)
    dataset = image(frames, Modality="XA", FrameTime=66.6)
    save(dataset, tmp_path / "plain.dcm")
    dataset = dcmread(tmp_path / "plain.dcm")
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "a.dcm")
    opened = open_image(tmp_path / "a.dcm")
    assert (opened.image.axes, opened.image.frame_seconds) == ("TYX", pytest.approx(0.0666))
    for index in (3, 0, 4):
        np.testing.assert_array_equal(opened.image.data[index], frames[index])


def test_a_film_without_compression_is_read_frame_by_frame(tmp_path: Path) -> None:
    frames = numbered(5, 3, 5).astype(np.uint8)  # of odd length
    opened = open_image(save(image(frames, Modality="US", CineRate=25), tmp_path / "a.dcm"))
    assert opened.image.frame_seconds == 0.04
    np.testing.assert_array_equal(opened.image.data[3], frames[3])
    np.testing.assert_array_equal(opened.image.data, frames)


def test_slices_may_be_read_in_threads(tmp_path: Path) -> None:
    series(tmp_path / "a", numbered(40, 16, 16))
    data = open_image(tmp_path / "a").image.data
    (read,) = compute(data, scheduler="threads", num_workers=8)
    np.testing.assert_array_equal(read, numbered(40, 16, 16))


def test_a_file_without_preamble_is_read(tmp_path: Path) -> None:
    dataset = image(numbered(4, 5))
    dataset.save_as(tmp_path / "a.dcm", implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(open_image(tmp_path / "a.dcm").image.data, numbered(4, 5))
