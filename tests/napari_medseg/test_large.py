"""Masks of large images: on the disk, shown as pyramids, and corrected part by part; without a window."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg import image_layers
from napari_medseg.image_layers import is_large, lies_over, medical_image
from napari_medseg.large import whole_masks
from napari_medseg.large.finding import find_mask
from napari_medseg.large.folder import kept_folders
from napari_medseg.large.part import LEAST, SIDE, VOXELS, is_far, part_around
from napari_medseg.models.formats import open_image
from napari_medseg.models.label_store import LabelStore, halved
from napari_medseg.opening.layers import made_layers

from .large_support import SHAPE, STEP, LargeDesk, write_slide


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slide(tmp_path_factory.mktemp("slides") / "slide.ome.zarr")


@pytest.fixture
def desks(tmp_path: Path, slide: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Opens windows on one project, each with the slide, which counts as large."""
    monkeypatch.setattr(image_layers, "LARGE", 2**20)
    made: list[LargeDesk] = []

    def open_one() -> LargeDesk:
        made.append(LargeDesk(tmp_path / "project", slide))
        return made[-1]

    yield open_one
    for desk in made:
        desk.close()


@pytest.fixture
def desk(desks: Any) -> LargeDesk:
    made = desks()
    assert is_large(made.image)
    return made


def paint(desk: LargeDesk, row: int, column: int, label: int = 3) -> None:
    """A dab of napari's brush, at a pixel of the slide."""
    layer = desk.state.mask
    layer.mode, layer.brush_size = "paint", 5
    layer.paint(np.round(layer.world_to_data((row * STEP[0], column * STEP[1]))), label)


def test_a_part_is_an_image_with_a_mask_at_its_place(desk: LargeDesk) -> None:
    desk.edit(700, 900)

    part, mask = desk.state.image, desk.state.mask
    assert lies_over(mask, part)
    assert desk.state.in_part
    start = np.round(desk.image.world_to_data(part.data_to_world((0, 0)))).astype(int)
    here = tuple(slice(at, at + side) for at, side in zip(start, part.data.shape, strict=True))
    np.testing.assert_array_equal(part.data, np.asarray(desk.image.data[0][here]))
    assert medical_image(part).spacing == pytest.approx(STEP)
    assert all(LEAST <= side <= SIDE for side in part.data.shape)
    assert not is_large(part)


def test_what_is_painted_in_a_part_is_in_the_mask_of_the_whole_when_it_is_done(desk: LargeDesk) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.done()

    assert desk.state.image is desk.image
    assert [layer.name for layer in desk.viewer.layers] == ["slide", "slide mask"]
    whole = desk.whole
    assert whole[700, 900] == 3
    rows, columns = np.nonzero(whole)
    assert (np.abs(rows - 700).max(), np.abs(columns - 900).max()) == (1, 2)  # the brush is round in the world
    for level in desk.shown:
        np.testing.assert_array_equal(level, whole)
        whole = halved(whole)


def test_a_mask_of_a_single_level_is_not_taken_for_one_that_can_be_painted_on(desk: LargeDesk, tmp_path: Path) -> None:
    store = LabelStore.create(tmp_path / "one.ome.zarr", SHAPE, "YX", STEP, "um", chunk=2048)
    assert len(store.levels) == 1
    folder = desk.large.folder_for(desk.image, "nuclei", "instances")
    (tmp_path / "one.ome.zarr").rename(folder.labels)

    desk.large.segmented(desk.image, folder, 0)
    desk.until(lambda: len(desk.viewer.layers) == 2)

    assert not desk.viewer.layers[1].editable
    assert desk.state.mask is None
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.done()
    assert desk.whole[700, 900] > 0


def test_a_segmentation_that_was_cancelled_goes_on_in_the_same_folder(desk: LargeDesk) -> None:
    first = desk.large.folder_for(desk.image, "nuclei", "instances")
    first.let_go()
    again = desk.large.folder_for(desk.image, "nuclei", "instances")
    assert again.path == first.path
    again.let_go()
    other = desk.large.folder_for(desk.image, "nuclei", "mask")
    assert other.path != first.path
    other.let_go()


