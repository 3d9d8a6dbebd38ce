"""A box of known millimetres at a known place in the patient, through every reader and writer.

SimpleITK and nibabel write what is read here, and read what is written here. The box's corners are worked out from
origin, spacing and directions alone; they must come back to a hundredth of a millimetre. One of its voxels is marked,
so that a box that is mirrored within itself is found, too.
"""

import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_medseg.models.image import Array, MedicalImage
from napari_medseg.models.reading import read_image
from napari_medseg.models.writing import write_mask

from .dicom_support import series

ORIENTATIONS = [
    np.eye(3)[list(order)] * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]
"""All 48 ways in which x, y and z of an array can run along L, P and S."""

TO_RAS = np.diag([-1.0, -1, 1])

NEAR = 0.01
"""Millimetres."""


@dataclass(frozen=True)
class Phantom:
    """A dark volume with a bright box in it.

    Attributes:
        direction: unit vectors, as columns in (L, P, S), along which x, y and z run.
        spacing: along x, y, z in mm.
        origin: (L, P, S) of the centre of the first voxel.
        size: voxels along x, y, z.
        low: first voxel of the box along x, y, z.
        high: last one.
    """

    direction: np.ndarray
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    size: tuple[int, int, int]
    low: tuple[int, int, int]
    high: tuple[int, int, int]

    @property
    def array(self) -> Array:
        """(z, y, x): 0, 1 in the box, 2 at its voxel `low`."""
        made = np.zeros(self.size, "i2")
        made[tuple(slice(first, last + 1) for first, last in zip(self.low, self.high, strict=True))] = 1
        made[self.low] = 2
        return made.transpose()

    def place(self, index: np.ndarray) -> np.ndarray:
        """(..., 3) indices x, y, z to (L, P, S) in mm."""
        return np.asarray(index) * self.spacing @ self.direction.T + self.origin


@st.composite
def phantoms(draw: st.DrawFn) -> Phantom:
    """In any of the 48 orientations, or obliquely; voxels of any proportions, anywhere around the scanner's centre."""
    direction = draw(st.sampled_from(ORIENTATIONS))
    if draw(st.booleans()):
        turned = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-40, 40)] * 3)), degrees=True)
        direction = turned.as_matrix() @ direction
    size = draw(st.tuples(*[st.integers(2, 9)] * 3))
    low = tuple(draw(st.integers(0, length - 1)) for length in size)
    high = tuple(draw(st.integers(first, length - 1)) for first, length in zip(low, size, strict=True))
    spacing = draw(st.tuples(*[st.floats(0.2, 8)] * 3))
    return Phantom(direction, spacing, draw(st.tuples(*[st.floats(-400, 400)] * 3)), size, low, high)


