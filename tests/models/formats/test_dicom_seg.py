"""DICOM SEG as a mask: what highdicom writes of a series lies on that series."""

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.sr.codedict import codes

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image, parts
from napari_medseg.models.reading import read_mask, read_placed_mask

from .dicom_support import AXIAL, CORONAL, PRONE, Array, image, numbered, save, series, turned


def write_segmentation(path: Path, slices: list[Path], labels: Array, kind: str = "BINARY") -> Path:
    """Write labels, (Z, Y, X) in the order of the files, or (Z, Y, X, segments), of a series as DICOM SEG."""
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"Organ {number}",
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type="MANUAL",
        )
        for number in range(1, (labels.shape[-1] if labels.ndim == 4 else int(labels.max())) + 1)
    ]
    segmentation = highdicom.seg.Segmentation(
        source_images=[_with_study(path) for path in slices],
        pixel_array=labels,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=highdicom.UID(),
        series_number=2,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="Test",
        manufacturer_model_name="Test",
        software_versions="1",
        device_serial_number="1",
        max_fractional_value=100,
    )
    segmentation.save_as(path)
    return path


def _with_study(path: Path) -> Any:
    """A slice with what a SEG copies from its source."""
    dataset = dcmread(path)
    for keyword in ("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "PatientBirthDate", "PatientSex"):
        setattr(dataset, keyword, "")
    dataset.StudyInstanceUID = "1.2.3.4"
    dataset.ReferringPhysicianName = ""
    return dataset


def labels(*shape: int) -> Array:
    """Two segments, each in its own corner."""
    drawn = np.zeros(shape, np.uint8)
    drawn[1:3, 1:3, 1:4] = 1
    drawn[3:5, 3:5, 2:6] = 2
    return drawn


@pytest.mark.parametrize(
    "orientation", [AXIAL, PRONE, CORONAL, turned(AXIAL, (15, 20, 0))], ids=["axial", "prone", "coronal", "oblique"]
)
def test_a_segmentation_lies_on_its_series(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    volume = numbered(6, 7, 8)
    slices = series(tmp_path / "a", volume, orientation=orientation)
    path = write_segmentation(tmp_path / "seg.dcm", slices, labels(6, 7, 8))

    mask, image = read_placed_mask(path), open_image(tmp_path / "a").image

    assert mask.geometry is not None
    assert image.geometry is not None
    assert mask.data.dtype == np.uint8
    np.testing.assert_allclose(mask.geometry.direction, image.geometry.direction, atol=1e-6)
    start = np.linalg.solve(image.geometry.affine, [*mask.geometry.origin, 1])[:3]
    np.testing.assert_allclose(start, np.rint(start), atol=1e-3)
    z, y, x = np.rint(start).astype(int)
    beside = np.asarray(image.data)[z : z + mask.data.shape[0], y : y + mask.data.shape[1], x : x + mask.data.shape[2]]
    for number in (1, 2):  # the same voxels, told by their values
        assert set(beside[mask.data == number]) == set(volume[labels(6, 7, 8) == number])


def test_planes_without_a_label_between_others_are_empty(tmp_path: Path) -> None:
    drawn = np.zeros((6, 7, 8), np.uint8)
    drawn[1, 2:4, 2:4] = drawn[4, 2:4, 2:4] = 1
    path = write_segmentation(tmp_path / "seg.dcm", series(tmp_path / "a", numbered(6, 7, 8)), drawn)
    assert [int(plane.any()) for plane in read_mask(path)] == [1, 0, 0, 1]


def test_where_segments_overlap_the_later_is_kept_and_the_user_is_told(tmp_path: Path) -> None:
    both = np.zeros((4, 5, 6, 2), np.uint8)
    both[:, 1:4, 1:4, 0] = 1
    both[:, 2:5, 2:5, 1] = 1
    path = write_segmentation(tmp_path / "seg.dcm", series(tmp_path / "a", numbered(4, 5, 6)), both)
    opened = open_image(path)
    assert opened.image.data[0, 2, 2] == 2
    assert opened.image.data[0, 1, 1] == 1
    assert any("overlap" in notice for notice in opened.notices)


def test_a_fractional_segmentation_is_where_it_is_above_one_half(tmp_path: Path) -> None:
    shares = np.zeros((4, 5, 6, 1), np.float32)
    shares[:, 1:4, 1:4, 0], shares[:, 2, 2, 0] = 0.4, 0.9
    path = write_segmentation(tmp_path / "seg.dcm", series(tmp_path / "a", numbered(4, 5, 6)), shares, "FRACTIONAL")
    assert read_mask(path).sum() == 4


def test_a_segmentation_of_an_xray_that_lies_nowhere_is_read(tmp_path: Path) -> None:
    xray = image(numbered(5, 6), Modality="DX", SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1")
    drawn = np.zeros((5, 6), np.uint8)
    drawn[1:3, 1:4], drawn[4, 5] = 1, 2
    path = write_segmentation(tmp_path / "seg.dcm", [save(xray, tmp_path / "a.dcm")], drawn)
    mask = read_placed_mask(path)
    np.testing.assert_array_equal(mask.data, drawn)
    assert (mask.axes, mask.geometry) == ("YX", None)


def test_a_segmentation_beside_its_series_is_a_part_but_never_opened_unasked(tmp_path: Path) -> None:
    slices = series(tmp_path / "a", numbered(6, 7, 8))
    write_segmentation(tmp_path / "a" / "seg.dcm", slices, labels(6, 7, 8))
    titles = {part.title.partition(",")[0]: part.key for part in parts(tmp_path / "a")}
    assert set(titles) == {"CT", "Segmentation"}
    assert open_image(tmp_path / "a").part == titles["CT"]
    assert int(open_image(tmp_path / "a", titles["Segmentation"]).image.data.max()) == 2


def test_the_sample_of_another_program_is_read() -> None:
    mask = read_placed_mask(str(get_testdata_file("liver_1frame.dcm", download=False)))
    assert (mask.axes, mask.data.shape, int(mask.data.max())) == ("YX", (512, 512), 1)


def test_a_segmentation_that_does_not_keep_to_the_standard_says_what_to_do() -> None:
    with pytest.raises(ImageError, match=r"does not keep to the standard.*NIfTI"):
        open_image(str(get_testdata_file("liver_expb_1frame.dcm", download=False)))


def test_a_truncated_segmentation_is_said_to_be_incomplete(tmp_path: Path) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", series(tmp_path / "a", numbered(6, 7, 8)), labels(6, 7, 8))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ImageError, match="incomplete"):
        open_image(path)
