"""Masks of NIfTI files say where they lie as their image's file does, whichever of its words a program reads."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image
from napari_medseg.models.nifti_source import FIELDS
from napari_medseg.models.reading import mask_on, read_image
from napari_medseg.models.writing import write_mask

AFFINE = np.array([[0, -2.0, 0.3, 11], [1.5, 0, 0, -22], [0, 0.15, 4, 33], [0, 0, 0, 1]])
"""Oblique, with its columns along the front, the right and the head."""

SHAPES = [(5, 6), (5, 6, 1), (5, 6, 1, 1), (5, 6, 7), (5, 6, 7, 1), (5, 6, 7, 1, 1), (5, 6, 7, 3), (5, 6, 1, 3)]

Header = nibabel.Nifti1Header


def source(
    path: Path,
    shape: tuple[int, ...] = (5, 6, 7),
    codes: tuple[int, int] = (1, 1),
    unit: str = "mm",
    change: Callable[[Header], object] = lambda header: None,
    kind: type[nibabel.Nifti1Image] = nibabel.Nifti1Image,
    dtype: object = "i2",
) -> Path:
    """An image whose qform is 5 mm beside its sform, if it has both."""
    image = kind(np.zeros(shape, dtype), None)
    image.header.set_zooms((1.5, 2.0, 4.0, 1500.0, 1.0)[: len(shape)])
    image.header.set_xyzt_units(unit, "msec")
    image.header["toffset"] = 70
    image.header.set_sform(AFFINE, codes[0])
    image.header.set_qform(AFFINE + 5 * np.eye(4, k=3), codes[1])
    change(image.header)
    nibabel.save(image, path)
    return path


def mask_of(image: Path) -> Path:
    mask = image.with_name("mask.nii.gz")
    opened = read_image(image)
    write_mask(mask, np.arange(np.prod(opened.mask_shape)).reshape(opened.mask_shape) % 200, opened)
    return mask


def check_same_words(mask: Path, image: Path) -> None:
    ours, theirs = nibabel.load(mask), nibabel.load(image)
    for name in FIELDS:
        np.testing.assert_array_equal(ours.header[name], theirs.header[name], name)
    np.testing.assert_array_equal(ours.affine, theirs.affine)


@pytest.mark.parametrize("unit", ["micron", "meter", "unknown", "mm"])
@pytest.mark.parametrize("codes", [(1, 1), (2, 0), (0, 3), (0, 0), (4, 1)])
def test_a_mask_has_the_place_units_time_and_codes_of_its_images_header(
    tmp_path: Path, unit: str, codes: tuple[int, int]
) -> None:
    image = source(tmp_path / "image.nii", (5, 6, 7, 3), codes, unit)
    mask = mask_of(image)
    check_same_words(mask, image)
    assert nibabel.load(mask).shape == (5, 6, 7, 3)
    there, here = read_image(mask), read_image(image)
    assert (there.frame_seconds, there.spacing, there.unit) == (1.5, here.spacing, here.unit)
    np.testing.assert_array_equal(mask_on(mask, open_image(image)), there.data)


@pytest.mark.parametrize("codes", [(1, 1), (0, 0)])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_has_the_axes_of_its_images_file_even_those_of_length_1(
    tmp_path: Path, shape: tuple[int, ...], codes: tuple[int, int]
) -> None:
    image = source(tmp_path / "image.nii.gz", shape, codes)
    check_same_words(mask_of(image), image)
    assert nibabel.load(tmp_path / "mask.nii.gz").shape == shape


@pytest.mark.parametrize(("shape", "of_mask"), [((5, 6, 7, 1, 3), (5, 6, 7)), ((5, 6, 1, 2, 3), (5, 6, 1, 2))])
def test_a_mask_has_no_channels(tmp_path: Path, shape: tuple[int, ...], of_mask: tuple[int, ...]) -> None:
    image = source(tmp_path / "image.nii", shape)
    mask = nibabel.load(mask_of(image))
    assert mask.shape == of_mask
    np.testing.assert_array_equal(mask.affine, nibabel.load(image).affine)


def test_a_mask_of_colours_has_the_axes_of_its_images_file(tmp_path: Path) -> None:
    image = source(tmp_path / "image.nii", dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    check_same_words(mask_of(image), image)
    assert nibabel.load(tmp_path / "mask.nii.gz").shape == (5, 6, 7)


def test_a_mask_of_nifti_2_has_its_place_in_64_bits(tmp_path: Path) -> None:
    def exactly(header: Header) -> None:
        header["srow_x"][3] = 1 / 3

    image = source(tmp_path / "image.nii", change=exactly, kind=nibabel.Nifti2Image)
    check_same_words(mask_of(image), image)


@pytest.mark.parametrize("field", ["srow_x", "quatern_b", "pixdim"])
def test_what_is_broken_in_the_header_is_left_as_it_is(tmp_path: Path, field: str) -> None:
    def broken(header: Header) -> None:
        header[field] = np.nan

    image = source(tmp_path / "image.nii", change=broken)
    mask, ours = mask_of(image), nibabel.Nifti1Header
    with mask.with_name("image.nii").open("rb") as file:
        theirs = ours.from_fileobj(file, check=False)
    with nibabel.openers.Opener(mask) as file:
        again = ours.from_fileobj(file, check=False)
    for name in FIELDS:
        np.testing.assert_array_equal(again[name], theirs[name], name)


def test_a_file_of_the_other_byte_order_has_a_mask_that_says_the_same(tmp_path: Path) -> None:
    image = source(tmp_path / "native.nii")
    turned = nibabel.Nifti1Image(np.zeros((5, 6, 7), "i2"), None, nibabel.load(image).header.as_byteswapped(">"))
    nibabel.save(turned, tmp_path / "image.nii")
    check_same_words(mask_of(tmp_path / "image.nii"), image)


@pytest.mark.parametrize("codes", [(1, 1), (0, 0)])
def test_an_image_that_was_given_another_spacing_has_a_mask_that_says_that(
    tmp_path: Path, codes: tuple[int, int]
) -> None:
    image = read_image(source(tmp_path / "image.nii", codes=codes, unit="micron"))
    place = image.geometry and image.geometry.spaced((8e-3, 4e-3, 3e-3), image.mask_shape)
    spacing, unit = (place.spacing, "mm") if place else ((8.0, 4.0, 3.0), "um")
    changed = replace(image, geometry=place, spacing=spacing, unit=unit)
    write_mask(tmp_path / "mask.nii", np.ones(image.mask_shape, "u1"), changed)
    again = read_image(tmp_path / "mask.nii")
    assert again.spacing == pytest.approx((8e-3, 4e-3, 3e-3))
    assert again.unit == "mm"


# Masks of programs that say it otherwise


@pytest.mark.parametrize("unit", ["micron", "meter"])
def test_a_mask_in_mm_lies_on_an_image_in_another_unit(tmp_path: Path, unit: str) -> None:
    image = source(tmp_path / "image.nii", unit=unit)
    labels = np.arange(210).reshape(5, 6, 7).astype("u1")
    in_mm = np.diag([*[{"micron": 1e-3, "meter": 1e3}[unit]] * 3, 1]) @ AFFINE
    mask = nibabel.Nifti1Image(labels, in_mm)
    mask.header.set_xyzt_units("mm")
    nibabel.save(mask, tmp_path / "mask.nii")
    opened = open_image(image)
    assert opened.image.geometry is not None
    z, y, x = (slice(None, None, -1 if turned else 1) for turned in opened.image.geometry.flipped)
    np.testing.assert_array_equal(mask_on(tmp_path / "mask.nii", opened), labels.T[z, y, x])


@pytest.mark.parametrize("unit", ["micron", "meter"])
def test_a_mask_that_names_no_unit_has_that_of_its_image(tmp_path: Path, unit: str) -> None:
    image = source(tmp_path / "image.nii", unit=unit)
    mask = mask_of(image)
    there = nibabel.load(mask)
    nibabel.save(nibabel.Nifti1Image(np.asarray(there.dataobj), there.affine), tmp_path / "bare.nii")
    np.testing.assert_array_equal(mask_on(tmp_path / "bare.nii", open_image(image)), mask_on(mask, open_image(image)))


@pytest.mark.parametrize(("of_mask", "of_image"), [("mm", "micron"), ("micron", "mm"), ("micron", "unknown")])
def test_a_mask_with_the_numbers_of_its_image_in_another_unit_is_refused_with_both(
    tmp_path: Path, of_mask: str, of_image: str
) -> None:
    image = source(tmp_path / "image.nii", unit=of_image)
    mask = source(tmp_path / "mask.nii", unit=of_mask)
    with pytest.raises(
        ImageError, match=r"'mask\.nii' does not fit 'image\.nii'.*numbers of both headers are the same"
    ):
        mask_on(mask, open_image(image))
