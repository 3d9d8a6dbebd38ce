"""Bad DICOM: one clear sentence each, no huge allocation, and whatever can be read is read."""

import contextlib
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41, UID, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image, parts

from .dicom_support import image, numbered, save, series

MUCH = 2 << 30


def sample(name: str) -> Path:
    """One of pydicom's own files."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(path)


@pytest.fixture
def little_memory() -> Any:
    """No more than 2 GB of addresses above what the process has now: who takes what a lying header says fails."""
    resource = pytest.importorskip("resource")
    used = psutil.Process().memory_info().vms
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MUCH, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("test-SR.dcm", "Comprehensive SR"),
        ("rtstruct.dcm", "RT Structure Set"),
        ("rtplan.dcm", "RT Plan"),
        ("waveform_ecg.dcm", "12-lead ECG Waveform"),
    ],
)
def test_a_file_without_pixels_says_what_it_is(name: str, what: str) -> None:
    with pytest.raises(ImageError, match=f"'{name}' holds no image: it is a DICOM {what}"):
        open_image(sample(name))


def test_a_presentation_state_says_what_it_is(tmp_path: Path) -> None:
    state = Dataset()
    state.SOPClassUID, state.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.3"
    with pytest.raises(ImageError, match="Grayscale Softcopy Presentation State"):
        open_image(save(state, tmp_path / "a.dcm"))


@pytest.mark.parametrize("kept", [-1, -30, 400])
def test_a_truncated_file_is_said_to_be_incomplete(tmp_path: Path, kept: int) -> None:
    path = save(image(numbered(16, 16)), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ImageError, match="incomplete"):
        open_image(path)


def test_a_compressed_file_that_is_truncated_is_said_to_be_incomplete(tmp_path: Path) -> None:
    content = sample("693_J2KI.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(content[:-500])
    with pytest.raises(ImageError, match="ends within its compressed pixels"):
        open_image(tmp_path / "a.dcm")


def test_pixels_that_cannot_be_decompressed_are_said_to_be_damaged_when_they_are_asked_for(tmp_path: Path) -> None:
    dataset = dcmread(sample("MR_small_RLE.dcm"))
    dataset.PixelData = encapsulate([b"\1" * 300])
    dataset.save_as(tmp_path / "a.dcm")
    opened = open_image(tmp_path / "a.dcm")
    with pytest.raises(ImageError, match=r"'a\.dcm' is damaged.*RLE Lossless"):
        opened.image.loaded()


@pytest.mark.parametrize(
    ("syntax", "match"),
    [
        ("1.2.840.10008.1.2.4.204", "JPIP|compressed with"),
        ("1.2.840.10008.1.2.4.94", "no decoder here. Export it without compression"),
        ("1.2.3.4.5", "no decoder here"),
        (MPEG4HP41, "is a film in DICOM .*Export it as MP4"),
    ],
)
def test_a_transfer_syntax_without_decoder_is_named_with_what_to_do(tmp_path: Path, syntax: str, match: str) -> None:
    dataset = image(numbered(4, 5))
    path = save(dataset, tmp_path / "a.dcm")
    content = path.read_bytes()
    old = b"\x02\x00\x10\x00UI" + struct.pack("<H", 20) + b"1.2.840.10008.1.2.1\0"
    assert old in content
    new = syntax.encode() + b"\0" * (len(syntax) % 2)
    length = struct.unpack("<L", content[140:144])[0] + len(new) - 20
    content = content.replace(old, old[:6] + struct.pack("<H", len(new)) + new)
    path.write_bytes(content[:140] + struct.pack("<L", length) + content[144:])
    with pytest.raises(ImageError, match=match):
        open_image(path)


def test_a_folder_that_is_not_dicom_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ImageError, match="folder without a DICOM file"):
        open_image(tmp_path)


def test_a_folder_of_reports_says_so(tmp_path: Path) -> None:
    shutil.copy(sample("test-SR.dcm"), tmp_path)
    with pytest.raises(ImageError, match=r"holds no DICOM image \(1 Comprehensive SR\)"):
        parts(tmp_path)


def test_a_folder_of_damaged_images_says_what_is_wrong_with_the_first(tmp_path: Path) -> None:
    for path in series(tmp_path / "a", numbered(3, 4, 5)):
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ImageError, match=r"None of the 3 DICOM images in 'a' can be read.*incomplete"):
        open_image(tmp_path / "a")


@pytest.mark.parametrize(
    "lie",
    [
        {"Rows": 65535, "Columns": 65535},
        {"NumberOfFrames": 2**31 - 1},
        {"Rows": 17},
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
        {"Rows": 0},
        {"NumberOfFrames": "-3"},
        {"BitsAllocated": 12},
        {"SamplesPerPixel": 7},
    ],
    ids=str,
)
@pytest.mark.parametrize("syntax", ["plain", "RLE"])
def test_a_lying_header_is_refused_before_memory_is_taken(
    tmp_path: Path, lie: dict[str, Any], syntax: str, little_memory: None
) -> None:
    path = save(image(numbered(16, 16)), tmp_path / "a.dcm")
    dataset = dcmread(path)
    if syntax == "RLE":
        dataset.compress(RLELossless)
    dataset.update(dict.fromkeys(()))
    for keyword, value in lie.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    with pytest.raises(ImageError, match=r"is said to h|damaged|does not say"):
        open_image(path).image.loaded()


def j2k(width: int, height: int) -> bytes:
    """The start of a JPEG 2000 codestream that claims a size."""
    size = struct.pack(">HLLLLLLLLH", 0, width, height, 0, 0, width, height, 0, 0, 1) + b"\x0f\1\1"
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size + b"\xff\xd9"


def jpeg(width: int, height: int) -> bytes:
    """The start of a JPEG that claims a size."""
    return b"\xff\xd8\xff\xe0\0\4ab\xff\xc0\0\x0b\x08" + struct.pack(">HH", height, width) + b"\1\1\x11\0\xff\xd9"


@pytest.mark.parametrize(("syntax", "codestream"), [(JPEG2000Lossless, j2k), (JPEGBaseline8Bit, jpeg)])
def test_a_picture_that_claims_to_be_larger_than_its_header_is_not_decoded(
    tmp_path: Path, syntax: UID, codestream: Callable[[int, int], bytes], little_memory: None
) -> None:
    dataset = image(np.zeros((16, 16), np.uint8))
    dataset.PixelData = encapsulate([codestream(60000, 60000)])
    dataset["PixelData"].is_undefined_length = True
    opened = open_image(save(dataset, tmp_path / "a.dcm", syntax))
    with pytest.raises(ImageError, match="16 x 16 pixels, but the picture in it is 60000 x 60000"):
        opened.image.loaded()


def test_a_deflated_file_that_blows_up_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.dcm"
    shutil.copy(sample("image_dfl.dcm"), path)
    content = path.read_bytes()
    start = 132 + 12 + struct.unpack("<L", content[140:144])[0]
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    path.write_bytes(content[:start] + deflate.compress(b"\0" * (64 << 20)) + deflate.flush())
    free = type("Free", (), {"available": 8 << 20})
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    with pytest.raises(ImageError, match="of memory, but only"):
        open_image(path)


@pytest.mark.parametrize(
    "garbage",
    [
        {"PixelSpacing": "", "ImagePositionPatient": ""},
        {"PixelSpacing": [0, 0]},
        {"RescaleSlope": ""},
        {"WindowCenter": "", "WindowWidth": ""},
        {"InstanceNumber": "", "SeriesNumber": ""},
        {"ImageType": "", "AcquisitionTime": "noon"},
    ],
    ids=str,
)
def test_empty_and_garbage_elements_do_not_keep_pixels_from_being_read(tmp_path: Path, garbage: dict[str, Any]) -> None:
    series(tmp_path / "a", numbered(2, 4, 5))
    for path in (tmp_path / "a").iterdir():
        dataset = dcmread(path)
        for keyword, value in garbage.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)
    data = np.asarray(open_image(tmp_path / "a").image.data)
    assert np.unique(data).size == 40


def test_numbers_that_are_none_are_taken_as_missing(tmp_path: Path) -> None:
    path = save(image(numbered(4, 5), PixelSpacing=[0.75, 0.75]), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"0.75\\0.75", b"O.75\\foo "))
    opened = open_image(path)
    assert (opened.image.spacing, opened.image.unit) == ((1, 1), "pixel")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 1200), damage=st.binary(min_size=1, max_size=8))
def test_any_damage_gives_an_image_or_a_sentence(tmp_path: Path, at: int, damage: bytes) -> None:
    whole = tmp_path / "whole.dcm"
    if not whole.exists():
        (path,) = series(tmp_path / "a", numbered(1, 16, 16), PixelPaddingValue=3, WindowCenter=40, WindowWidth=400)
        path.rename(whole)
    content = bytearray(whole.read_bytes())
    content[at : at + len(damage)] = damage
    (tmp_path / "b.dcm").write_bytes(bytes(content))
    with contextlib.suppress(ImageError):
        assert open_image(tmp_path / "b.dcm").image.loaded().data.size


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_gdcm.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "JPGExtended.dcm"])
def test_a_damaged_jpeg_does_not_end_the_process(tmp_path: Path, name: str) -> None:
    """GDCM does so for about one in a hundred of such files."""
    content, random = sample(name).read_bytes(), np.random.default_rng(5)
    start = content.rindex(b"\xff\xd8\xff") + 2
    for _ in range(60):
        damaged = bytearray(content)
        for at in random.integers(start, len(content), 4):
            damaged[at] = random.integers(256)
        (tmp_path / "a.dcm").write_bytes(bytes(damaged))
        with contextlib.suppress(ImageError):
            open_image(tmp_path / "a.dcm").image.loaded()


def test_a_palette_that_is_not_there_is_said_to_be_damage(tmp_path: Path) -> None:
    opened = open_image(
        save(image(np.ones((4, 5), np.uint8), PhotometricInterpretation="PALETTE COLOR"), tmp_path / "a")
    )
    with pytest.raises(ImageError, match="damaged"):
        opened.image.loaded()


def test_a_whole_slide_in_tiles_is_refused_with_what_to_do(tmp_path: Path) -> None:
    tiled = image(np.zeros((4, 8, 8), np.uint8), Modality="SM", DimensionOrganizationType="TILED_FULL")
    with pytest.raises(ImageError, match=r"whole slide in tiles.*OME-TIFF"):
        open_image(save(tiled, tmp_path / "a.dcm"))


def test_nothing_that_identifies_the_patient_comes_with_the_image(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    private = {
        "PatientBirthDate": "19610203",
        "AccessionNumber": "ACC-0815",
        "InstitutionName": "St. Elsewhere",
        "ReferringPhysicianName": "Westphall^Donald",
        "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.4242",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.4343",
        "SeriesDescription": "Thorax of Erika",
    }
    paths = series(tmp_path / "a", numbered(3, 4, 5), **private)
    paths[0].write_bytes(paths[0].read_bytes()[:-9])
    caplog.set_level(0)
    opened = open_image(tmp_path / "a")
    told = repr((opened.image, opened.notices, opened.part, opened.image.name)) + caplog.text
    for value in ("Mustermann", "4711", *private.values(), "Erika", "Westphall"):
        assert value not in told
