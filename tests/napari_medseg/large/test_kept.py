"""Masks of large images on the disk: found again, and never lost, whatever else is done meanwhile."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg import image_layers
from napari_medseg.large import whole_masks
from napari_medseg.large.finding import Given, find_mask, open_given
from napari_medseg.large.folder import kept_folders
from napari_medseg.large.part import is_far
from napari_medseg.models.formats import open_image
from napari_medseg.models.label_store import LabelStore
from napari_medseg.opening.layers import made_layers

from ..large_support import SHAPE, STEP, LargeDesk, answer, full, paint


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


def test_what_is_put_back_is_forced_to_the_disk_before_its_journal_goes(
    desk: LargeDesk, desks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced, fsync = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (forced.add(os.fstat(file).st_ino), fsync(file)))

    def correct(desk: LargeDesk, label: int) -> None:
        desk.edit(700, 900)
        paint(desk, 700, 900, label)
        desk.done()
        (folder,) = (desk.state.project / "large").iterdir()
        files = [path for path in (folder / "mask.ome.zarr").rglob("*") if path.is_file()]
        assert [path for path in files if path.stat().st_ino not in forced] == []

    correct(desk, 3)  # a mask that was begun in this window
    desk.close()
    correct(desks(), 4)  # one that was found


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


def test_a_mask_in_a_folder_is_had_by_one_window_whichever_projects_are_open(desk: LargeDesk, tmp_path: Path) -> None:
    labels = tmp_path / "masks" / "slide.tif.ome.zarr"
    LabelStore.create(labels, SHAPE, "YX", STEP, "um")
    one, other = (open_given(tmp_path / project, desk.image, Given(labels)) for project in ("one", "other"))
    assert one.store is not None
    assert other.folder is None
    assert "Another window works on the mask of this image" in other.said

    one.drop()
    again = open_given(tmp_path / "other", desk.image, Given(labels))
    assert again.store is not None
    again.drop()
    assert [path.name for path in labels.parent.iterdir()] == [labels.name]


def test_a_disk_that_is_full_keeps_the_part_open(desk: LargeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    before = desk.whole
    monkeypatch.setattr(LabelStore, "write", full)

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
    again.until(lambda: again.state.draft is not None and not again.state.part_busy)

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
