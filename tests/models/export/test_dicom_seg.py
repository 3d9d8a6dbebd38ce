"""DICOM SEG, read back by highdicom, SimpleITK, pydicom alone and our own reader; the source is written here."""

import logging

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from highdicom.seg import segread
from pydicom import config
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image, parts
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import read_placed_mask
from napari_medseg.models.writing import write_mask

from ..formats import dicom_support

AXIAL = ((1, 0, 0), (0, 1, 0))
SAGITTAL = ((0, 1, 0), (0, 0, -1))
CORONAL_FROM_BEHIND = ((-1, 0, 0), (0, 0, -1))
OBLIQUE = ((0.8, 0.6, 0), (-0.48, 0.64, 0.6))


def write_series(folder, *, rows=AXIAL, slices=6, step=2.5, gap=None, shear=0.0, **values):
    """A CT series of 20 x 16 pixels of 0.7 x 0.9 mm, files in no order; the positions of its slices."""
    folder.mkdir()
    along_x, along_y = np.array(rows, float)
    normal = np.cross(along_x, along_y)
    study, series, space = generate_uid(), generate_uid(), generate_uid()
    for number in range(slices):
        if number == gap:
            continue
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, space
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Muster^Erika", "P-4711", "19560229"
        dataset.PatientSex, dataset.AccessionNumber, dataset.StudyID = "F", "A-99", "S-1"
        dataset.StudyDate, dataset.StudyTime, dataset.Modality = "20200102", "101112", "CT"
        dataset.SeriesNumber, dataset.InstanceNumber = 3, number + 1
        dataset.ImageOrientationPatient = [*along_x, *along_y]
        position = np.array((-10.0, -20.0, 30.0)) + number * step * (normal + shear * along_y)
        dataset.ImagePositionPatient = [round(float(at), 4) for at in position]
        dataset.PixelSpacing, dataset.SliceThickness = [0.9, 0.7], step
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 20, 16, 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
        dataset.PixelData = np.full((20, 16), 1000 + number, np.int16).tobytes()
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        dataset.save_as(folder / f"{(number * 5) % 7}.dcm", enforce_file_format=True)
    return folder


def phantom(image: MedicalImage) -> np.ndarray:
    """Two labels without any symmetry, so that any flip or shift shows."""
    mask = np.zeros(image.mask_shape, np.uint8)
    mask[..., 3:9, 2:6] = 1
    mask[..., 10:11, 9:14] = 2
    if mask.ndim == 3:
        mask[0], mask[3:] = 0, 0
        mask[2, 10:11] = 0
    return mask


