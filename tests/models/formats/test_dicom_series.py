"""Which planes of a folder belong together, and what is left out of it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image, parts

from .dicom_support import (
    AXIAL,
    SAGITTAL,
    Array,
    enhanced,
    functional_group,
    image,
    numbered,
    probe_group,
    save,
    series,
)


def sample(name: str) -> Path:
    """One of pydicom's own files."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(path)


def at(z: float, value: int, path: Path, **elements: object) -> Path:
    """A slice of one value at a height, in a series that all of them share."""
    dataset = image(
        np.full((4, 5), value, np.int16),
        SeriesInstanceUID="1.2.3",
        FrameOfReferenceUID="1.2.4",
        ImagePositionPatient=[0, 0, z],
        ImageOrientationPatient=list(AXIAL),
        PixelSpacing=[1, 1],
    )
    for keyword, element in elements.items():
        setattr(dataset, keyword, element)
    return save(dataset, path)


def first_pixels(path: Path, key: str = "") -> list[object]:
    """The value of each plane that `at` wrote."""
    return np.asarray(open_image(path, key).image.data)[..., 0, 0].tolist()


def test_two_series_interleaved_in_a_folder_are_two_parts(tmp_path: Path) -> None:
    series(tmp_path / "a", numbered(3, 4, 5), SeriesDescription="Thorax")
    series(tmp_path / "b", numbered(5, 4, 5) + 1000, SeriesNumber=7)
    (tmp_path / "mixed").mkdir()
    for folder in ("a", "b"):
        for path in (tmp_path / folder).iterdir():
            path.rename(tmp_path / "mixed" / f"{path.stem}{folder}")
    found = parts(tmp_path / "mixed")
    assert [part.title for part in found] == [
        "CT, 3 slices of 5 x 4, 0.5 x 0.8 x 2 mm, axial, 'Thorax'",
        "CT, 5 slices of 5 x 4, 0.5 x 0.8 x 2 mm, axial",
    ]
    np.testing.assert_array_equal(open_image(tmp_path / "mixed", found[0].key).image.data, numbered(3, 4, 5))
    np.testing.assert_array_equal(open_image(tmp_path / "mixed", found[1].key).image.data, numbered(5, 4, 5) + 1000)


def test_series_that_look_alike_are_told_apart_by_their_number_or_their_place(tmp_path: Path) -> None:
    for folder, numbered_as in (("a", 3), ("b", 4), ("c", 4)):
        series(tmp_path / folder, numbered(3, 4, 5), SeriesDescription="Localizer", SeriesNumber=numbered_as)
    alike = "CT, 3 slices of 5 x 4, 0.5 x 0.8 x 2 mm, axial, 'Localizer', series"
    assert [part.title for part in parts(tmp_path)] == [f"{alike} 3", f"{alike} 4, image 2", f"{alike} 4, image 3"]


def test_without_a_choice_the_largest_is_opened_and_the_user_is_told(tmp_path: Path) -> None:
    series(tmp_path / "a", numbered(3, 4, 5))
    series(tmp_path / "b", numbered(5, 4, 5))
    opened = open_image(tmp_path)
    assert opened.image.data.shape == (5, 4, 5)
    assert opened.part in {part.key for part in parts(tmp_path)}
    assert any("2 images were found" in notice for notice in opened.notices)


def test_keys_tell_nothing_and_stay_when_files_are_renamed_or_others_come(tmp_path: Path) -> None:
    uid = "1.2.826.0.1.3680043.8.498.77"
    series(tmp_path / "a", numbered(3, 4, 5), SeriesInstanceUID=uid)
    (before,) = parts(tmp_path)
    assert uid not in before.key
    for path in list((tmp_path / "a").iterdir()):
        path.rename(path.with_name(f"renamed {path.name}"))
    series(tmp_path / "b", numbered(2, 4, 5))
    assert before.key in {part.key for part in parts(tmp_path)}


def test_a_part_that_is_gone_is_said_so(tmp_path: Path) -> None:
    series(tmp_path / "a", numbered(3, 4, 5))
    with pytest.raises(ImageError, match="no longer holds"):
        open_image(tmp_path, "0123456789abcdef")


