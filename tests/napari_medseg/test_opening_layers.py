"""What an opened file becomes in napari: without a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels, Layer

from napari_medseg.image_layers import (
    METADATA_KEY,
    describe,
    geometry_of,
    lies_over,
    mask_layer_settings,
    medical_image,
    without_pixels,
)
from napari_medseg.models.formats import OpenedImage, open_image
from napari_medseg.models.formats.nifti_writing import nifti_bytes
from napari_medseg.models.geometry import Geometry
from napari_medseg.models.image import MedicalImage
from napari_medseg.opening.layers import layers_of, made_layers

steps = st.floats(0.1, 10)
places = st.floats(-300, 300)


class Reads:
    """A lazy image, dark at the left and bright at the right, that counts which of its blocks are read."""

    def __init__(self, shape: tuple[int, ...], chunks: Any, dtype: str = "u2") -> None:
        self.blocks = 0
        self.lazy = da.zeros(shape, chunks=chunks, dtype=dtype).map_blocks(self._read, meta=np.zeros(0, dtype))

    def _read(self, block: np.ndarray) -> np.ndarray:
        self.blocks += 1
        return (block + np.arange(block.shape[-1]) % 200).astype(block.dtype)


def pixels(*shape: int, dtype: str = "u2") -> np.ndarray:
    return (np.arange(np.prod(shape)) % 60_000).astype(dtype).reshape(shape)


def layers(opened: OpenedImage) -> list[Layer]:
    return [Layer.create(data, settings, kind) for data, settings, kind in layers_of(opened)]


def pyramid_of(full: Any) -> tuple[Any, ...]:
    return (full[::2, ::2], full[::4, ::4])


@settings(max_examples=40, deadline=None)
@given(origin=st.tuples(places, places, places), spacing=st.tuples(steps, steps, steps), flat=st.booleans())
def test_a_volume_is_shown_where_it_lies_in_the_patient(origin: Any, spacing: Any, flat: bool) -> None:
    geometry = Geometry.from_lps(origin, spacing, np.eye(3))
    data = pixels(6, 5) if flat else pixels(4, 6, 5)
    axes = "YX" if flat else "ZYX"
    image = MedicalImage(data, axes, geometry.spacing[-len(axes) :], "mm", "ct", geometry)
    (layer,) = layers(OpenedImage(image, "/scans/ct.nii"))

    at = (1,) * len(axes)
    np.testing.assert_allclose(layer.data_to_world(at), (geometry.affine @ (*(0,) * flat, *at, 1))[2::-1][-len(axes) :])
    again = medical_image(layer)
    assert again.geometry is geometry
    assert again.spacing == pytest.approx(image.spacing)


def test_two_series_of_one_patient_lie_over_each_other(tmp_path: Path) -> None:
    """A thin series, and a thick one that covers the second half of it; both of one box in the patient."""
    thin, thick = np.zeros((8, 10, 12), np.int16), np.zeros((8, 10, 3), np.int16)
    thin[2:6, 3:7, 8:12], thick[2:6, 3:7, 2] = 100, 100
    found = []
    for name, data, depth, first in (("thin.nii", thin, 1.0, 0.0), ("thick.nii", thick, 4.0, 1.5)):
        affine = np.diag([-0.5, -0.5, depth, 1.0])
        affine[:3, 3] = 20, 30, 40 + first
        nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / name)
        (layer,) = made_layers(open_image(tmp_path / name))
        inside = np.argwhere(np.asarray(layer.data) > 0)
        half = np.array(layer.scale) / 2
        found.append((layer.data_to_world(inside.min(axis=0)) - half, layer.data_to_world(inside.max(axis=0)) + half))
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


@pytest.mark.parametrize("codes", [(2, 0), (0, 0)])
def test_a_mask_of_a_layer_has_the_header_of_its_nifti_file_unless_it_shows_something_else(
    tmp_path: Path, codes: tuple[int, int]
) -> None:
    image = nibabel.Nifti1Image(pixels(5, 6, 7, 3), np.diag([2.0, 3, 4, 1]))
    image.header.set_xyzt_units("micron", "msec")
    image.header["sform_code"], image.header["qform_code"] = codes
    image.header["toffset"] = 70
    nibabel.save(image, tmp_path / "image.nii")
    (layer,) = made_layers(open_image(tmp_path / "image.nii"))
    cropped = Image(layer.data[:, 1:], **{**mask_layer_settings(layer), "metadata": layer.metadata})
    found = []
    for shown in (layer, cropped):
        grid = without_pixels(shown)
        (tmp_path / "mask.nii").write_bytes(nifti_bytes(np.ones(grid.mask_shape, "u1"), grid, ".nii"))
        found.append(nibabel.load(tmp_path / "mask.nii"))
    assert found[0].header.get_xyzt_units() == ("micron", "msec")
    assert found[0].header["toffset"] == 70
    np.testing.assert_array_equal(found[0].affine, nibabel.load(tmp_path / "image.nii").affine)
    assert found[1].header.get_xyzt_units() == ("mm", "sec")
    assert found[1].shape == (5, 6, 6, 3)


def test_a_layer_with_another_spacing_keeps_its_first_voxel_and_one_of_another_size_lies_nowhere() -> None:
    geometry = Geometry.from_lps((10, 20, 30), (0.5, 0.5, 3), np.eye(3))
    image = MedicalImage(pixels(4, 6, 5), "ZYX", geometry.spacing, "mm", "ct", geometry)
    (layer,) = layers(OpenedImage(image, "/scans/ct.nii"))
    part = Image(layer.data[1:], **{**mask_layer_settings(layer), "metadata": layer.metadata})
    assert geometry_of(layer) is geometry
    assert geometry_of(part) is None

    layer.scale = (4, 0.5, 0.5)
    again = medical_image(layer)
    assert (again.spacing, again.unit) == ((4, 0.5, 0.5), "mm")
    np.testing.assert_allclose(again.geometry.origin, (10, 20, 30))
    layer.scale = (3000, 500, 500)
    layer.units = ("um",) * 3
    assert geometry_of(layer) is geometry
    assert medical_image(layer).spacing == (3, 0.5, 0.5)
    layer.units = ("pixel",) * 3
    assert medical_image(layer).geometry is geometry


def test_a_mask_runs_as_its_file_does_when_the_spacing_was_corrected() -> None:
    stored = Geometry.from_ras(np.diag([0.5, 0.5, 3, 1]))
    turned = stored.as_seen()
    geometry = stored.flip(turned, (4, 6, 5))
    assert any(turned)
    (layer,) = layers(OpenedImage(MedicalImage(pixels(4, 6, 5), "ZYX", (3, 0.5, 0.5), "mm", "ct", geometry), "/ct.nii"))
    layer.scale = (3, 1, 1)
    mask = np.zeros((4, 6, 5), np.uint8)
    mask[0, -1 if turned[1] else 0, -1 if turned[2] else 0] = 7  # the file's first voxel
    content = nibabel.Nifti1Image.from_bytes(nifti_bytes(mask, medical_image(layer), ".nii"))
    assert np.asarray(content.dataobj)[0, 0, 0] == 7
    np.testing.assert_allclose(content.affine, np.diag([1, 1, 3, 1]))


def test_a_pyramid_is_one_layer_of_several_resolutions_of_which_only_the_smallest_is_read() -> None:
    full, half, small = (Reads((side, side), 512) for side in (4096, 2048, 1024))
    image = MedicalImage(full.lazy, "YX", (0.5, 0.5), "um", "slide")
    (layer,) = layers(OpenedImage(image, "/scans/slide.tif", levels=(half.lazy, small.lazy)))

    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(4096, 4096), (2048, 2048), (1024, 1024)]
    assert (full.blocks, half.blocks) == (0, 0)
    assert small.blocks > 0
    assert layer.scale.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_the_contrast_of_a_lazy_image_costs_a_sample_of_it(dtype: str) -> None:
    reads = Reads((30, 1024, 4096), (1, 512, 512), dtype)
    (_, settings, _) = layers_of(OpenedImage(MedicalImage(reads.lazy, "ZYX"), "/scans/a.nii"))[0]

    assert settings["contrast_limits"] == ((0, 255) if dtype == "u1" else (0, 199))
    assert reads.blocks <= (0 if dtype == "u1" else 3 * 2 * 4)  # of 480


def test_numbers_that_are_none_do_not_spoil_the_contrast() -> None:
    data = np.full((64, 64), np.nan, "f4")
    data[10:20] = 3.0
    for values in (data, data * np.nan):
        lazy = MedicalImage(da.from_array(values, chunks=32), "YX")
        (layer,) = layers(OpenedImage(lazy, "/scans/a.tif"))
        assert np.isfinite(layer.contrast_limits).all()


def test_the_window_of_the_file_is_shown_and_the_sliders_reach_beyond_it() -> None:
    data = (pixels(4, 64, 64).astype(np.int16) % 3000) - 1000
    opened = OpenedImage(MedicalImage(data, "ZYX"), "/scans/ct.dcm", window=(-160, 240))
    (layer,) = made_layers(opened)
    assert layer.contrast_limits == [-160, 240]
    assert layer.contrast_limits_range == [-1000, 1999]


def test_channels_of_a_lazy_pyramid_are_layers_and_stay_lazy() -> None:
    full = da.from_array(pixels(64, 48, 2), chunks=16)
    opened = OpenedImage(
        MedicalImage(full, "YXC", name="cells"), "/scans/a.zarr", levels=pyramid_of(full), channel_names=("DAPI", "")
    )
    first, second = layers(opened)
    assert (first.name, second.name) == ("cells DAPI", "cells channel 2")
    assert first.colormap.name != second.colormap.name
    assert all(isinstance(level, da.Array) for level in (*first.data, *second.data))
    assert medical_image(first, [second]).data.shape == (64, 48, 2)


def test_colours_of_a_lazy_image_are_shown_as_colours() -> None:
    full = da.from_array(pixels(64, 48, 3, dtype="u2"), chunks=16)
    (layer,) = layers(OpenedImage(MedicalImage(full, "YXC"), "/scans/a.tif", coloured=True))
    assert layer.rgb
    assert 0 < np.asarray(layer.data).max() <= 1


def test_time_is_counted_in_frames_and_its_length_is_noted() -> None:
    film = MedicalImage(pixels(5, 6, 4), "TYX", (0.3, 0.3), "mm", time_step=0.04, time_unit="s")
    (layer,) = layers(OpenedImage(film, "/scans/heart.avi"))
    assert layer.scale.tolist() == [1, 0.3, 0.3]
    for shown in (medical_image(layer), without_pixels(layer)):
        assert shown.frame_seconds == 0.04
    assert describe(layer) == "5 x 6 x 4 px, 1 channel, spacing 0.3 x 0.3 mm, frames 0.04 s apart"
    layer.metadata[METADATA_KEY]["time"] = (2.0, "frame")
    assert describe(layer).endswith("mm, frames 2 apart")


def test_the_time_of_an_image_of_another_program_is_that_of_its_layer() -> None:
    layer = Image(pixels(3, 6, 5), scale=(40, 1, 1), units=("ms", "um", "um"), axis_labels=("t", "y", "x"))
    assert medical_image(layer).frame_seconds == 0.04
    layer.units = ("pixel", "um", "um")
    assert medical_image(layer).frame_seconds is None


def test_what_is_not_large_is_in_memory_before_the_window_has_it() -> None:
    reads = Reads((8, 64, 64), (1, 64, 64))
    (layer,) = made_layers(OpenedImage(MedicalImage(reads.lazy, "ZYX"), "/scans/a.dcm"))
    assert type(layer.data) is np.ndarray
    assert reads.blocks == 8


@settings(max_examples=20, deadline=None)
@given(origin=st.tuples(places, places, places), spacing=st.tuples(steps, steps, steps))
def test_a_mask_lies_over_an_image_that_lies_somewhere(origin: Any, spacing: Any) -> None:
    geometry = Geometry.from_lps(origin, spacing, np.eye(3))
    image = MedicalImage(pixels(4, 6, 5), "ZYX", geometry.spacing, "mm", "ct", geometry)
    (layer,) = layers(OpenedImage(image, "/scans/ct.nii"))
    assert lies_over(Labels(np.zeros((4, 6, 5), np.uint8), **mask_layer_settings(layer)), layer)


def test_an_image_is_shown_where_its_file_says_that_it_begins_and_its_mask_is_written_there() -> None:
    image = MedicalImage(pixels(4, 6, 5), "ZYX", (2, 0.5, 0.5), "um", "piece", origin=(20, 30, 40))
    (layer,) = layers(OpenedImage(image, "/scans/piece.ome.zarr"))
    np.testing.assert_array_equal(layer.data_to_world((0, 0, 0)), (20, 30, 40))
    np.testing.assert_array_equal(layer.data_to_world((1, 1, 1)), (22, 30.5, 40.5))
    layer.translate = (0, 0, 0)  # by hand
    for shown in (medical_image(layer), without_pixels(layer)):
        assert shown.origin == (20, 30, 40)
    layer.units = ("mm", "mm", "mm")
    assert medical_image(layer).origin == pytest.approx((0.02, 0.03, 0.04))


def test_an_image_of_another_program_begins_where_it_is_shown() -> None:
    layer = Image(pixels(3, 6, 5), scale=(1, 0.5, 0.5), translate=(9, 30, 40), axis_labels=("t", "y", "x"))
    assert medical_image(layer).origin == (30, 40)