def corners(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(8, 3): indices of the corners of a box that reaches from voxel `low` to voxel `high`, half a voxel further."""
    ends = np.stack([np.asarray(low) - 0.5, np.asarray(high) + 0.5])
    return np.array([[ends[i, 0], ends[j, 1], ends[k, 2]] for i, j, k in itertools.product((0, 1), repeat=3)])


def check(phantom: Phantom, array: Array, place: Callable[[np.ndarray], np.ndarray]) -> None:
    """The box and the mark in `array`, whose indices `place` takes to (L, P, S), are where the phantom has them."""
    there = np.argwhere(array > 0)
    box = place(corners(there.min(axis=0), there.max(axis=0)))
    meant = phantom.place(corners(np.array(phantom.low), np.array(phantom.high)))
    away = np.linalg.norm(box[:, np.newaxis] - meant, axis=-1)  # (8, 8) mm
    assert away.min(axis=0).max() < NEAR
    assert len(set(away.argmin(axis=0))) == 8
    assert len(there) == np.prod(np.subtract(phantom.high, phantom.low) + 1)
    (mark,) = np.argwhere(array == 2)
    np.testing.assert_allclose(place(mark), phantom.place(np.array(phantom.low)), atol=NEAR)


# Two readers and writers that know nothing of this project


def by_nibabel(phantom: Phantom, path: Path) -> None:
    affine = np.eye(4)
    affine[:3, :3] = TO_RAS @ phantom.direction * phantom.spacing
    affine[:3, 3] = TO_RAS @ phantom.origin
    image = nibabel.Nifti1Image(phantom.array.transpose(), affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def by_simpleitk(phantom: Phantom, path: Path) -> None:
    image = sitk.GetImageFromArray(phantom.array)
    image.SetSpacing(phantom.spacing)
    image.SetOrigin(phantom.origin)
    image.SetDirection(phantom.direction.flatten().tolist())
    sitk.WriteImage(image, str(path), useCompression=True)


def check_with_nibabel(phantom: Phantom, path: Path) -> None:
    image = nibabel.load(path)
    sform, qform = image.header.get_sform(), image.header.get_qform()
    check(phantom, np.asarray(image.dataobj), lambda index: (index @ sform[:3, :3].T + sform[:3, 3]) @ TO_RAS)
    np.testing.assert_allclose(qform, sform, atol=2e-3 * max(phantom.spacing))  # its quaternion has 24 bits


def check_with_simpleitk(phantom: Phantom, path: Path) -> None:
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image).transpose()

    def place(index: np.ndarray) -> np.ndarray:
        points = [image.TransformContinuousIndexToPhysicalPoint(i) for i in np.atleast_2d(index).astype(float).tolist()]
        return np.reshape(points, np.shape(index))

    check(phantom, array, place)


def check_here(phantom: Phantom, image: MedicalImage) -> None:
    geometry = image.geometry
    assert geometry is not None
    check(phantom, image.data, lambda index: index @ geometry.affine[:3, :3].T + geometry.affine[:3, 3])


WRITERS = {
    "nibabel .nii": (by_nibabel, ".nii"),
    "nibabel .nii.gz": (by_nibabel, ".nii.gz"),
    "SimpleITK .nii.gz": (by_simpleitk, ".nii.gz"),
    "SimpleITK .nrrd": (by_simpleitk, ".nrrd"),
    "SimpleITK .nhdr": (by_simpleitk, ".nhdr"),
    "SimpleITK .mha": (by_simpleitk, ".mha"),
}

MASKS = (".nii", ".nii.gz", ".nrrd", ".mha")
"""Endings of masks that have a place in the patient."""


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=20, deadline=None)
@given(phantom=phantoms(), ending=st.sampled_from(MASKS))
def test_a_box_stays_where_it_is_from_image_to_mask_to_file(writer: str, phantom: Phantom, ending: str) -> None:
    write, source = WRITERS[writer]
    with tempfile.TemporaryDirectory() as folder:
        write(phantom, Path(folder) / f"image{source}")
        image = read_image(Path(folder) / f"image{source}")
        check_here(phantom, image)
        check_mask(phantom, image, Path(folder) / f"mask{ending}")


def check_mask(phantom: Phantom, image: MedicalImage, path: Path) -> None:
    write_mask(path, image.data, image)
    check_with_simpleitk(phantom, path)
    if "nii" in path.name:
        check_with_nibabel(phantom, path)
    check_here(phantom, read_image(path))


@pytest.mark.parametrize("orientation", range(48))
def test_every_orientation_is_shown_with_rows_running_down_the_patient(orientation: int, tmp_path: Path) -> None:
    direction = ORIENTATIONS[orientation]
    phantom = Phantom(direction, (0.5, 0.8, 3), (-20, 30, 100), (5, 6, 7), (1, 1, 2), (2, 4, 5))
    by_nibabel(phantom, tmp_path / "image.nii.gz")
    image = read_image(tmp_path / "image.nii.gz")
    assert image.geometry is not None
    assert image.spacing == pytest.approx((3, 0.8, 0.5))  # the file's third axis stays Z
    _, rows, columns = image.geometry.direction.T
    assert rows[np.abs(rows).argmax()] * (-1 if np.abs(rows).argmax() == 2 else 1) > 0  # to the back, left, or feet
    assert columns.sum() > 0.99  # to the patient's left, or to the back, or upwards
    for ending in MASKS:
        check_mask(phantom, image, tmp_path / f"{ending.replace('.', '')}-mask{ending}")


@settings(max_examples=15, deadline=None)
@given(phantom=phantoms(), ending=st.sampled_from(MASKS))
def test_a_box_in_a_dicom_series_stays_where_it_is(phantom: Phantom, ending: str) -> None:
    along_x, along_y, along_z = phantom.direction.T
    if np.dot(np.cross(along_x, along_y), along_z) < 0:  # slices of a series go along the normal of their planes
        phantom = replace(phantom, direction=np.stack([along_x, along_y, -along_z], axis=1))
    with tempfile.TemporaryDirectory() as folder:
        series(
            Path(folder) / "series",
            phantom.array,
            orientation=(*along_x, *along_y),
            spacing=phantom.spacing[::-1],
            origin=phantom.origin,
        )
        image = read_image(Path(folder) / "series")
        check_here(phantom, image)
        check_mask(phantom, image, Path(folder) / f"mask{ending}")


@settings(max_examples=15, deadline=None)
@given(phantom=phantoms(), ending=st.sampled_from([".tif", ".ome.tif", ".ome.zarr"]))
def test_formats_without_a_place_keep_the_size_in_millimetres(phantom: Phantom, ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        by_nibabel(phantom, Path(folder) / "image.nii")
        image = read_image(Path(folder) / "image.nii")
        path = Path(folder) / f"mask{ending}"
        write_mask(path, image.data, image)
        back = read_image(path)
        np.testing.assert_array_equal(back.data, image.data)
        assert back.unit == "mm"
        assert back.spacing == pytest.approx(image.spacing)
        if ending == ".ome.tif":
            with tifffile.TiffFile(path) as file:
                pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
            assert [pixels[f"PhysicalSize{axis}"] for axis in "XYZ"] == pytest.approx(phantom.spacing)
        elif ending == ".ome.zarr":
            (multiscale,) = zarr.open_group(path, mode="r").attrs["ome"]["multiscales"]
            assert [axis["unit"] for axis in multiscale["axes"]] == ["millimeter"] * 3
            (scale,) = (t for t in multiscale["datasets"][0]["coordinateTransformations"] if t["type"] == "scale")
            assert scale["scale"][::-1] == pytest.approx(phantom.spacing)
