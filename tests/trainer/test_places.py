"""Cases that leave a project lie where the file did that was opened: world coordinates, as other programs read them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pydicom.data
import pytest
import SimpleITK as sitk
import tifffile

from napari_medseg.models.errors import ImageError, LedgerError
from napari_medseg.models.export import export_mask
from napari_medseg.models.formats import open_image
from napari_medseg.models.geometry import Geometry
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import mask_on
from napari_medseg.trainer.ledger import AlreadyAccepted, Ledger
from napari_medseg.trainer.project_export import export_project

TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
OBLIQUE = TURN if np.linalg.det(TURN) > 0 else -TURN
AXES = {
    "RAS": np.eye(3),
    "LPS": np.diag([-1.0, -1, 1]),
    "ASL": np.array([[0.0, 0, -1], [1, 0, 0], [0, 1, 0]]),
    "PIR": np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "oblique": OBLIQUE,
}


def counted(*shape: int) -> np.ndarray:
    """Every voxel is another number."""
    return np.arange(1, 1 + np.prod(shape), dtype=np.int16).reshape(shape)


def nifti(
    path: Path, direction: np.ndarray, shape: tuple[int, ...] = (6, 5, 4), codes: tuple[int, int] = (1, 1)
) -> Path:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = direction * (0.7, 1.1, 3.0), (12.5, -31, 40)
    image = nibabel.Nifti1Image(counted(*shape), None)
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1])
    if len(shape) > 3:
        image.header["pixdim"][4], image.header["toffset"] = 2.5, 70
        image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path / "scan.nii.gz")
    return path / "scan.nii.gz"


def two_places(path: Path) -> Path:
    """An sform and a qform that differ: programs read one or the other."""
    file = nifti(path, AXES["LPS"])
    image = nibabel.load(file)
    shifted = image.affine.copy()
    shifted[:3, 3] += (9, 8, 7)
    image.set_sform(shifted, 4)
    nibabel.save(image, path / "two.nii")
    return path / "two.nii"


def itk(path: Path, direction: np.ndarray, shape: tuple[int, ...] = (4, 5, 6), begin: float = 0.0) -> Path:
    image = sitk.GetImageFromArray(counted(*shape), isVector=False)
    along = np.eye(len(shape))
    along[:3, :3] = direction
    image.SetDirection(along.ravel().tolist())
    image.SetSpacing((0.7, 1.1, 3.0, 2.5)[: len(shape)])
    image.SetOrigin((12.5, -31.0, 40.0, begin)[: len(shape)])
    sitk.WriteImage(image, str(path))
    return path


def dicom(path: Path, orientation: list[float], slices: int = 3) -> Path:
    path = path / "series"
    path.mkdir()
    source = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm"))
    source.ImageOrientationPatient, source.PixelSpacing = orientation, [0.9, 0.6]
    normal = np.cross(orientation[:3], orientation[3:])
    del source.DataSetTrailingPadding
    for number in range(slices):
        source.ImagePositionPatient = [float(at) for at in np.array([10.0, 20, 30]) + 2.5 * (slices - number) * normal]
        source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number + 1}"
        source.InstanceNumber, source.RescaleIntercept = number + 1, 0
        source.Rows = source.Columns = 16
        source.PixelData = (counted(16, 16) + 256 * number).astype(np.int16).tobytes()
        source.save_as(path / f"{number}.dcm")
    return path if slices > 1 else path / "0.dcm"


SOURCES: dict[str, Callable[[Path], Path]] = {
    **{name: lambda path, axes=axes: nifti(path, axes) for name, axes in AXES.items()},
    "sform only": lambda path: nifti(path, AXES["oblique"], codes=(2, 0)),
    "qform only": lambda path: nifti(path, AXES["oblique"], codes=(0, 1)),
    "two places": two_places,
    "one slice": lambda path: nifti(path, AXES["ASL"], (6, 5, 1)),
    "series in time": lambda path: nifti(path, AXES["LPS"], (4, 5, 3, 2)),
    "slice in time": lambda path: nifti(path, AXES["oblique"], (4, 5, 1, 3)),
    "nrrd": lambda path: itk(path / "scan.nrrd", AXES["PIR"]),
    "metaimage": lambda path: itk(path / "scan.mha", AXES["oblique"]),
    "nrrd in time": lambda path: itk(path / "scan.nrrd", AXES["LPS"], (2, 4, 5, 3), 5.0),
    "dicom": lambda path: dicom(path, [1, 0, 0, 0, 1, 0]),
    "dicom from behind": lambda path: dicom(path, [-1, 0, 0, 0, 0, 1]),
    "dicom, tilted": lambda path: dicom(path, [0.8, 0.6, 0, -0.48, 0.64, 0.6]),
    "dicom, one slice": lambda path: dicom(path, [0, 1, 0, 0, 0, -1], slices=1),
}


def worlds(path: Path, *, by_itk: bool = False) -> np.ndarray:
    """(N, 4): L, P, S in mm and time of each voxel, in the order of the voxels' values."""
    if path.is_dir() or path.suffix == ".dcm":
        return _dicom_worlds(sorted(path.iterdir()) if path.is_dir() else [path])
    if path.name.endswith((".nii", ".nii.gz")) and not by_itk:
        image = nibabel.load(path)
        data, affine = np.asarray(image.dataobj), np.diag([-1.0, -1, 1, 1]) @ image.affine
        step, begin = float(image.header["pixdim"][4]), float(image.header["toffset"])
    else:
        read = sitk.ReadImage(str(path))
        data, n = sitk.GetArrayFromImage(read).T, read.GetDimension()
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(read.GetDirection(), (n, n))[:3, :3] * read.GetSpacing()[:3]
        affine[:3, 3] = read.GetOrigin()[:3]
        step, begin = (read.GetSpacing()[3], read.GetOrigin()[3]) if n > 3 else (0.0, 0.0)
    index = np.stack(np.unravel_index(np.argsort(data, axis=None), data.shape), axis=1)
    index = np.pad(index, ((0, 0), (0, 4 - index.shape[1])))
    time = begin + step * index[:, 3] if data.ndim > 3 else 0.0 * index[:, 3]
    return np.column_stack([index[:, :3] @ affine[:3, :3].T + affine[:3, 3], time])