def test_a_new_answer_takes_the_place_of_one_that_nobody_corrected(desk: LargeDesk) -> None:
    def answered(value: int) -> Path:
        folder = desk.large.folder_for(desk.image, "nuclei", "instances")
        store = LabelStore.create(folder.labels, SHAPE, "YX", STEP, "um", dtype=np.uint32)
        store.write((slice(0, 1500), slice(0, 100)), np.full((1500, 100), value, np.uint32))
        desk.large.segmented(desk.image, folder, value)
        desk.until(lambda: len(desk.viewer.layers) > 1 and desk.shown[0][700, 50] == value)
        return folder.path

    first, second = answered(1), answered(2)
    desk.until(lambda: not first.exists())
    assert [layer.name for layer in desk.viewer.layers] == ["slide", "slide mask"]

    desk.edit(700, 50)
    assert desk.mask.predicted is not None
    assert desk.mask.model == "nuclei"
    paint(desk, 700, 300)
    desk.done()
    third = answered(3)
    assert second.exists()
    assert third.exists()
    assert [layer.visible for layer in desk.viewer.layers] == [True, True, False]  # the corrected one is kept


def test_objects_of_different_parts_have_different_numbers(desk: LargeDesk) -> None:
    desk.state.own_labels = True
    for row in (300, 1300):
        desk.edit(row, 900)
        paint(desk, row, 900, 1)
        desk.done()
    desk.edit(300, 900)
    paint(desk, 310, 900, 1)  # more of the first
    desk.done()

    assert (desk.whole[300, 900], desk.whole[1300, 900], desk.whole[310, 900]) == (1, 2, 1)


def test_while_a_part_is_open_the_pyramid_leaves_its_place_to_it(desk: LargeDesk) -> None:
    for row in (700, 1300):
        desk.edit(row, 900)
        paint(desk, row, 900)
        desk.done()
    assert (desk.shown[0][700, 900], desk.shown[0][1300, 900]) == (3, 3)

    desk.edit(700, 900)

    assert desk.state.mask.data.max() == 3
    assert (desk.shown[0][700, 900], desk.shown[0][1300, 900]) == (0, 3)
    for level in desk.shown[1:]:
        factor = SHAPE[0] / level.shape[0]
        assert level[round(700 / factor), round(900 / factor)] == 0
    paint(desk, 700, 900, 0)  # what is erased is not shown from below
    desk.done()
    assert not desk.shown[0][690:710, 890:910].any()
    assert desk.shown[0][1300, 900] == 3


def test_whoever_opens_another_part_has_put_back_the_one_before(desk: LargeDesk) -> None:
    desk.edit(300, 300)
    paint(desk, 300, 300)

    desk.edit(1200, 1700)

    desk.until(lambda: desk.state.in_part and not desk.state.part_busy)
    assert desk.whole[300, 300] == 3
    desk.done()


def test_whoever_moves_far_away_is_done_with_the_part(desk: LargeDesk) -> None:
    desk.edit(300, 300)
    paint(desk, 300, 300)
    desk.look_at(350, 350)
    desk.pump()
    assert desk.state.in_part  # not yet

    desk.look_at(1300, 1700)

    desk.until(lambda: not desk.state.in_part)
    assert desk.whole[300, 300] == 3