def voxels_in_patient(segmentation: Dataset) -> dict[tuple[str, tuple[float, ...]], int]:
    """Label and (L, P, S) of each pixel that is set, by what each frame says of itself, as simple readers do."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    down, right = (float(at) for at in shared.PixelMeasuresSequence[0].PixelSpacing)
    turned = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    names = {int(one.SegmentNumber): str(one.SegmentLabel) for one in segmentation.SegmentSequence}
    pixels = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    found = {}
    for frame, groups in zip(pixels, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        holder = groups if "SegmentIdentificationSequence" in groups else shared
        name = names[int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)]
        for y, x in np.argwhere(frame):
            place = origin + x * right * turned[:3] + y * down * turned[3:]
            found[name, tuple(np.round(place, 2) + 0.0)] = 1
    return found


@pytest.mark.parametrize("rows", [AXIAL, SAGITTAL, CORONAL_FROM_BEHIND, OBLIQUE])
def test_every_voxel_lies_where_it_lies_in_the_patient(tmp_path, rows):
    source = open_image(write_series(tmp_path / "series", rows=rows))
    image = source.image
    mask = phantom(image)
    write_mask(tmp_path / "mask.dcm", mask, image, source=source, names={1: "liver", 2: "lesion"})

    expected = {}
    for z, y, x in np.argwhere(mask):
        place = image.geometry.affine @ (z, y, x, 1)
        expected[{1: "liver", 2: "lesion"}[mask[z, y, x]], tuple(np.round(place[:3], 2) + 0.0)] = 1
    assert voxels_in_patient(pydicom.dcmread(tmp_path / "mask.dcm")) == expected
    again = read_placed_mask(tmp_path / "mask.dcm")
    np.testing.assert_array_equal(again.data, mask)
    np.testing.assert_allclose(again.geometry.affine, image.geometry.affine, atol=1e-3)


@pytest.mark.parametrize("rows", [AXIAL, SAGITTAL, OBLIQUE])
def test_simpleitk_finds_a_segment_where_it_lies_in_the_patient(tmp_path, rows):
    source = open_image(write_series(tmp_path / "series", rows=rows))
    image = source.image
    mask = (phantom(image) == 1).astype(np.uint8)
    write_mask(tmp_path / "mask.dcm", mask, image, source=source)

    opened = sitk.ReadImage(str(tmp_path / "mask.dcm"))
    voxels = np.argwhere(sitk.GetArrayFromImage(opened)).tolist()
    found = {tuple(np.round(opened.TransformIndexToPhysicalPoint(voxel[::-1]), 2) + 0.0) for voxel in voxels}
    assert found == {tuple(np.round((image.geometry.affine @ (*at, 1))[:3], 2) + 0.0) for at in np.argwhere(mask)}


def test_it_refers_to_each_instance_in_its_study_and_space(tmp_path):
    source = open_image(write_series(tmp_path / "series"))
    write_mask(tmp_path / "mask.dcm", phantom(source.image), source.image, source=source)

    slices = [pydicom.dcmread(file) for file in (tmp_path / "series").iterdir()]
    found = segread(tmp_path / "mask.dcm")
    assert found.segmentation_type.value == "BINARY"
    assert list(found.segment_numbers) == [1, 2]
    assert [found.get_segment_description(number).segment_label for number in (1, 2)] == ["label 1", "label 2"]
    assert found.StudyInstanceUID == slices[0].StudyInstanceUID
    assert found.FrameOfReferenceUID == slices[0].FrameOfReferenceUID
    assert (found.PatientName, found.PatientID) == ("Muster^Erika", "P-4711")
    assert {one[2] for one in found.get_source_image_uids()} == {one.SOPInstanceUID for one in slices}
    place = {one.SOPInstanceUID: list(one.ImagePositionPatient) for one in slices}
    for groups in found.PerFrameFunctionalGroupsSequence:
        derived = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert list(groups.PlanePositionSequence[0].ImagePositionPatient) == place[derived]


def references(segmentation: Dataset) -> dict[float, list[tuple[str, int | None]]]:
    """Instance and frame that each frame refers to, by its height."""
    found = {}
    for groups in segmentation.PerFrameFunctionalGroupsSequence:
        height = float(groups.PlanePositionSequence[0].ImagePositionPatient[2])
        derived = groups.DerivationImageSequence
        images = [one for item in derived for one in item.SourceImageSequence]
        found[height] = [(one.ReferencedSOPInstanceUID, one.get("ReferencedFrameNumber")) for one in images]
    return found


@pytest.mark.parametrize("missing", [False, True])
def test_of_a_file_with_several_stacks_it_refers_to_the_frames_of_its_own(tmp_path, missing):
    heights = [0, 3, 1, 2, 4, 5]
    planes = [(height, stack) for height in heights for stack in "12" if not (missing and (height, stack) == (2, "2"))]
    groups = [dicom_support.functional_group((0, 0, float(height)), stack=stack) for height, stack in planes]
    file = dicom_support.enhanced(
        tmp_path / "enhanced.dcm",
        np.stack([np.full((16, 12), 10 * int(stack) + height, np.uint16) for height, stack in planes]),
        groups,
        StudyInstanceUID=generate_uid(),
        FrameOfReferenceUID=generate_uid(),
        SeriesNumber=1,
    )
    uid = pydicom.dcmread(file).SOPInstanceUID
    seen = set()
    for part in parts(file):
        source = open_image(file, part.key)
        values = np.asarray(source.image.data)[:, 0, 0] + 1000
        stack = str(int(values.max()) // 10)
        mask = np.zeros(source.image.mask_shape, np.uint8)
        mask[:, 3:6, 2:4] = 1
        write_mask(tmp_path / "mask.dcm", mask, source.image, source=source)
        own = {float(height): [(uid, at)] for at, (height, of) in enumerate(planes, start=1) if of == stack}
        assert references(segread(tmp_path / "mask.dcm")) == {float(height): [] for height in heights} | own
        np.testing.assert_array_equal(read_placed_mask(tmp_path / "mask.dcm").data, mask)
        seen.add(stack)
    assert seen == {"1", "2"}


@pytest.mark.parametrize("keyword", ["EchoTime", "InversionTime", "DiffusionBValue"])
def test_of_a_series_with_several_images_of_a_place_it_refers_to_those_of_its_own(tmp_path, keyword):
    shared = {
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        "Modality": "MR",
        "SeriesNumber": 1,
    }
    fewer = (3,) if keyword == "DiffusionBValue" else ()  # as many at each place would be taken for points of time
    written = {}
    for level in (10, 80):
        volume = np.full((4, 16, 12), level, np.uint16) + np.arange(4, dtype=np.uint16)[:, None, None]
        values = {**shared, keyword: float(level)}
        left_out = fewer if level == 80 else ()
        folder = tmp_path / "series" / str(level)
        for file in dicom_support.series(folder, volume, origin=(0, 0, 0), leave_out=left_out, **values):
            one = pydicom.dcmread(file)
            written[level, float(one.ImagePositionPatient[2])] = [(one.SOPInstanceUID, None)]
            file.rename(tmp_path / "series" / f"{level}-{file.name}")
    seen = set()
    for part in parts(tmp_path / "series"):
        source = open_image(tmp_path / "series", part.key)
        level = int(np.asarray(source.image.data).min())
        write_mask(tmp_path / "mask.dcm", np.ones(source.image.mask_shape, np.uint8), source.image, source=source)
        expected = {height: where for (of, height), where in written.items() if of == level}
        assert references(segread(tmp_path / "mask.dcm")) == expected
        seen.add(level)
    assert seen == {10, 80}


def test_a_single_slice_and_one_frame_of_a_file_that_lies_nowhere(tmp_path):
    for name in ("CT_small.dcm", "JPEG2000.dcm"):
        source = open_image(get_testdata_file(name))
        mask = np.zeros(source.image.mask_shape, np.uint8)
        mask[3:9, 2:40] = 1
        write_mask(tmp_path / "mask.dcm", mask, source.image, source=source)
        assert (np.squeeze(segread(tmp_path / "mask.dcm").pixel_array) == mask).all()


def test_the_path_of_the_source_is_enough(tmp_path):
    folder = write_series(tmp_path / "series")
    image = open_image(folder).image
    write_mask(tmp_path / "mask.dcm", phantom(image), image, source=folder)
    np.testing.assert_array_equal(read_placed_mask(tmp_path / "mask.dcm").data, phantom(image))


def test_where_a_slice_is_missing_the_others_keep_their_places(tmp_path):
    source = open_image(write_series(tmp_path / "series", gap=2))
    mask = phantom(source.image)
    assert len(mask) == 6
    write_mask(tmp_path / "mask.dcm", mask, source.image, source=source)
    slices = [pydicom.dcmread(file) for file in (tmp_path / "series").iterdir()]
    own = {float(one.ImagePositionPatient[2]): [(one.SOPInstanceUID, None)] for one in slices}
    assert references(pydicom.dcmread(tmp_path / "mask.dcm")) == {35.0: []} | own
    again = read_placed_mask(tmp_path / "mask.dcm")
    np.testing.assert_array_equal(again.data, mask)
    np.testing.assert_allclose(again.geometry.affine, source.image.geometry.affine, atol=1e-3)


def test_a_tilted_series_has_its_mask_on_the_grid_that_it_was_put_on(tmp_path):
    source = open_image(write_series(tmp_path / "series", shear=0.3))
    mask = phantom(source.image)
    write_mask(tmp_path / "mask.dcm", mask, source.image, source=source)
    again = read_placed_mask(tmp_path / "mask.dcm")
    np.testing.assert_array_equal(again.data, mask)
    np.testing.assert_allclose(again.geometry.affine, source.image.geometry.affine, atol=1e-3)


def test_labels_keep_their_numbers_where_they_count_from_one_and_their_names_else(tmp_path):
    source = open_image(write_series(tmp_path / "series"))
    mask = phantom(source.image)
    write_mask(
        tmp_path / "all.dcm", np.where(mask == 2, 3, 0), source.image, source=source, names={1: "a", 2: "b", 3: "c"}
    )
    assert set(np.unique(read_placed_mask(tmp_path / "all.dcm").data)) == {0, 3}
    write_mask(tmp_path / "one.dcm", np.where(mask == 2, 200, 0), source.image, source=source)
    assert [str(one.SegmentLabel) for one in pydicom.dcmread(tmp_path / "one.dcm").SegmentSequence] == ["label 200"]


@pytest.mark.parametrize("keyword", ["PatientName", "PatientBirthDate", "StudyID"])
def test_files_without_the_patients_data_are_no_hindrance(tmp_path, keyword):
    folder = write_series(tmp_path / "series")
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        del dataset[keyword]
        dataset.save_as(file)
    source = open_image(folder)
    write_mask(tmp_path / "mask.dcm", phantom(source.image), source.image, source=source)
    assert pydicom.dcmread(tmp_path / "mask.dcm")[keyword].value in ("", None)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 100", "Müller^Jörg"),
    ],
)
def test_names_keep_their_letters_whatever_character_set_they_are_in(tmp_path, character_set, name):
    scan = write_series(tmp_path / "scan", SpecificCharacterSet=character_set, PatientName=name)
    image = open_image(scan)
    write_mask(tmp_path / "mask.dcm", phantom(image.image), image.image, source=image, names={1: "肝 für ∀"})
    written = pydicom.dcmread(tmp_path / "mask.dcm")
    assert written.PatientName == pydicom.dcmread(scan / "0.dcm").PatientName == name
    assert written.SegmentSequence[0].SegmentLabel == "肝 für ∀"


def test_nobody_is_told_the_values_that_are_not_as_the_standard_wants_them(tmp_path, caplog, recwarn):
    with config.disable_value_validation():
        scan = write_series(tmp_path / "scan", StudyInstanceUID="1.2.Erika", AccessionNumber="A-Erika" * 5)
    caplog.set_level(logging.DEBUG)
    image = open_image(scan)
    write_mask(tmp_path / "mask.dcm", phantom(image.image), image.image, source=image)
    assert (tmp_path / "mask.dcm").is_file()
    read_placed_mask(tmp_path / "mask.dcm")
    assert "Erika" not in caplog.text
    assert [str(said.message) for said in recwarn] == []


def test_a_day_that_there_is_not_is_left_out(tmp_path):
    source = open_image(write_series(tmp_path / "series", PatientBirthDate="19310229", StudyTime="999999"))
    write_mask(tmp_path / "mask.dcm", phantom(source.image), source.image, source=source)
    found = pydicom.dcmread(tmp_path / "mask.dcm")
    assert (found.PatientBirthDate, found.StudyTime, found.StudyDate) == ("", "", "20200102")


def refused(tmp_path, mask, image, source):
    (tmp_path / "mask.dcm").write_bytes(b"old")
    with pytest.raises(ImageError) as caught:
        write_mask(tmp_path / "mask.dcm", mask, image, source=source)
    assert (tmp_path / "mask.dcm").read_bytes() == b"old"
    return str(caught.value)


def test_what_cannot_be_a_dicom_seg_is_refused_with_a_way_out(tmp_path):
    source = open_image(write_series(tmp_path / "series"))
    image, mask = source.image, phantom(source.image)
    assert "not known which" in refused(tmp_path, mask, image, None)
    assert "no labels" in refused(tmp_path, np.zeros_like(mask), image, source)
    assert "up to 65535" in refused(tmp_path, mask.astype(np.uint32) * 70_000, image, source)
    other = open_image(write_series(tmp_path / "other", slices=4))
    assert "shape" in refused(tmp_path, mask, image, other)
    for file in (tmp_path / "series").iterdir():
        dataset = pydicom.dcmread(file)
        del dataset.StudyInstanceUID
        dataset.save_as(file)
    assert "StudyInstanceUID" in refused(tmp_path, mask, image, open_image(tmp_path / "series"))


def test_a_source_that_is_no_dicom_is_named(tmp_path):
    image = MedicalImage(np.zeros((4, 5), np.uint8), "YX")
    write_mask(tmp_path / "picture.png", image.data, image)
    assert "'picture.png' is none" in refused(tmp_path, image.data + 1, image, tmp_path / "picture.png")


def test_a_target_that_cannot_be_written_is_said(tmp_path):
    source = open_image(write_series(tmp_path / "series"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError, match="could not be written"):
        write_mask(tmp_path / "file" / "mask.dcm", phantom(source.image), source.image, source=source)
