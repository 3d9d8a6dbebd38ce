"""A mask in a file, copied piece by piece into a store of its image's own."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_medseg.models import mask_copy
from napari_medseg.models.errors import CancelledError, ImageError
from napari_medseg.models.formats import open_image, pyramid_tiles, tiff, tiff_pixels
from napari_medseg.models.formats.opened import OpenedImage
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.label_store import LabelStore, halved
from napari_medseg.models.mask_copy import Copied, copy_mask
from napari_medseg.models.reading import lazy_mask_on

SHAPE = (700, 900)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_copy, "SIDE", 256)
    monkeypatch.setattr(tiff, "LARGE", 0)
    monkeypatch.setattr(tiff_pixels, "_WINDOW", 128)
    monkeypatch.setattr(pyramid_tiles, "_BLOCK_BYTES", 2**17)


@pytest.fixture
def image() -> OpenedImage:
    return OpenedImage(MedicalImage(np.zeros(SHAPE, np.uint8), "YX", (0.5, 0.25), "um", "slide", origin=(3, 4)), "")


def labels() -> np.ndarray:
    """Some objects, one of them over the border of pieces, and much nothing."""
    made = np.zeros(SHAPE, np.int64)
    made[10:40, 20:60], made[200:300, 240:270], made[690:, 880:] = 1, 70_000, 7
    return made


def ngff_04(path: Path, pixels: np.ndarray, chunks: tuple[int, ...] = (100, 130)) -> Path:
    """Labels as other programs write them: five axes, Zarr 2, one size."""
    axes = [
        {"name": name, "type": kind} for name, kind in zip("tczyx", ["time", "channel", *["space"] * 3], strict=True)
    ]
    scale = [{"type": "scale", "scale": [1, 1, 1, 0.5, 0.25]}]
    multiscale = {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    attributes = {"multiscales": [multiscale], "image-label": {"version": "0.4"}}
    group = zarr.open_group(path, mode="w", zarr_format=2, attributes=attributes)
    array = group.create_array("0", shape=(1, 1, 1, *pixels.shape), chunks=(1, 1, 1, *chunks), dtype=pixels.dtype)
    array[0, 0, 0] = pixels
    return path


def written(path: Path, pixels: np.ndarray) -> Path:
    """A mask as one of the programs writes it that the name stands for."""
    if path.name == "other.ome.zarr":
        return ngff_04(path, pixels)
    if path.name == "own.ome.zarr":
        LabelStore.create(path, SHAPE, "YX", (0.5, 0.25), "um", dtype=np.uint32).write((), pixels.astype(np.uint32))
    elif path.name == "pyramid.ome.tif":
        with tifffile.TiffWriter(path, bigtiff=True) as tif:
            settings: dict[str, Any] = {"tile": (128, 128), "compression": "zlib", "photometric": "minisblack"}
            tif.write(pixels.astype(np.uint32), subifds=1, metadata={"axes": "YX"}, **settings)
            tif.write(halved(pixels.astype(np.uint32)), subfiletype=1, **settings)
    elif path.name == "strips.tif":
        tifffile.imwrite(path, pixels.astype(np.float32), rowsperstrip=33, compression="zlib")
    elif path.name == "grey as colours.tif":
        tifffile.imwrite(path, np.repeat((pixels % 251)[..., None], 3, -1).astype(np.uint8), tile=(64, 64))
    else:
        tifffile.imwrite(path, pixels.astype(np.uint32))
    return path


def copied(path: Path, image: OpenedImage, target: Path, **options: Any) -> Copied:
    return copy_mask(lazy_mask_on(path, image), target, image.image, called=path.name, **options)


@pytest.mark.parametrize(
    "name", ["other.ome.zarr", "own.ome.zarr", "pyramid.ome.tif", "strips.tif", "plain.tif", "grey as colours.tif"]
)
def test_a_mask_of_whatever_program_is_copied_with_all_its_labels(
    image: OpenedImage, tmp_path: Path, name: str
) -> None:
    expected = labels() % 251 if name == "grey as colours.tif" else labels()
    shares: list[float] = []
    made = copied(written(tmp_path / name, labels()), image, tmp_path / "made", progress=shares.append)
    store = LabelStore.open(tmp_path / "made")
    np.testing.assert_array_equal(store.read(), expected)
    np.testing.assert_array_equal(store.levels[1][...], halved(expected))
    assert made == Copied(expected.max(), objects=expected.max() >= 2**16)
    assert (shares, shares[-1]) == (sorted(shares), 1.0)
    assert len(shares) > 3
    assert (store.spacing, store.unit) == ((0.5, 0.25), "um")
    assert open_image(tmp_path / "made").image.origin == (3, 4)


@pytest.mark.parametrize(("kind", "kept_as"), [(bool, np.uint16), (np.uint8, np.uint16), (np.uint16, np.uint32)])
def test_there_is_room_for_objects_that_are_added(
    image: OpenedImage, tmp_path: Path, kind: type, kept_as: type
) -> None:
    ones = (labels() > 0).astype(kind)
    copied(ngff_04(tmp_path / "mask.ome.zarr", ones), image, tmp_path / "made")
    store = LabelStore.open(tmp_path / "made")
    assert store.dtype == kept_as
    np.testing.assert_array_equal(store.read(), ones)


@pytest.mark.parametrize(("count", "objects"), [(255, False), (256, True)])
def test_many_labels_are_objects_and_few_are_classes(
    image: OpenedImage, tmp_path: Path, count: int, objects: bool
) -> None:
    pixels = np.zeros(SHAPE, np.uint16)
    pixels[300, 3 : 3 + count] = 1000 + np.arange(count)
    assert copied(ngff_04(tmp_path / "m.ome.zarr", pixels), image, tmp_path / "made").objects is objects


def test_of_a_mask_no_more_than_a_piece_is_in_memory(
    image: OpenedImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_copy, "MOST", 2**16)
    high = OpenedImage(MedicalImage(np.broadcast_to(np.uint8(0), (6000, 500)), "YX"), "")
    path = tmp_path / "long.tif"
    tifffile.imwrite(path, np.ones((6000, 500), np.uint32), tile=(128, 128), compression="zlib")  # 12 MB
    values = lazy_mask_on(path, high)
    monkeypatch.setattr(mask_copy, "_write", lambda *_: None)  # zarr's own buffers do not count
    tracemalloc.start()
    try:
        copy_mask(values, tmp_path / "made", high.image, called="long.tif")
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


def test_a_stack_is_copied_plane_by_plane(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 5, (5, 300, 280)).astype(np.uint16)
    group = zarr.open_group(tmp_path / "m.zarr", mode="w")
    axes = [{"name": axis, "type": "space"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    multiscale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale], "image-label": {}}
    group.create_array("0", shape=stack.shape, chunks=(4, 128, 128), dtype=stack.dtype)[...] = stack
    image = OpenedImage(MedicalImage(np.zeros(stack.shape, np.uint8), "ZYX"), "")
    copied(tmp_path / "m.zarr", image, tmp_path / "made")
    np.testing.assert_array_equal(LabelStore.open(tmp_path / "made").read(), stack)


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [(0.5, np.float32, "not whole numbers"), (-1, np.int16, "labels from -1"), (2**33, np.int64, "allowed are 0 to")],
)
def test_values_that_are_no_labels_are_refused_wherever_they_stand(
    image: OpenedImage, tmp_path: Path, value: float, kind: type, said: str
) -> None:
    pixels = np.zeros(SHAPE, kind)
    pixels[650, 850] = value
    with pytest.raises(ImageError, match=rf"'m.ome.zarr' is no mask.*{said}"):
        copied(ngff_04(tmp_path / "m.ome.zarr", pixels), image, tmp_path / "made")


def test_one_of_a_smaller_copy_of_the_image_is_called_so(image: OpenedImage, tmp_path: Path) -> None:
    half = ngff_04(tmp_path / "half.ome.zarr", labels()[::2, ::2])
    with pytest.raises(ImageError, match=r"\(350, 450\).*\(700, 900\).*2 times smaller.*full size"):
        lazy_mask_on(half, image)
    double = ngff_04(tmp_path / "double.ome.zarr", np.zeros((1400, 1800), np.uint8))
    with pytest.raises(ImageError, match="2 times as large: open the image at its full size"):
        lazy_mask_on(double, image)
    other = ngff_04(tmp_path / "other.ome.zarr", np.zeros((350, 460), np.uint8))
    with pytest.raises(ImageError, match=r"needs \(700, 900\) \(YX\)\. Nothing was changed"):
        lazy_mask_on(other, image)


def test_damage_colours_and_a_wish_to_stop_end_it(image: OpenedImage, tmp_path: Path) -> None:
    damaged = ngff_04(tmp_path / "damaged.ome.zarr", labels())
    next(path for path in damaged.rglob("*") if path.name.endswith("0.6.6")).write_bytes(b"damage")
    with pytest.raises(ImageError, match=r"Part of 'damaged\.ome\.zarr' is"):
        copied(damaged, image, tmp_path / "one")
    colours = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", colours, tile=(64, 64))
    with pytest.raises(ImageError, match=r"'rgb\.tif' is a colour picture"):
        copied(tmp_path / "rgb.tif", image, tmp_path / "two")
    with pytest.raises(CancelledError):
        copied(ngff_04(tmp_path / "m.ome.zarr", labels()), image, tmp_path / "three", cancel=lambda: True)


@pytest.mark.parametrize("name", ["other.ome.zarr", "own.ome.zarr"])
def test_of_a_mask_whose_disk_goes_meanwhile_no_rest_is_taken_for_background(
    image: OpenedImage, tmp_path: Path, name: str
) -> None:
    path = written(tmp_path / name, labels())

    def unplugged(share: float) -> None:
        if path.exists():
            path.rename(tmp_path / "gone")

    with pytest.raises(ImageError, match="disk is not connected"):
        copied(path, image, tmp_path / "made", progress=unplugged)
