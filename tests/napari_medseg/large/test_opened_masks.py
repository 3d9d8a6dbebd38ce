"""Masks of other programs on a large image: copied, shown, corrected; their own files are only read."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_medseg.large import large_masks, whole_masks
from napari_medseg.large.finding import find_mask, folder_to_copy_to
from napari_medseg.models import mask_copy
from napari_medseg.models.label_store import LabelStore, halved
from napari_medseg.opening.large_mask_file import CANCELLED, GONE, OPENING, SEGMENTING
from napari_medseg.opening.one_mask import ITSELF

from ..large_support import SHAPE, STEP, LargeDesk, answer, full, paint


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_copy, "SIDE", 512)


def labels() -> np.ndarray:
    """A label on the right of the slide."""
    made = np.zeros(SHAPE, np.uint16)
    made[:, 1800:] = 5
    return made


def ome_zarr(path: Path, pixels: np.ndarray) -> Path:
    """Labels in OME-NGFF 0.4, of one size, as other programs write them."""
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    scale = [{"type": "scale", "scale": list(STEP)}]
    multiscale = {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    attributes = {"multiscales": [multiscale], "image-label": {"version": "0.4"}}
    group = zarr.open_group(path, mode="w", zarr_format=2, attributes=attributes)
    group.create_array("0", shape=pixels.shape, chunks=(700, 700), dtype=pixels.dtype)[...] = pixels
    return path


def tiled_tiff(path: Path, pixels: np.ndarray) -> Path:
    """A pyramid of tiles."""
    with tifffile.TiffWriter(path) as tif:
        settings: dict[str, Any] = {"tile": (256, 256), "compression": "zlib", "photometric": "minisblack"}
        tif.write(pixels, subifds=1, metadata={"axes": "YX"}, **settings)
        tif.write(halved(pixels), subfiletype=1, **settings)
    return path


WRITE = {"mask.ome.zarr": ome_zarr, "mask.ome.tif": tiled_tiff}


def content(path: Path) -> dict[Path, str]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def folders(desk: LargeDesk) -> list[Path]:
    return sorted((desk.state.project / "large").glob("*"))


@pytest.mark.parametrize("name", WRITE)
def test_a_mask_is_shown_corrected_and_found_again_and_its_own_file_is_only_read(
    desk: LargeDesk, desks: Any, tmp_path: Path, name: str
) -> None:
    path = WRITE[name](tmp_path / name, labels())
    before = content(path)
    desk.open_mask(path)
    assert not desk.state.problem
    assert f"'{name}' is the mask of 'slide' now" in desk.state.notice
    np.testing.assert_array_equal(desk.shown[0], labels())
    assert desk.state.image is desk.image

    desk.edit(700, 1800)
    paint(desk, 700, 1750)
    paint(desk, 700, 1770, 4)
    desk.editing.undo()
    desk.done()
    corrected = labels()
    corrected[desk.whole == 3] = 3
    assert corrected[700, 1750] == 3
    np.testing.assert_array_equal(desk.whole, corrected)
    assert content(path) == before
    desk.close()

    again = desks()
    again.until(lambda: len(again.viewer.layers) == 2)
    np.testing.assert_array_equal(again.shown[0], corrected)


def test_steps_in_a_part_of_it_outlive_a_window_that_is_killed(desk: LargeDesk, desks: Any, tmp_path: Path) -> None:
    desk.open_mask(ome_zarr(tmp_path / "mask.ome.zarr", labels()))
    desk.edit(700, 1800)
    paint(desk, 700, 1750)
    desk.settle()
    desk.close()

    again = desks()
    again.until(lambda: again.state.draft is not None)
    again.recovery.go_on()
    again.until(lambda: again.pixels.any() and (again.pixels == 3).any())
    again.done()
    assert again.whole[700, 1750] == 3
    assert again.whole[700, 1900] == 5


def test_objects_that_are_begun_get_numbers_of_their_own_and_classes_keep_theirs(
    desk: LargeDesk, desks: Any, tmp_path: Path
) -> None:
    many, few = labels(), labels()
    many[0, :300] = np.arange(300)
    few[0, :20] = np.arange(20)
    for pixels, objects, expected in ((many, True, 300), (few, False, 7)):
        desk.state.own_labels = not objects
        desk.open_mask(ome_zarr(tmp_path / f"{objects}.ome.zarr", pixels))
        assert desk.state.own_labels is objects
        desk.edit(700, 900)
        paint(desk, 700, 900, 7)  # there is a 7 elsewhere
        desk.done()
        assert desk.shown[0][700, 900] == expected
    desk.close()

    again = desks()
    again.state.own_labels = True  # the model that is picked answers with objects
    again.until(lambda: len(again.viewer.layers) == 2)
    assert not again.state.own_labels


REFUSED = (
    ("other size.ome.zarr", np.zeros((1500, 1000), np.uint8), "needs (1500, 2000)"),
    ("half.ome.tif", np.zeros((750, 1000), np.uint8), "2 times smaller: make it at the full size"),
    ("real.ome.tif", np.full(SHAPE, 0.5, np.float32), "not whole numbers"),
    ("negative.ome.zarr", np.full(SHAPE, -3, np.int16), "labels from -3"),
)


def test_what_is_no_mask_of_it_is_refused_and_the_one_in_work_stays(desk: LargeDesk, tmp_path: Path) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    drawn = desk.mask
    for name, pixels, said in REFUSED:
        if name.endswith("tif"):
            tifffile.imwrite(tmp_path / name, pixels, tile=(256, 256))
        else:
            ome_zarr(tmp_path / name, pixels)
        desk.open_mask(tmp_path / name)
        assert name in desk.state.problem
        assert said in desk.state.problem
        assert not desk.state.opening
        assert desk.mask is drawn
        assert desk.state.in_part
        assert len(folders(desk)) == 1  # the drawn one


def test_on_a_disk_that_is_full_nothing_is_left_of_it(
    desk: LargeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ome_zarr(tmp_path / "mask.ome.zarr", labels())
    monkeypatch.setattr(LabelStore, "write", full)
    desk.open_mask(path)
    assert "disk is full" in desk.state.problem
    assert folders(desk) == []
    assert len(desk.viewer.layers) == 1


def test_a_damaged_mask_a_folder_without_one_and_the_image_itself_are_refused(
    desk: LargeDesk, slide: Path, tmp_path: Path
) -> None:
    damaged = ome_zarr(tmp_path / "damaged.ome.zarr", labels())
    (damaged / "0" / "1.2").write_bytes(b"damaged")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("no mask")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut.ome.zarr").mkdir()
    for name in (".zattrs", ".zgroup"):
        (tmp_path / "cut.ome.zarr" / name).write_text('{"zarr_format": 2')
    for path in (
        damaged,
        tmp_path / "cut.ome.zarr",
        tmp_path / "letters",
        tmp_path / "empty",
        tmp_path / "missing.ome.zarr",
    ):
        desk.open_mask(path)
        assert path.name in desk.state.problem
        assert "unexpected" not in desk.state.problem
        assert folders(desk) == []
    for path in (slide, slide / "0"):
        desk.open_mask(path)
        assert desk.state.problem == ITSELF.format(path.name)
    assert len(desk.viewer.layers) == 1


def test_a_mask_that_was_corrected_is_kept_and_can_be_opened_again(desk: LargeDesk, tmp_path: Path) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    path = ome_zarr(tmp_path / "mask.ome.zarr", labels())
    desk.open_mask(path)  # the part that is open is put back first
    desk.until(lambda: "hidden and kept" in desk.state.notice)
    assert not desk.state.in_part
    np.testing.assert_array_equal(desk.shown[0], labels())

    before = Path(desk.state.notice.partition("from '")[2].partition("'")[0])
    assert LabelStore.open(before).read()[700, 900] == 3
    desk.open_mask(before)
    desk.until(lambda: desk.shown[0][700, 900] == 3)
    desk.until(lambda: len(folders(desk)) == 2)  # nobody corrected the other copy, which went


def test_one_that_is_still_looked_for_is_kept_as_well(
    desk: LargeDesk, desks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.done()
    desk.close()
    found = threading.Event()
    monkeypatch.setattr(whole_masks, "find_mask", lambda *args: found.wait(60) and find_mask(*args))

    again = desks()
    again.file.open(ome_zarr(tmp_path / "mask.ome.zarr", labels()))
    again.until(lambda: again.state.opening_share is None)
    found.set()
    again.until(lambda: "hidden and kept" in again.state.notice)
    np.testing.assert_array_equal(again.shown[0], labels())


def test_what_a_model_made_is_kept_too(desk: LargeDesk, tmp_path: Path) -> None:
    made = answer(desk, 9)
    desk.until(lambda: len(desk.viewer.layers) == 2)
    desk.open_mask(ome_zarr(tmp_path / "mask.ome.zarr", labels()))
    desk.until(lambda: "hidden and kept" in desk.state.notice)
    assert str(made) in desk.state.notice
    assert LabelStore.open(made / "mask.ome.zarr").read()[0, 0] == 9


def test_one_that_a_part_is_being_opened_of_leaves_nothing_when_it_gives_way(
    desk: LargeDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.open_mask(ome_zarr(tmp_path / "one.ome.zarr", labels()))
    slow, pixels_at = threading.Event(), large_masks.pixels_at
    monkeypatch.setattr(large_masks, "pixels_at", lambda *args: slow.wait(60) and pixels_at(*args))
    desk.look_at(700, 900)
    desk.large.edit_here()
    desk.file.open(ome_zarr(tmp_path / "other.ome.zarr", 2 * labels()))
    desk.until(lambda: desk.state.opening_share is None)
    slow.set()
    desk.until(lambda: desk.shown[0].max() == 10 and not desk.state.part_busy)
    assert not desk.state.problem
    desk.rest()
    shown = desk.large.chosen().folder.path
    assert folders(desk) == [shown]


def test_cancelled_it_leaves_nothing(desk: LargeDesk, tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "mask.ome.zarr", labels())
    desk.file.open(path)
    desk.file.open(path)
    assert desk.state.problem == OPENING
    desk.file.cancel()
    desk.until(lambda: desk.state.opening_share is None)
    assert desk.state.notice == CANCELLED
    desk.until(lambda: folders(desk) == [])
    assert len(desk.viewer.layers) == 1


def test_an_image_that_is_closed_meanwhile_gets_no_mask(desk: LargeDesk, tmp_path: Path) -> None:
    desk.file.open(ome_zarr(tmp_path / "mask.ome.zarr", labels()))
    desk.viewer.layers.clear()
    desk.until(lambda: desk.state.opening_share is None)
    assert desk.state.notice == GONE
    desk.until(lambda: folders(desk) == [])
    assert len(desk.viewer.layers) == 0


def test_half_of_a_copy_that_a_killed_window_left_is_removed(desk: LargeDesk, desks: Any) -> None:
    half = folder_to_copy_to(desk.state.project, desk.image)
    LabelStore.create(half.labels, SHAPE, "YX", STEP, "um")
    half.let_go()
    desk.close()
    again = desks()
    again.until(lambda: not folders(again))
    again.until(lambda: not again.large.wholes.awaited(again.image))
    assert len(again.viewer.layers) == 1


def test_while_the_image_is_segmented_none_is_opened(desk: LargeDesk, tmp_path: Path) -> None:
    desk.state.segmenting = 0.5
    desk.file.open(ome_zarr(tmp_path / "mask.ome.zarr", labels()))
    assert desk.state.problem == SEGMENTING
    assert desk.state.opening_share is None
