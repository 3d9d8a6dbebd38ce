"""A part of a large image: opened, corrected, and put back into the mask of the whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.image_layers import is_large, lies_over, medical_image
from napari_medseg.large.part import LEAST, SIDE, VOXELS, part_around
from napari_medseg.models.label_store import LabelStore, halved

from ..large_support import SHAPE, STEP, LargeDesk, paint


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


def test_the_panel_says_how_large_the_image_is_and_then_which_part_of_it_is_shown(desk: LargeDesk) -> None:
    assert desk.state.large_about.startswith(" x ".join(map(str, SHAPE)))
    desk.edit(700, 900)
    assert "from row" in desk.state.large_about


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

    desk.large.made(desk.image, folder, 0)
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
        desk.large.made(desk.image, folder, value)
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


def turn(desk: LargeDesk) -> None:
    """What the window does before it hears the user again."""
    desk.until(lambda: desk.waiting)
    desk.next_turn()


def test_layers_come_and_go_in_turns_of_the_windows_loop(desk: LargeDesk) -> None:
    desk.edit(300, 300)  # the first one has the mask of the whole shown, too
    desk.done()
    desk.look_at(700, 900)
    came: list[object] = []
    desk.viewer.layers.events.inserted.connect(came.append)
    desk.viewer.layers.events.removed.connect(came.append)
    desk.viewer.layers[1].events.data.connect(came.append)

    def until_not(busy: Callable[[], object]) -> None:
        while busy():
            turn(desk)
            assert len(came) <= 1
            came.clear()

    desk.large.edit_here()
    until_not(lambda: desk.state.part_busy)
    desk.large.done()
    until_not(lambda: desk.state.in_part)


def test_an_image_that_is_closed_while_its_part_is_being_shown_leaves_nothing(desk: LargeDesk) -> None:
    desk.look_at(700, 900)
    desk.large.edit_here()
    while "slide part" not in desk.viewer.layers:
        turn(desk)
    desk.viewer.layers.remove(desk.image)
    desk.until(lambda: not desk.state.part_busy and "slide part" not in desk.viewer.layers)
    assert "slide part mask" not in desk.viewer.layers
    assert not desk.state.in_part


def test_what_is_painted_while_a_part_is_being_put_back_is_put_back_too(desk: LargeDesk) -> None:
    desk.edit(700, 900)
    mask = desk.mask
    paint(desk, 700, 900)
    desk.large.done()
    shown = []
    desk.viewer.layers[1].events.data.connect(shown.append)
    while not shown:  # the last thing before the part is taken away
        turn(desk)
    assert mask.layer in desk.viewer.layers
    paint(desk, 750, 950, 4)
    desk.until(lambda: not desk.state.in_part)
    assert (desk.whole[700, 900], desk.whole[750, 950]) == (3, 4)
    assert not desk.masks.unsaved()


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


@given(st.data(), st.lists(st.integers(1, 30_000), min_size=2, max_size=4))
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


def test_a_large_image_that_is_picked_comes_to_the_top_with_its_mask_and_the_part_that_is_open(desk: LargeDesk) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    part, mask = desk.state.image, desk.state.mask
    whole = next(layer for layer in desk.viewer.layers if layer.name == f"{desk.image.name} mask")
    for picked in (part, desk.image):
        over = desk.viewer.add_image(np.ones((3000, 3000), np.uint8), scale=STEP)

        desk.masks.pick(picked)

        assert list(desk.viewer.layers)[-4:] == [desk.image, whole, part, mask]
        assert desk.state.image is picked
        desk.viewer.layers.remove(over)
