"""A mask on the disk as an OME-TIFF with a pyramid of tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_medseg.models.errors import CancelledError, ImageError
from napari_medseg.models.export.pyramid_tiff import write_pyramid
from napari_medseg.models.formats import open_image, tiff
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.reading import mask_on

SPACING = (2.0, 0.5, 0.25)


def store_of(folder: Path, labels: np.ndarray) -> LabelStore:
    spacing = SPACING[-labels.ndim :]
    store = LabelStore.create(folder / "mask", labels.shape, "ZYX"[-labels.ndim :], spacing, "um", dtype=np.uint32)
    store.write((), labels.astype(np.uint32))
    return store


def image_of(labels: np.ndarray) -> MedicalImage:
    """Of this shape, somewhere on the stage."""
    nothing = np.broadcast_to(np.uint8(0), labels.shape)
    axes, spacing, origin = "ZYX"[-labels.ndim :], SPACING[-labels.ndim :], (30.0, 20.0, 10.0)[-labels.ndim :]
    return MedicalImage(nothing, axes, spacing, "um", "slide", origin=origin)


@pytest.mark.parametrize(("shape", "largest"), [((1100, 700), 9), ((3, 600, 520), 300), ((520, 600), 70_000)])
def test_all_levels_are_in_one_file_that_reads_back_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], largest: int
) -> None:
    monkeypatch.setattr(tiff, "LARGE", 0)
    labels = np.kron(
        np.random.default_rng(0).integers(0, largest + 1, [n // 10 for n in shape[-2:]]), np.ones((10, 10))
    )
    labels = np.broadcast_to(labels, shape).astype(np.uint32)
    labels = np.where(labels == labels.max(), largest, labels)
    store, shares = store_of(tmp_path, labels), []
    write_pyramid(tmp_path / "mask.ome.tif", store, image_of(labels), progress=shares.append)

    opened = open_image(tmp_path / "mask.ome.tif")
    assert opened.image.data.dtype == np.min_scalar_type(largest)
    assert (opened.image.spacing, opened.image.origin) == (image_of(labels).spacing, image_of(labels).origin)
    for written, level in zip((opened.image.data, *opened.levels), store.levels, strict=True):
        np.testing.assert_array_equal(np.asarray(written), level[...])
    np.testing.assert_array_equal(mask_on(tmp_path / "mask.ome.tif", type(opened)(image_of(labels), "")), store.read())
    assert (shares, shares[-1]) == (sorted(shares), 1.0)
    with tifffile.TiffFile(tmp_path / "mask.ome.tif") as tif:
        assert tif.is_ome
        assert tif.is_bigtiff
        assert tif.pages[0].is_tiled


def test_an_older_file_stays_if_it_is_stopped_or_the_mask_is_damaged(tmp_path: Path) -> None:
    labels = np.ones((1100, 700), np.uint32)
    store, path = store_of(tmp_path, labels), tmp_path / "mask.ome.tif"
    path.write_bytes(b"older")
    looks = iter([False] * 6)
    with pytest.raises(CancelledError):
        write_pyramid(path, store, image_of(labels), cancel=lambda: next(looks, True))
    (tmp_path / "mask" / "0" / "c" / "1" / "1").write_bytes(b"damaged")
    with pytest.raises(ImageError, match="damaged"):
        write_pyramid(path, store, image_of(labels))
    assert path.read_bytes() == b"older"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mask", "mask.ome.tif"]


def test_a_mask_whose_disk_goes_meanwhile_is_not_written_as_an_empty_one(tmp_path: Path) -> None:
    labels = np.ones((1100, 700), np.uint32)
    store = store_of(tmp_path, labels)

    def unplugged(share: float) -> None:
        if store.path.exists():
            store.path.rename(tmp_path / "gone")

    with pytest.raises(ImageError, match="disk is not connected"):
        write_pyramid(tmp_path / "mask.ome.tif", store, image_of(labels), progress=unplugged)
    assert [one.name for one in tmp_path.iterdir()] == ["gone"]