def test_localisers_of_another_direction_are_a_part_of_their_own(tmp_path: Path) -> None:
    series(tmp_path / "a", numbered(4, 6, 6), SeriesInstanceUID="1.2.3", FrameOfReferenceUID="1.9")
    series(
        tmp_path / "b", numbered(1, 6, 6), orientation=SAGITTAL, SeriesInstanceUID="1.2.3", FrameOfReferenceUID="1.9"
    )
    assert [open_image(tmp_path, part.key).image.axes for part in parts(tmp_path)].count("ZYX") == 1
    assert open_image(tmp_path).notices[0].startswith("2 images")


def test_slices_of_another_size_are_a_part_of_their_own(tmp_path: Path) -> None:
    for z in range(3):
        at(z, z, tmp_path / f"{z}")
    odd = image(np.zeros((8, 9), np.int16), SeriesInstanceUID="1.2.3", ImagePositionPatient=[0, 0, 3])
    save(odd, tmp_path / "odd")
    assert sorted(open_image(tmp_path, part.key).image.data.shape for part in parts(tmp_path)) == [(3, 4, 5), (8, 9)]


def test_a_localiser_among_parallel_slices_is_told_by_its_kind(tmp_path: Path) -> None:
    for z in range(4):
        at(z, z, tmp_path / f"{z}", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    at(1.4, 99, tmp_path / "scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert first_pixels(tmp_path) == [0, 1, 2, 3]
    assert len(parts(tmp_path)) == 2


def test_kinds_that_differ_from_slice_to_slice_do_not_tear_a_volume_apart(tmp_path: Path) -> None:
    for z in range(4):
        at(z, z, tmp_path / f"{z}", ImageType=["ORIGINAL", "PRIMARY", "A" if z % 2 else "B"])
    assert first_pixels(tmp_path) == [0, 1, 2, 3]


def test_echoes_at_the_same_places_are_parts_not_times(tmp_path: Path) -> None:
    for z in range(3):
        for echo in (1, 2):
            at(z, 10 * echo + z, tmp_path / f"{z}{echo}", EchoTime=5 * echo, InstanceNumber=2 * z + echo)
    found = parts(tmp_path)
    assert sorted(first_pixels(tmp_path, part.key) for part in found) == [[10, 11, 12], [20, 21, 22]]


@pytest.mark.parametrize(
    ("keyword", "values", "seconds"),
    [
        ("TemporalPositionIdentifier", (1, 2, 3), None),
        ("TriggerTime", (0.0, 40.0, 80.0), 0.04),
        ("AcquisitionTime", ("115958.5", "120000.5", "120002.5"), 2.0),
        ("InstanceNumber", (7, 8, 9), None),
    ],
)
def test_times_at_the_same_places_become_an_axis(
    tmp_path: Path, keyword: str, values: tuple[object, ...], seconds: float | None
) -> None:
    for z in range(2):
        for time, value in enumerate(values):
            at(z, 10 * time + z, tmp_path / f"{9 - time}{z}", **{keyword: value})
    opened = open_image(tmp_path)
    assert (opened.image.axes, opened.image.data.shape) == ("TZYX", (3, 2, 4, 5))
    assert first_pixels(tmp_path) == [[0, 1], [10, 11], [20, 21]]
    assert opened.image.frame_seconds == (None if seconds is None else pytest.approx(seconds))
    assert "3 times 2 slices" in parts(tmp_path)[0].title


def test_an_unfinished_repetition_is_not_put_into_an_axis_of_time(tmp_path: Path) -> None:
    for time in range(3):
        for z in range(4 if time < 2 else 1):
            at(z, 10 * time + z, tmp_path / f"{time}{z}", TemporalPositionIdentifier=time + 1)
    found = sorted(np.atleast_1d(first_pixels(tmp_path, part.key)).tolist() for part in parts(tmp_path))
    assert found == [[0, 1, 2, 3], [10, 11, 12, 13], [20]]


def test_overlapping_acquisitions_are_parts(tmp_path: Path) -> None:
    for acquisition, heights in ((1, (0, 1, 2, 3)), (2, (3, 4, 5))):
        for z in heights:
            at(z, 10 * acquisition + z, tmp_path / f"{acquisition}{z}", AcquisitionNumber=acquisition)
    assert sorted(first_pixels(tmp_path, part.key) for part in parts(tmp_path)) == [[10, 11, 12, 13], [23, 24, 25]]


def test_slices_that_came_twice_are_read_once_and_the_user_is_told(tmp_path: Path) -> None:
    for z in range(4):
        path = at(z, z, tmp_path / f"{z}")
    shutil.copy(path, tmp_path / "copied")
    at(1, 1, tmp_path / "sent again under another UID")
    opened = open_image(tmp_path)
    assert first_pixels(tmp_path) == [0, 1, 2, 3]
    assert any("2 images were left out, copies of others" in notice for notice in opened.notices)


def test_other_pixels_at_the_same_place_are_not_thrown_away(tmp_path: Path) -> None:
    for z in range(4):
        at(z, z, tmp_path / f"{z}", InstanceNumber=z)
    at(1, 77, tmp_path / "x", InstanceNumber=9)
    found = [np.atleast_1d(first_pixels(tmp_path, part.key)).tolist() for part in parts(tmp_path)]
    assert sorted(found) == [[0, 1, 2, 3], [77]]
    assert open_image(tmp_path).notices == ("2 images were found; this is the largest of them.",)


def test_uids_that_an_anonymiser_made_equal_or_took_away_lose_no_slice(tmp_path: Path) -> None:
    for z in range(4):
        at(z, z, tmp_path / "equal" / f"{z}", SOPInstanceUID="1.2.3")
        at(z, z, tmp_path / "none" / f"{z}", SeriesInstanceUID="", SOPInstanceUID="")
    assert first_pixels(tmp_path / "equal") == [0, 1, 2, 3]
    assert first_pixels(tmp_path / "none") == [0, 1, 2, 3]


def test_ultrasound_pictures_of_a_series_are_pictures_not_a_volume(tmp_path: Path) -> None:
    for number in range(3):
        picture = image(
            np.full((4, 5), number, np.uint8), Modality="US", SeriesInstanceUID="1.2.3", InstanceNumber=number
        )
        save(picture, tmp_path / f"{number}")
    assert [open_image(tmp_path, part.key).image.axes for part in parts(tmp_path)] == ["YX"] * 3


def test_files_that_are_no_images_are_left_out_and_counted(tmp_path: Path) -> None:
    series(tmp_path / "deep" / "er", numbered(3, 4, 5))
    (tmp_path / "read me.txt").write_text("hello")
    (tmp_path / "empty.dcm").touch()
    for name in ("test-SR.dcm", "rtstruct.dcm", "dicomdirtests/DICOMDIR"):
        shutil.copy(sample(name), tmp_path)
    opened = open_image(tmp_path)
    assert opened.image.data.shape == (3, 4, 5)
    (notice,) = opened.notices
    assert notice.startswith("5 files were left out")
    for what in ("Comprehensive SR", "RT Structure Set", "Media Storage Directory", "2 of another format"):
        assert what in notice


def test_a_damaged_slice_among_good_ones_is_missing_and_the_rest_is_read(tmp_path: Path) -> None:
    paths = series(tmp_path / "a", numbered(6, 4, 5))
    paths[2].write_bytes(paths[2].read_bytes()[:-10])
    opened = open_image(tmp_path / "a")
    data = np.asarray(opened.image.data)
    assert data.shape == (6, 4, 5)
    assert not data[2].any()
    assert any("1 file was left out, damaged" in notice for notice in opened.notices)
    assert any("number 2 " in notice for notice in opened.notices)


def test_a_list_of_contents_opens_its_medium() -> None:
    medium = sample("dicomdirtests/DICOMDIR")
    assert [part.key for part in parts(medium)] == [part.key for part in parts(medium.parent)]
    assert open_image(medium).image.data.shape == (5, 16, 16)


def test_paths_may_have_blanks_and_letters_of_any_language(tmp_path: Path) -> None:
    folder = tmp_path / "Thorax nativ äöü 胸部"
    series(folder, numbered(3, 4, 5))
    opened = open_image(folder)
    np.testing.assert_array_equal(opened.image.data, numbered(3, 4, 5))
    assert (opened.path, opened.image.name) == (str(folder), "Thorax nativ äöü 胸部")


@pytest.mark.parametrize("name", ["Mustermann", "pid-4711 thorax"])
def test_the_patients_name_in_a_path_does_not_become_the_name_of_the_image(tmp_path: Path, name: str) -> None:
    series(tmp_path / name, numbered(3, 4, 5))
    opened = open_image(tmp_path / name)
    assert opened.image.name.startswith("CT ")
    assert "mustermann" not in repr((opened.image, opened.notices, opened.part)).lower()


def test_pixels_are_read_slice_by_slice_when_they_are_asked_for(tmp_path: Path) -> None:
    paths = series(tmp_path / "a", numbered(6, 4, 5))
    opened = open_image(tmp_path / "a")
    assert opened.image.lazy
    assert opened.image.data.chunksize == (1, 4, 5)
    paths[4].unlink()
    np.testing.assert_array_equal(np.asarray(opened.image.data[1:4]), numbered(6, 4, 5)[1:4])
    with pytest.raises(ImageError, match="no longer where it was"):
        np.asarray(opened.image.data[4])


def test_a_folder_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    series(tmp_path / "a", numbered(3, 4, 5))
    assert len(parts(tmp_path)) == 1
    series(tmp_path / "b", numbered(3, 4, 5))
    assert len(parts(tmp_path)) == 2


# enhanced files


def groups(positions: list[float], **more: object) -> list[Dataset]:
    return [functional_group((0, 0, z), **more) for z in positions]  # type: ignore[arg-type]


def planes(*values: int) -> Array:
    return np.stack([np.full((4, 5), value, np.int16) for value in values])


def test_frames_of_an_enhanced_file_are_sorted_by_their_positions_and_rescaled_each_on_its_own(tmp_path: Path) -> None:
    two = groups([6, 2, 4])
    two[0].PixelValueTransformationSequence[0].RescaleSlope = 2
    opened = open_image(enhanced(tmp_path / "a.dcm", planes(30, 10, 20), two))
    assert (opened.image.axes, opened.image.data.shape) == ("ZYX", (3, 4, 5))
    assert np.asarray(opened.image.data)[:, 0, 0].tolist() == [-990, -980, -940]
    assert opened.image.spacing == (2.0, 0.8, 0.5)
    assert opened.part == ""


def test_stacks_of_an_enhanced_file_are_parts(tmp_path: Path) -> None:
    path = enhanced(tmp_path / "a.dcm", planes(1, 2, 3, 4, 5), [*groups([0, 2]), *groups([1, 3, 5], stack="2")])
    assert sorted(np.asarray(open_image(path, part.key).image.data)[:, 0, 0].tolist() for part in parts(path)) == [
        [-999, -998],
        [-997, -996, -995],
    ]


def test_times_of_an_enhanced_file_become_an_axis(tmp_path: Path) -> None:
    path = enhanced(tmp_path / "a.dcm", planes(4, 3, 2, 1), [*groups([2, 0], time=2), *groups([2, 0], time=1)])
    assert open_image(path).image.axes == "TZYX"
    assert first_pixels(path) == [[-999, -998], [-997, -996]]


def test_an_enhanced_ultrasound_has_distances_but_no_place_in_the_patient(tmp_path: Path) -> None:
    path = enhanced(tmp_path / "a.dcm", planes(30, 10, 20), [probe_group(z) for z in (3, 1, 2)], Modality="US")
    opened = open_image(path)
    assert (opened.image.axes, opened.image.spacing, opened.image.geometry) == ("ZYX", (1.0, 0.8, 0.5), None)
    assert first_pixels(path) == [10, 20, 30]


def test_a_mosaic_is_not_taken_for_a_slice(tmp_path: Path) -> None:
    opened = open_image(at(1, 5, tmp_path / "a.dcm", ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]))
    assert opened.image.geometry is None
    assert any("side by side" in notice for notice in opened.notices)


def test_images_of_one_patient_are_told_to_be_so_without_telling_who_it_is(tmp_path: Path) -> None:
    told = []
    for name, number in (("Anna", "4711"), ("A. Later", "4711"), ("Bert", "4712"), ("", "")):
        folder = tmp_path / str(len(told))
        series(folder, numbered(2, 4, 5), PatientID=number, PatientName=name)
        told.append(open_image(folder).patient)
    anna, later, bert, nobody = told
    assert anna == later != bert
    assert nobody == ""
    assert "4711" not in anna