def test_from_too_far_away_the_user_is_told_to_zoom_in(desk: LargeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_medseg.large.part.SIDE", 1024)
    desk.edit(700, 900, zoom=0.5)
    assert "Zoom in" in desk.state.notice
    assert not desk.state.in_part

    desk.edit(-9000, 900)
    assert "Nothing of the image" in desk.state.notice


def test_a_tool_is_used_as_soon_as_the_part_in_the_view_is_open(desk: LargeDesk) -> None:
    desk.look_at(700, 900)
    used = []

    assert desk.large.first(lambda: used.append(desk.state.image))
    desk.until(lambda: used)

    assert used[0] is not desk.image
    assert not desk.large.first(lambda: None)  # there is one now
    desk.state.image = desk.image
    assert not desk.large.first(lambda: None)  # and it is taken again
    assert desk.state.image is used[0]


def test_steps_in_a_part_are_undone_as_any(desk: LargeDesk) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    assert desk.state.undo
    desk.editing.undo()
    desk.done()
    assert not desk.whole.any()


def test_a_mask_is_there_again_when_its_image_is_opened_again(desk: LargeDesk, desks: Any) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.done()
    desk.close()

    again = desks()
    again.until(lambda: len(again.viewer.layers) == 2)

    assert again.shown[0][700, 900] == 3
    assert not again.state.in_part


def test_of_a_window_that_was_killed_the_part_and_every_step_in_it_are_found_again(
    desk: LargeDesk, desks: Any, tmp_path: Path
) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    paint(desk, 750, 920, 4)
    desk.settle()
    pixels = desk.pixels.copy()
    shutil.copytree(tmp_path / "project", tmp_path / "as it was")  # what the disk has at that moment
    desk.close(lose=True)
    shutil.rmtree(tmp_path / "project")
    (tmp_path / "as it was").rename(tmp_path / "project")

    again = desks()
    again.until(lambda: again.state.in_part and again.state.draft is not None)
    again.recovery.go_on()
    again.until(lambda: again.state.undo)

    np.testing.assert_array_equal(again.pixels, pixels)
    again.done()
    assert (again.whole[700, 900], again.whole[750, 920]) == (3, 4)


def test_another_window_does_not_write_into_the_same_mask(desk: LargeDesk, desks: Any) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.done()

    other = desks()
    other.until(lambda: not other.background._unfinished)
    other.edit(700, 900)
    paint(other, 700, 900, 9)
    other.done()

    assert desk.shown[0][700, 900] == 3
    assert other.shown[0][700, 900] == 9


def test_a_disk_that_is_full_keeps_the_part_open(desk: LargeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    before = desk.whole
    monkeypatch.setattr(LabelStore, "write", _full)

    desk.large.done()
    desk.until(lambda: desk.state.problem)

    assert "disk is full" in desk.state.problem
    assert desk.state.in_part
    assert desk.pixels.any()
    np.testing.assert_array_equal(desk.whole, before)
    monkeypatch.undo()
    monkeypatch.setattr(image_layers, "LARGE", 2**20)
    desk.done()
    assert desk.whole[700, 900] == 3


def _full(store: LabelStore, region: Any, labels: Any) -> None:
    import errno

    from napari_medseg.models.durable import explained

    with explained(store.path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_layers_may_be_deleted_at_any_moment(desk: LargeDesk) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.viewer.layers.clear()
    desk.until(lambda: not desk.state.part_busy)
    desk.pump()
    assert len(desk.viewer.layers) == 0
    assert not desk.state.in_part


def test_nothing_on_the_disk_tells_whose_the_image_is(desk: LargeDesk, slide: Path) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.done()
    desk.settle()
    for path in (desk.state.project / "large").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"slide" not in content
            assert str(slide.parent).encode() not in content


def test_a_damaged_folder_is_left_as_it_is(desk: LargeDesk) -> None:
    desk.edit(700, 900)
    desk.done()
    (about,) = desk.state.project.glob("large/*/about.json")
    for damaged in (b"", b"{}", b'{"format": 1}', b"[1]"):
        about.write_bytes(damaged)
        assert kept_folders(desk.state.project, SHAPE, lambda: b"") == []
        assert about.read_bytes() == damaged


def answer(desk: LargeDesk, value: int, folder: Any = None) -> Path:
    """A model's answer: this label along the left side of the slide."""
    folder = folder or desk.large.folder_for(desk.image, "nuclei", "instances")
    store = LabelStore.create(folder.labels, SHAPE, "YX", STEP, "um", dtype=np.uint32)
    store.write((slice(0, 1500), slice(0, 100)), np.full((1500, 100), value, np.uint32))
    desk.large.segmented(desk.image, folder, value)
    return folder.path


def test_while_the_image_is_segmented_no_part_is_opened(desk: LargeDesk) -> None:
    desk.state.segmenting = 0.5
    used: list[int] = []
    desk.look_at(700, 900)

    assert desk.large.first(lambda: used.append(1))
    desk.pump()

    assert "segmentation" in desk.state.notice
    assert not desk.state.part_busy
    assert not used


def test_an_answer_for_an_image_with_an_open_part_puts_the_part_back_first(desk: LargeDesk) -> None:
    first = answer(desk, 1)
    desk.until(lambda: len(desk.viewer.layers) == 2)
    desk.edit(700, 300)
    paint(desk, 700, 300)

    answer(desk, 2)
    desk.until(lambda: desk.shown[0][10, 50] == 2)

    assert not desk.state.in_part
    assert not desk.state.problem
    assert LabelStore.open(first / "mask.ome.zarr").read()[700, 300] > 0  # what was painted, hidden and on the disk


def test_a_mask_that_cannot_be_opened_is_passed_over(desk: LargeDesk, desks: Any) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.done()
    whole = desk.large.chosen()
    assert whole is not None
    answer(desk, 2)
    desk.until(lambda: desk.shown[0][10, 50] == 2)
    newer = desk.large.chosen()
    assert newer is not None
    desk.close()
    shutil.rmtree(newer.folder.labels)

    again = desks()
    again.until(lambda: len(again.viewer.layers) == 2)

    assert again.shown[0][700, 900] == 3
    assert "could not be opened" in again.state.notice


def test_corrections_on_offer_are_not_put_out_of_reach(desk: LargeDesk, desks: Any) -> None:
    desk.edit(200, 200)
    paint(desk, 200, 200)
    desk.settle()
    desk.close()

    again = desks()
    again.until(lambda: again.state.draft is not None)
    assert not is_far(again.viewer, again.image, again.large._part.box)  # it is looked at
    again.look_at(1250, 1800)
    again.large.done()
    again.pump()

    assert again.state.in_part
    assert "discard" in again.state.notice
    again.recovery.go_on()
    again.until(lambda: again.state.undo)
    again.done()
    assert again.whole[200, 200] == 3


def test_a_second_image_that_was_left_with_an_open_part_puts_the_first_ones_part_back(
    desk: LargeDesk, desks: Any, tmp_path: Path
) -> None:
    other = tmp_path / "other.ome.zarr"
    pixels = np.random.default_rng(0).integers(0, 200, SHAPE).astype(np.uint8)
    LabelStore.create(other, SHAPE, "YX", STEP, "um", dtype=np.uint8, chunk=256).write((), pixels)
    desk.viewer.add_layer(made_layers(open_image(other))[0])
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.settle()
    desk.close()

    again = desks()
    again.edit(300, 300)
    paint(again, 300, 300)
    first = again.large.chosen()
    assert first is not None
    again.viewer.add_layer(made_layers(open_image(other))[0])
    again.until(lambda: again.state.draft is not None)

    assert [layer.name for layer in again.viewer.layers if "part mask" in layer.name] == ["other part mask"]
    assert first.store.read()[300, 300] == 3
    assert not again.masks.unsaved()
    again.state.image = again.image
    again.edit(1200, 1700)  # the offer is out of sight, but stands
    again.until(lambda: again.state.draft is not None)
    assert "discard" in again.state.notice


def test_strokes_in_a_part_whose_layers_are_deleted_are_put_back(desk: LargeDesk) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)

    desk.viewer.layers.clear()
    desk.until(lambda: not desk.state.part_busy)

    assert desk.whole[700, 900] == 3
    assert not desk.masks.unsaved()


def test_who_edits_at_once_edits_the_mask_that_is_still_being_looked_for(
    desk: LargeDesk, desks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.done()
    desk.close()
    found = threading.Event()
    monkeypatch.setattr(whole_masks, "find_mask", lambda *args: found.wait(60) and find_mask(*args))

    again = desks()
    again.look_at(200, 200)
    again.large.edit_here()
    again.pump()
    assert again.state.part_busy
    assert not again.state.in_part
    found.set()
    again.until(lambda: again.state.in_part)
    paint(again, 200, 200)
    again.done()

    assert (again.whole[700, 900], again.whole[200, 200]) == (3, 3)


def test_a_stroke_that_is_not_at_its_end_is_put_back_too(desk: LargeDesk) -> None:
    desk.edit(300, 300)
    paint(desk, 300, 300)
    desk.large.done()
    with desk.state.mask.block_history():  # the button is down
        paint(desk, 320, 320, 5)
        desk.until(lambda: not desk.state.in_part)

    assert (desk.whole[300, 300], desk.whole[320, 320]) == (3, 5)


def test_another_project_does_not_touch_the_masks_of_the_one_before(desk: LargeDesk, tmp_path: Path) -> None:
    before = answer(desk, 1)
    desk.until(lambda: len(desk.viewer.layers) == 2)

    desk.state.project = tmp_path / "other"
    assert [layer.name for layer in desk.viewer.layers] == ["slide"]
    answer(desk, 2)
    desk.until(lambda: len(desk.viewer.layers) == 2)
    desk.state.project = tmp_path / "project"
    desk.until(lambda: len(desk.viewer.layers) == 2)

    assert before.exists()
    assert desk.shown[0][10, 50] == 1


sides = st.integers(1, 30_000)


@given(st.data(), st.lists(sides, min_size=2, max_size=4))
def test_a_part_holds_what_is_seen_and_is_never_too_large(data: Any, shape: list[int]) -> None:
    seen = []
    for side in shape[-2:]:
        first = data.draw(st.integers(0, side - 1))
        seen.append((first, data.draw(st.integers(first + 1, min(side, first + SIDE)))))
    index = [data.draw(st.integers(0, side - 1)) for side in shape[:-2]]

    box = part_around(seen, index, shape)

    assert np.prod([side.stop - side.start for side in box], dtype=float) <= max(VOXELS, SIDE**2)
    for part, side in zip(box, shape, strict=True):
        assert 0 <= part.start < part.stop <= side
    for part, (first, last), side in zip(box[-2:], seen, shape[-2:], strict=True):
        assert part.start <= first < last <= part.stop
        assert min(side, LEAST) <= part.stop - part.start <= SIDE
    for part, at in zip(box, index, strict=False):
        assert part.start <= at < part.stop