def _dicom_worlds(files: list[Path]) -> np.ndarray:
    found = []
    for dataset in map(pydicom.dcmread, files):
        rows, columns = np.unravel_index(np.argsort(dataset.pixel_array, axis=None), dataset.pixel_array.shape)
        along = np.reshape([float(at) for at in dataset.ImageOrientationPatient], (2, 3))
        down, right = (float(step) for step in dataset.PixelSpacing)
        first = np.array(dataset.ImagePositionPatient, float)
        found.append(first + np.outer(columns * right, along[0]) + np.outer(rows * down, along[1]))
    return np.pad(np.concatenate(found), ((0, 0), (0, 1)))


def exported(source: Path, folder: Path, key: str = "") -> tuple[Path, Path, Ledger]:
    """Mask and image of a source of which every voxel is accepted as a label of its own."""
    opened = open_image(source).image.loaded()
    with Ledger.open(folder / "project") as ledger:
        ledger.add(opened, opened.data.astype(np.uint16))
    with Ledger.open(folder / "project") as ledger:
        done = export_project(ledger, folder / "out", key=key, images=True)
    assert (done.failed, done.unplaced) == ([], [])
    return done.masks["case-0001"], done.images["case-0001"], ledger


@pytest.mark.parametrize("source", SOURCES)
def test_mask_and_image_lie_on_the_file_that_was_opened(tmp_path: Path, source: str) -> None:
    file = SOURCES[source](tmp_path)
    mask, image, _ = exported(file, tmp_path)
    assert mask.name.endswith(".nii.gz")
    for written in (mask, image):
        np.testing.assert_allclose(worlds(written), worlds(file), atol=1e-3)
        if "time" not in source:
            by_itk = worlds(file, by_itk=True)
            np.testing.assert_allclose(worlds(written, by_itk=True), by_itk, atol=1e-3)
    assert np.array_equal(mask_on(mask, open_image(file)), np.asarray(open_image(file).image.data))


