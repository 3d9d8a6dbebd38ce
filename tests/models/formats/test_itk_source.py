"""Masks of NRRD and MetaImage have the numbers of their image, in its unit, since ITK's programs compare these."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image
from napari_medseg.models.reading import mask_on, read_image
from napari_medseg.models.writing import write_mask

ALONG = np.array([[0, 0.6, -0.8], [-1, 0, 0], [0, 0.8, 0.6]])
"""Directions of x, y and z, as columns."""

LABELS = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)


def source(path: Path, unit: str = "", labels: np.ndarray = LABELS) -> Path:
    """A file of SimpleITK's, which can write no unit; it gets one."""
    image = sitk.GetImageFromArray(labels, isVector=False)
    image.SetSpacing((1.0, 2.0, 3.0, 0.5)[: labels.ndim])
    image.SetOrigin((10.0, -20.0, 30.0, 7.0)[: labels.ndim])
    direction = np.eye(labels.ndim)
    direction[:3, :3] = ALONG
    image.SetDirection(direction.ravel().tolist())
    sitk.WriteImage(image, str(path))
    if not unit:
        return path
    content = path.read_bytes()
    if path.suffix == ".nrrd":
        head, end, pixels = content.partition(b"\n\n")
        content = head + b"\nspace units:" + f' "{unit}"'.encode() * 3 + end + pixels
    else:
        content = content.replace(b"\nElementType", f"\nDistanceUnits = {unit}\nElementType".encode(), 1)
    path.write_bytes(content)
    return path


def check_one_space(mask: Path, image: Path) -> None:
    ours, theirs = sitk.ReadImage(str(mask)), sitk.ReadImage(str(image))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
    assert ours.GetSpacing() == pytest.approx(theirs.GetSpacing())
    assert ours.GetOrigin() == pytest.approx(theirs.GetOrigin())
    assert ours.GetDirection() == pytest.approx(theirs.GetDirection())


@pytest.mark.parametrize("unit", ["um", "m", "mm", ""])
@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("of_mask", [".nrrd", ".mha"])
def test_a_mask_has_the_numbers_and_the_unit_of_its_image(tmp_path: Path, unit: str, ending: str, of_mask: str) -> None:
    image, mask = source(tmp_path / f"image{ending}", unit), tmp_path / f"mask{of_mask}"
    opened = read_image(image)
    write_mask(mask, opened.data, opened)
    check_one_space(mask, image)
    assert read_image(mask).spacing == pytest.approx(opened.spacing)
    np.testing.assert_array_equal(mask_on(mask, open_image(image)), opened.data)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_time_begins_where_it_does_in_the_image(tmp_path: Path, ending: str) -> None:
    series = np.stack([LABELS, LABELS[::-1]])
    image = source(tmp_path / f"image{ending}", labels=series)
    opened = read_image(image)
    write_mask(tmp_path / f"mask{ending}", opened.data, opened)
    check_one_space(tmp_path / f"mask{ending}", image)


def test_time_in_ms_begins_where_it_does_in_the_image_also_in_s(tmp_path: Path) -> None:
    image = source(tmp_path / "image.nrrd", labels=np.stack([LABELS, LABELS]))
    head, end, pixels = image.read_bytes().partition(b"\n\n")
    image.write_bytes(head + b'\nspace units: "mm" "mm" "mm" "ms"' + end + pixels)  # steps of 0.5 ms from 7 ms on
    opened = read_image(image)
    write_mask(tmp_path / "mask.nrrd", opened.data, opened)
    again = sitk.ReadImage(str(tmp_path / "mask.nrrd"))
    assert (again.GetSpacing()[3], again.GetOrigin()[3]) == pytest.approx((0.0005, 0.007))
    assert b'"mm" "mm" "mm" "s"' in (tmp_path / "mask.nrrd").read_bytes()


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_a_mask_that_names_no_unit_has_that_of_its_image(tmp_path: Path, ending: str) -> None:
    image, mask = source(tmp_path / f"image{ending}", "um"), source(tmp_path / f"mask{ending}")
    opened = open_image(image)
    np.testing.assert_array_equal(mask_on(mask, opened), opened.image.data)


def test_a_mask_with_the_numbers_of_its_image_in_another_unit_is_refused(tmp_path: Path) -> None:
    image, mask = source(tmp_path / "image.nrrd", "um"), source(tmp_path / "mask.nrrd", "mm")
    with pytest.raises(ImageError, match="numbers of both headers are the same"):
        mask_on(mask, open_image(image))
