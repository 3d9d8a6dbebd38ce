import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import ome_zarr_metadata as ngff
from napari_medseg.models.formats import open_image, parts
from napari_medseg.models.formats.ome_zarr_writing import write_ome_zarr_labels
from napari_medseg.models.geometry import Geometry
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.reading import mask_on, read_image, read_mask, read_placed_mask

in_files = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
lengths = st.floats(1e-3, 1e3)


def an_image(shape: tuple[int, ...] = (3, 30, 20), axes: str = "ZYX", **options: Any) -> MedicalImage:
    return MedicalImage(np.zeros(shape, np.uint8), axes, **options)


def phantom_mask(image: MedicalImage) -> np.ndarray:
    """Labels that differ in every pixel, so that any flip, swap or shift shows."""
    return np.arange(np.prod(image.mask_shape), dtype=np.uint16).reshape(image.mask_shape) + 7


def an_ome_zarr(folder: Path, data: np.ndarray, version: str) -> Path:
    """An image without labels, (Z, Y, X), of another program."""
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    transforms = [{"type": "scale", "scale": [2, 0.5, 0.5]}]
    multiscales = [
        {"version": version, "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transforms}]}
    ]
    new = version == "0.5"
    attributes = {"ome": {"version": version, "multiscales": multiscales}} if new else {"multiscales": multiscales}
    group = zarr.open_group(folder, mode="w", zarr_format=3 if new else 2, attributes=attributes)
    group.create_array("0", data=data)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@in_files
@given(
    axes=st.sampled_from(["YX", "ZYX", "TYX", "TZYX", "ZYXC"]),
    unit=st.sampled_from(["mm", "um", "nm", "pixel"]),
    spacing=st.tuples(lengths, lengths, lengths),
)
def test_a_mask_reads_back_with_its_labels_axes_spacing_and_unit(
    tmp_path: Path, axes: str, unit: str, spacing: tuple[float, ...]
) -> None:
    sizes = {"T": 1, "Z": 3, "Y": 30, "X": 20, "C": 3}
    kept = tuple(length for axis, length in zip("ZYX", spacing, strict=True) if axis in axes)
    image = an_image(tuple(sizes[axis] for axis in axes), axes, spacing=kept, unit=unit)
    mask = phantom_mask(image)
    write_ome_zarr_labels(tmp_path / "m.ome.zarr", mask, image)
    again = read_placed_mask(tmp_path / "m.ome.zarr")
    np.testing.assert_array_equal(again.data, mask)
    assert (again.axes, again.unit) == (axes.replace("C", ""), unit)
    assert again.spacing == pytest.approx(kept)


def test_where_a_mask_lies_in_the_patient_is_kept(tmp_path: Path) -> None:
    affine = np.array([[0, 0, 0.7, -90], [0, 0.7, 0, 12], [2.5, 0, 0, 300], [0, 0, 0, 1]])
    image = an_image(spacing=(2.5, 0.7, 0.7), unit="mm", geometry=Geometry(affine, (True, False, False)))
    write_ome_zarr_labels(tmp_path / "m.ome.zarr", phantom_mask(image), image)
    placed = read_placed_mask(tmp_path / "m.ome.zarr").geometry
    assert placed is not None
    np.testing.assert_array_equal(placed.affine, affine)
    assert placed.flipped == (True, False, False)


def test_a_large_mask_is_a_pyramid_that_other_programs_open(tmp_path: Path) -> None:
    parse_url = pytest.importorskip("ome_zarr.io").parse_url
    reader = pytest.importorskip("ome_zarr.reader").Reader
    image = an_image((1500, 1100), "YX", spacing=(0.5, 0.25), unit="um")
    mask = np.zeros(image.mask_shape, np.uint8)
    mask[100:900, 200:700] = 3
    write_ome_zarr_labels(tmp_path / "m.ome.zarr", mask, image)
    opened = open_image(tmp_path / "m.ome.zarr")
    assert [level.shape for level in opened.levels] == [(750, 550), (375, 275)]
    (node,) = list(reader(parse_url(tmp_path / "m.ome.zarr"))())[:1]
    assert [level.shape for level in node.data] == [(1500, 1100), (750, 550), (375, 275)]
    np.testing.assert_array_equal(np.asarray(node.data[0]), mask)
    assert node.metadata["coordinateTransformations"][0][0]["scale"] == [0.5, 0.25]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_are_added_to_an_image_which_stays_as_it_is(tmp_path: Path, version: str) -> None:
    data = np.arange(1, 1801, dtype=np.uint16).reshape(3, 30, 20)
    folder = an_ome_zarr(tmp_path / "a.ome.zarr", data, version)
    before = files(folder)
    image = read_image(folder)
    assert write_ome_zarr_labels(folder, phantom_mask(image), image) == folder / "labels" / "medseg"
    assert before.items() <= files(folder).items()
    assert [part.key for part in parts(folder)] == ["", "labels/medseg"]
    np.testing.assert_array_equal(read_image(folder).data, data)
    np.testing.assert_array_equal(read_mask(folder), phantom_mask(image))

    write_ome_zarr_labels(folder, phantom_mask(image) + 1, image)
    assert [part.key for part in parts(folder)] == ["", "labels/medseg"]
    np.testing.assert_array_equal(read_mask(folder), phantom_mask(image) + 1)
    wanted = 2 if version == "0.4" else 3
    assert zarr.open_array(folder / "labels" / "medseg" / "0", mode="r").metadata.zarr_format == wanted


def a_piece(folder: Path, version: str) -> Path:
    """An image (C, Y, X) of another program that begins at 100 and 230 um."""
    axes = [{"name": "c", "type": "channel"}] + [
        {"name": name, "type": "space", "unit": unit} for name, unit in [("y", "millimeter"), ("x", "micrometer")]
    ]
    level = [{"type": "scale", "scale": [1, 0.001, 0.5]}, {"type": "translation", "translation": [0, 0.1, 200]}]
    whole = [{"type": "translation", "translation": [0, 0, 30]}]
    datasets = [{"path": "0", "coordinateTransformations": level}]
    multiscales = [{"version": version, "axes": axes, "datasets": datasets, "coordinateTransformations": whole}]
    new = version == "0.5"
    attributes = {"ome": {"version": version, "multiscales": multiscales}} if new else {"multiscales": multiscales}
    group = zarr.open_group(folder, mode="w", zarr_format=3 if new else 2, attributes=attributes)
    group.create_array("0", data=np.ones((2, 600, 20), np.uint8))
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_of_an_image_that_does_not_begin_at_0_lie_on_it_for_other_programs(tmp_path: Path, version: str) -> None:
    folder = a_piece(tmp_path / "a.ome.zarr", version)
    image = read_image(folder)
    write_ome_zarr_labels(folder, phantom_mask(image), image)
    written = ngff.multiscale(ngff.attributes(folder / "labels" / "medseg"), "labels")
    assert (written.unit, written.spacing) == ("um", (1, 0.5))
    assert written.translations == (pytest.approx((100, 230)), pytest.approx((100.5, 230.25)))
    opened = open_image(folder, "labels/medseg")
    assert [one.shape for one in opened.levels] == [(300, 10)]
    np.testing.assert_array_equal(read_mask(folder), phantom_mask(image))
    assert version == "0.4" or LabelStore.open(folder / "labels" / "medseg").spacing == (1, 0.5)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_of_their_own_begin_where_their_image_does_and_lie_on_no_other_piece(
    tmp_path: Path, version: str
) -> None:
    image = open_image(a_piece(tmp_path / "a.ome.zarr", version))
    assert image.image.origin == pytest.approx((100, 230))
    write_ome_zarr_labels(tmp_path / "m.ome.zarr", phantom_mask(image.image), image.image)
    written = ngff.multiscale(ngff.attributes(tmp_path / "m.ome.zarr"), "labels")
    assert written.translations == (pytest.approx((100, 230)), pytest.approx((100.5, 230.25)))
    np.testing.assert_array_equal(mask_on(tmp_path / "m.ome.zarr", image), phantom_mask(image.image))
    for origin in ((), (100, 260)):
        other = replace(image, image=replace(image.image, origin=origin))
        with pytest.raises(ImageError, match="of another piece"):
            mask_on(tmp_path / "m.ome.zarr", other)
    not_said = tmp_path / "not said.ome.zarr"
    write_ome_zarr_labels(not_said, phantom_mask(image.image), replace(image.image, origin=()))
    np.testing.assert_array_equal(mask_on(not_said, image), phantom_mask(image.image))


def test_labels_of_other_programs_stay_in_the_list(tmp_path: Path) -> None:
    folder = an_ome_zarr(tmp_path / "a.ome.zarr", np.ones((3, 30, 20), np.uint8), "0.4")
    shutil.copytree(an_ome_zarr(tmp_path / "b", np.ones((3, 30, 20), np.uint8), "0.4"), folder / "labels" / "cells")
    (folder / "labels" / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / "labels" / ".zattrs").write_text('{"labels": ["cells"]}')
    image = read_image(folder)
    write_ome_zarr_labels(folder, phantom_mask(image), image)
    assert json.loads((folder / "labels" / ".zattrs").read_text())["labels"] == ["cells", "medseg"]
    np.testing.assert_array_equal(read_mask(folder, "labels/medseg"), phantom_mask(image))


def test_an_older_mask_is_replaced_and_nothing_is_left_behind(tmp_path: Path) -> None:
    image = an_image()
    write_ome_zarr_labels(tmp_path / "m.ome.zarr", phantom_mask(image), image)
    write_ome_zarr_labels(tmp_path / "m.ome.zarr", phantom_mask(image) + 1, image)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.ome.zarr"), phantom_mask(image) + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["m.ome.zarr"]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "m.ome.zarr").mkdir()
    (tmp_path / "m.ome.zarr" / "thesis.txt").write_text("all of it")
    with pytest.raises(ImageError, match=r"is no OME-Zarr\. Nothing was written"):
        write_ome_zarr_labels(tmp_path / "m.ome.zarr", phantom_mask(an_image()), an_image())
    assert (tmp_path / "m.ome.zarr" / "thesis.txt").read_text() == "all of it"


def test_when_the_disk_is_full_the_older_mask_stays_and_no_half_of_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    image = an_image()
    write_ome_zarr_labels(tmp_path / "m.ome.zarr", phantom_mask(image), image)
    before = files(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"'m\.ome\.zarr' could not be written.*the disk is full"):
        write_ome_zarr_labels(tmp_path / "m.ome.zarr", phantom_mask(image) + 1, image)
    assert files(tmp_path) == before


def test_a_folder_without_permission_is_said(tmp_path: Path, without_privileges: dict[str, Any]) -> None:
    import subprocess
    import sys

    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    code = (
        "import numpy as np, sys\n"
        "from napari_medseg.models.image import MedicalImage\n"
        "from napari_medseg.models.formats.ome_zarr_writing import write_ome_zarr_labels\n"
        "image = MedicalImage(np.zeros((6, 5)), 'YX')\n"
        "write_ome_zarr_labels(sys.argv[1], np.ones((6, 5), 'u1'), image)\n"
    )
    command = [sys.executable, "-c", code, str(closed / "m.ome.zarr")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, **without_privileges)
    assert "WriteError: 'm.ome.zarr' could not be written" in ran.stderr
    assert "you may not write there" in ran.stderr
    assert list(closed.iterdir()) == []
