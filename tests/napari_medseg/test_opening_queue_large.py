"""Images of a folder that stay in their files: their masks are shown, and corrected, where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_medseg import image_layers
from napari_medseg.models.chosen_model import chosen_model
from napari_medseg.models.formats import tiff
from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.mask_record import Record
from napari_medseg.opening import layers
from napari_medseg.state import ModelChoice

from .large_support import SHAPE, STEP, answer, paint, write_slide
from .queue_support import IMAGE, QueueDesk

FIRST = np.s_[0:1500, 0:100]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A slide that counts as large, with a mask that was streamed, and a small picture."""
    monkeypatch.setattr(image_layers, "LARGE", 2**20)
    images, masks = tmp_path / "slides", tmp_path / "slides masks"
    images.mkdir()
    masks.mkdir()
    write_slide(images / "a.ome.zarr")
    tifffile.imwrite(images / "b.tif", IMAGE)
    store = LabelStore.create(masks / "a.ome.zarr", SHAPE, "YX", STEP, "um", dtype=np.uint32)
    store.write(FIRST, np.full((1500, 100), 41, np.uint32))
    return images


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[QueueDesk]:
    made = QueueDesk(tmp_path / "project")
    yield made
    made.close(lose=True)


def open_slide(desk: QueueDesk, folder: Path) -> None:
    desk.choose(folder)
    desk.open(0)
    desk.until(lambda: len(desk.viewer.layers) == 2 or desk.state.notice)
    desk.image = desk.state.image


def edit(desk: QueueDesk, row: int, column: int) -> None:
    desk.viewer.camera.center = (0, row * STEP[0], column * STEP[1])
    desk.viewer.camera.zoom = 8.0
    desk.large.edit_here()
    desk.until(lambda: desk.state.in_part and not desk.state.part_busy)


def on_disk(folder: Path) -> np.ndarray:
    return LabelStore.open(folder.with_name("slides masks") / "a.ome.zarr").read()


def test_its_mask_is_shown_and_corrections_go_into_it(desk: QueueDesk, folder: Path) -> None:
    open_slide(desk, folder)
    assert [layer.name for layer in desk.viewer.layers] == ["a", "a mask"]
    assert desk.viewer.layers[1].data[0][700, 50] == 41
    assert not desk.state.notice

    desk.state.own_labels = True
    edit(desk, 700, 50)
    paint(desk, 700, 300, 7)
    desk.queue.step(1)
    desk.until(lambda: desk.state.queue_at == 1)

    assert desk.state.queue[0].corrected
    assert [layer.name for layer in desk.viewer.layers] == ["b"]
    whole = on_disk(folder)
    assert (whole[FIRST] == 41).all()
    assert whole[700, 300] == 42  # a number that no other object of the slide has
    desk.open(0)
    desk.until(lambda: len(desk.viewer.layers) == 2)
    assert desk.viewer.layers[1].data[0][700, 300] == 42


def test_the_model_that_made_it_is_the_author_of_its_parts_until_they_are_corrected(
    desk: QueueDesk, folder: Path
) -> None:
    masks = folder.with_name("slides masks")
    Record.of(masks, chosen_model("nuclei"), instances=True).add(folder / "a.ome.zarr", masks / "a.ome.zarr")
    desk.state.models, desk.state.model = (ModelChoice("nuclei", "Nuclei"), ModelChoice("gone", "Gone")), "gone"
    open_slide(desk, folder)
    edit(desk, 700, 50)
    assert desk.mask.model == "nuclei"
    assert desk.mask.predicted is not None
    paint(desk, 700, 300)
    desk.queue.step(1)
    desk.until(lambda: desk.state.queue_at == 1)

    desk.open(0)
    desk.until(lambda: len(desk.viewer.layers) == 2)
    edit(desk, 700, 50)
    assert (desk.mask.predicted, desk.mask.model) == (None, None)
    desk.large.done()
    desk.until(lambda: not desk.state.in_part)
    edit(desk, 1300, 1500)  # another part of it
    assert desk.mask.model == "nuclei"


def test_a_part_that_was_open_when_the_window_ended_is_opened_again(
    desk: QueueDesk, folder: Path, tmp_path: Path
) -> None:
    open_slide(desk, folder)
    edit(desk, 700, 900)
    desk.close()

    again = QueueDesk(tmp_path / "project")
    try:
        again.choose(folder)
        again.open(0)
        again.until(lambda: again.state.in_part and not again.state.part_busy)
    finally:
        again.close(lose=True)


def test_one_of_another_size_is_not_shown_and_not_replaced(desk: QueueDesk, folder: Path) -> None:
    masks = folder.with_name("slides masks")
    (masks / "a.ome.zarr").rename(masks / "old")
    LabelStore.create(masks / "a.ome.zarr", (30, 40), "YX", STEP, "um")
    open_slide(desk, folder)
    assert "'a.ome.zarr' has another size than its image" in desk.state.notice
    answer(desk, 5)
    desk.until(lambda: len(desk.viewer.layers) == 2)
    desk.queue.save()
    desk.until(lambda: desk.state.problem)
    assert "would replace a file" in desk.state.problem
    assert on_disk(folder).shape == (30, 40)


def test_what_a_model_makes_in_the_window_takes_its_place_when_it_is_saved(desk: QueueDesk, folder: Path) -> None:
    open_slide(desk, folder)
    answer(desk, 5)
    desk.until(lambda: desk.viewer.layers[1].data[0][700, 50] == 5)
    assert on_disk(folder)[700, 50] == 41

    desk.queue.save()
    desk.until(lambda: desk.state.notice == "'a.ome.zarr' is saved.")

    assert (on_disk(folder)[FIRST] == 5).all()
    desk.queue.save()
    assert desk.state.notice == "There is nothing new to save in 'a.ome.zarr'."


def test_a_mask_in_a_file_that_is_read_whole_is_named(
    desk: QueueDesk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (layers, tiff):
        monkeypatch.setattr(module, "LARGE", 2**20)
    tifffile.imwrite(folder / "c.tif", np.zeros(SHAPE, np.uint8))
    tifffile.imwrite(folder.with_name("slides masks") / "c.tif", np.zeros(SHAPE, np.uint8))
    desk.choose(folder)
    desk.open(2)
    assert "'c.tif' is another kind of file" in desk.state.notice
    assert desk.state.large