@pytest.mark.parametrize("key", ["nrrd", "metaimage"])
@pytest.mark.parametrize("source", ["oblique", "series in time", "nrrd", "nrrd in time", "dicom, tilted", "one slice"])
def test_other_formats_with_a_place_have_it_too(tmp_path: Path, source: str, key: str) -> None:
    file = SOURCES[source](tmp_path)
    for written in exported(file, tmp_path, key)[:2]:
        np.testing.assert_allclose(worlds(written), worlds(file), atol=1e-3)


def test_the_header_of_a_nifti_is_repeated_where_programs_may_read_one_word_or_the_other(tmp_path: Path) -> None:
    file = two_places(tmp_path)
    was = nibabel.load(file).header
    for written in exported(file, tmp_path)[:2]:
        header = nibabel.load(written).header
        for field in ("qform_code", "sform_code", "quatern_b", "qoffset_x", "srow_x", "pixdim", "xyzt_units"):
            np.testing.assert_array_equal(header[field], was[field])


def test_an_exported_mask_becomes_a_dicom_seg_of_its_series(tmp_path: Path) -> None:
    series = SOURCES["dicom from behind"](tmp_path)
    mask, image, _ = exported(series, tmp_path)
    opened = open_image(series)
    some = (mask_on(mask, opened) > 600).astype(np.uint8)
    export_mask(tmp_path / "seg.dcm", some, opened.image, source=opened)
    assert np.array_equal(mask_on(tmp_path / "seg.dcm", open_image(image)), some)


def test_the_mask_of_an_image_in_colours_lies_in_the_patient_and_fits_the_exported_image(tmp_path: Path) -> None:
    affine = np.diag([-0.7, -1.1, 3.0, 1.0])
    colours = np.moveaxis(np.stack([counted(6, 5, 4)] * 2), 0, -1)[:, :, :, np.newaxis]
    nibabel.save(nibabel.Nifti1Image(colours, affine), tmp_path / "two.nii")
    opened = open_image(tmp_path / "two.nii").image.loaded()
    assert opened.axes == "ZYXC"
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.add(opened, opened.data[..., 0].astype(np.uint16))
        done = export_project(ledger, tmp_path / "out", images=True)
    np.testing.assert_allclose(nibabel.load(done.masks["case-0001"]).affine, affine)
    image = open_image(done.images["case-0001"])
    assert np.array_equal(mask_on(done.masks["case-0001"], image), np.asarray(image.image.data)[..., 0])


def test_what_begins_elsewhere_without_a_patient_begins_there_and_its_frames_are_as_far_apart(tmp_path: Path) -> None:
    film = MedicalImage(
        counted(3, 6, 5), "TYX", (0.5, 0.5), "um", origin=(40.0, 70.0), time_step=0.25, time_unit="s"
    )  # fmt: skip
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.add(film, film.data > 5)
        done = export_project(ledger, tmp_path / "out", images=True)
    for written in (done.masks["case-0001"], done.images["case-0001"]):
        again = open_image(written).image
        assert (again.origin, again.time_step, again.time_unit) == ((40.0, 70.0), 0.25, "s")


def test_a_picture_lies_nowhere_and_nothing_is_said_of_it(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", counted(6, 5))
    image = open_image(tmp_path / "a.tif").image.loaded()
    with Ledger.open(tmp_path / "project") as ledger:
        assert ledger.add(image, image.data > 5).place == {}
        done = export_project(ledger, tmp_path / "out")
    assert done.masks["case-0001"].suffix == ".png"
    assert done.unplaced == []


class TestAdding:
    GEOMETRY = Geometry.from_ras(np.array([[0.0, 0, 2, 5], [-0.5, 0, 0, 6], [0, -0.7, 0, 7], [0, 0, 0, 1]]))
    IMAGE = counted(4, 5, 6)

    def test_a_bare_array_can_be_given_its_place(self, tmp_path: Path) -> None:
        with Ledger.open(tmp_path) as ledger:
            image = ledger.load_image(ledger.add(self.IMAGE, self.IMAGE > 9, geometry=self.GEOMETRY))
        assert image.geometry is not None
        assert np.array_equal(image.geometry.affine, self.GEOMETRY.affine)
        assert (image.spacing, image.unit) == (self.GEOMETRY.spacing, "mm")

    def test_a_spacing_that_is_given_leaves_the_first_voxel_where_it_is(self, tmp_path: Path) -> None:
        placed = MedicalImage(self.IMAGE, "ZYX", self.GEOMETRY.spacing, "mm", geometry=self.GEOMETRY)
        with Ledger.open(tmp_path) as ledger:
            image = ledger.load_image(ledger.add(placed, self.IMAGE > 9, spacing=(1.0, 2.0, 3.0)))
        assert image.geometry is not None
        assert (image.spacing, image.geometry.spacing) == ((1.0, 2.0, 3.0), (1.0, 2.0, 3.0))
        assert np.array_equal(image.geometry.origin, self.GEOMETRY.origin)

    def test_a_spacing_of_other_axes_is_refused(self, tmp_path: Path) -> None:
        placed = MedicalImage(self.IMAGE, "ZYX", self.GEOMETRY.spacing, "mm", geometry=self.GEOMETRY)
        with Ledger.open(tmp_path) as ledger, pytest.raises(ImageError, match="2 spacings for 3"):
            ledger.add(placed, self.IMAGE > 9, spacing=(1.0, 2.0))

    def test_the_same_mask_at_another_place_is_a_correction_and_at_no_place_it_is_not(self, tmp_path: Path) -> None:
        """Whose place is not known can be given one by accepting it again; nothing takes it away."""
        bare = MedicalImage(self.IMAGE, "ZYX", self.GEOMETRY.spacing, "mm")
        with Ledger.open(tmp_path) as ledger:
            ledger.add(bare, self.IMAGE > 9)
            placed = ledger.add(bare, self.IMAGE > 9, geometry=self.GEOMETRY)
            for again in ({}, {"geometry": self.GEOMETRY}):
                with pytest.raises(AlreadyAccepted) as known:
                    ledger.add(bare, self.IMAGE > 9, **again)
                assert known.value.record == placed
            assert ledger.corrections() == [placed]

    def test_another_mask_of_an_image_that_says_no_place_lies_where_the_image_is_known_to_lie(
        self, tmp_path: Path
    ) -> None:
        bare = MedicalImage(self.IMAGE, "ZYX", self.GEOMETRY.spacing, "mm")
        with Ledger.open(tmp_path) as ledger:
            placed = ledger.add(bare, self.IMAGE > 9, geometry=self.GEOMETRY)
            assert ledger.add(bare, self.IMAGE > 8).place == placed.place
            assert ledger.add(bare, self.IMAGE > 8, spacing=(1.0, 2.0, 3.0)).place == {}

    def test_a_broken_header_is_kept_and_the_case_with_it(self, tmp_path: Path) -> None:
        """JSON has no NaN, and PostgreSQL refuses it."""
        file = nifti(tmp_path, AXES["RAS"])
        image = nibabel.load(file)
        image.header["toffset"], image.header["qoffset_x"] = np.nan, np.inf
        nibabel.save(image, tmp_path / "broken.nii")
        opened = open_image(tmp_path / "broken.nii").image.loaded()
        with Ledger.open(tmp_path / "project") as ledger:
            again = ledger.load_image(ledger.add(opened, opened.data > 5)).header
        for field, value in opened.header.fields.items():
            np.testing.assert_array_equal(again.fields[field], value)
            assert again.fields[field].dtype == value.dtype

    @pytest.mark.parametrize(
        "damage",
        [
            {"affine": [[0.0] * 4] * 4},
            {"flipped": [True]},
            {"time": 3},
            {"header": {"format": "nifti", "shape": ["x"], "fields": {}, "version": 1}},
            {"header": {"format": "nifti", "shape": [6, 5, 4], "fields": [], "version": 1}},
            {"header": {"format": "itk", "unit": "mm", "begin": {}}},
            ["no place"],
        ],
    )
    def test_a_place_that_is_damaged_in_the_ledger_is_an_error_for_people(self, tmp_path: Path, damage: Any) -> None:
        with Ledger.open(tmp_path / "project") as ledger:
            record = ledger.add(self.IMAGE, self.IMAGE > 9, geometry=self.GEOMETRY)
            record = replace(record, place=record.place | damage if isinstance(damage, dict) else damage)
            with pytest.raises(LedgerError, match=r"correction 1 lies is damaged.*accept the image"):
                ledger.load_image(record)
