"""A folder of images worked through in the panel: real files, and the real command beside it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
from napari.layers import Labels

from napari_medseg.image_layers import mask_layer_settings
from napari_medseg.masks import Mask
from napari_medseg.models.chosen_model import chosen_model
from napari_medseg.models.mask_record import Record
from napari_medseg.models.reading import read_image, read_mask
from napari_medseg.models.writing import write_mask
from napari_medseg.opening.all_masks import time_left
from napari_medseg.opening.made_by import Made, made_by
from napari_medseg.state import ModelChoice

from ..models.formats.dicom_support import numbered, series
from .queue_support import IMAGE, QueueDesk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[QueueDesk]:
    made = QueueDesk(tmp_path / "project")
    yield made
    made.close(lose=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture with a mask, a volume with one, and something that is no image."""
    images, masks = tmp_path / "ward 7", tmp_path / "ward 7 masks"
    images.mkdir()
    masks.mkdir()
    iio.imwrite(images / "a.png", IMAGE)
    affine = np.diag([-0.5, -0.5, 3, 1])
    nibabel.save(nibabel.Nifti1Image(np.stack([IMAGE] * 3).T, affine), images / "b.nii")
    (images / "c.png").write_text("no image")
    for name, mask in (("a.png", "a.png"), ("b.nii", "b.nii.gz")):
        image = read_image(images / name)
        labels = np.zeros(image.mask_shape, np.uint8)
        labels[..., 5:9, 3:8] = 2
        write_mask(masks / mask, labels, image)
    return images


def test_a_folder_is_listed_with_the_masks_that_are_there(desk: QueueDesk, folder: Path) -> None:
    desk.choose(folder)
    assert [(queued.path.name, queued.done) for queued in desk.state.queue] == [
        ("a.png", True),
        ("b.nii", True),
        ("c.png", False),
    ]
    assert desk.state.queue_about == "2 of 3 images have a mask in 'ward 7 masks'."


def test_a_folder_without_images_says_so(desk: QueueDesk, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    desk.choose(tmp_path / "nothing")
    assert "There are no images" in desk.state.problem


def test_an_image_is_opened_with_its_mask_and_the_next_takes_its_place(desk: QueueDesk, folder: Path) -> None:
    desk.choose(folder)
    desk.open(0)
    assert [layer.name for layer in desk.viewer.layers] == ["a", "a mask"]
    assert (desk.pixels[5:9, 3:8] == 2).all()

    desk.queue.step(1)
    desk.until(lambda: desk.state.queue_at == 1)

    assert [layer.name for layer in desk.viewer.layers] == ["b", "b mask"]
    assert (desk.pixels[:, 5:9, 3:8] == 2).all()
    assert desk.state.mask.scale.tolist() == [3, 0.5, 0.5]


def test_corrections_are_in_the_masks_file_when_the_next_image_comes(desk: QueueDesk, folder: Path) -> None:
    desk.choose(folder)
    desk.open(1)
    desk.editing.change(desk.mask, np.s_[1:2, 20:24, 30:40], np.full((1, 4, 10), 7, np.uint8), "Draw")

    desk.queue.step(-1)
    desk.until(lambda: desk.state.queue_at == 0)

    assert desk.state.queue[1].corrected
    saved = folder.with_name("ward 7 masks") / "b.nii.gz"
    assert (read_mask(saved)[1, 20:24, 30:40] == 7).all()
    assert nibabel.load(saved).affine == pytest.approx(nibabel.load(folder / "b.nii").affine)
    assert not desk.masks.unsaved()
    desk.open(1)
    assert (desk.mask.predicted, desk.mask.model) == (None, None)  # it is not what a model made any more


def test_a_stroke_that_is_being_drawn_is_in_the_masks_file_when_the_next_image_comes(
    desk: QueueDesk, folder: Path
) -> None:
    desk.choose(folder)
    desk.open(0)
    layer = desk.mask.layer
    layer.mode = "paint"
    with layer.block_history():
        layer._draw(7, (20, 20), (20, 30))
        desk.open(1)

    labels = read_mask(folder.with_name("ward 7 masks") / "a.png")
    assert labels[20, 20] == labels[20, 30] == 7


def test_the_model_that_made_a_mask_is_its_author_whichever_is_picked(desk: QueueDesk, folder: Path) -> None:
    masks = folder.with_name("ward 7 masks")
    Record.of(masks, chosen_model("nuclei"), instances=False).add(folder / "a.png", masks / "a.png")
    desk.state.models = tuple(ModelChoice(name, name) for name in ("gone", "nuclei"))
    desk.state.model = "gone"
    desk.choose(folder)
    desk.open(0)
    assert desk.mask.model == "nuclei"
    assert (desk.mask.predicted == desk.pixels).all()

    desk.open(1)  # not in the record: somebody drew it, or another program made it
    assert (desk.mask.predicted, desk.mask.model) == (None, None)


def test_of_a_model_that_the_panel_does_not_have_it_is_known_that_one_made_the_mask(folder: Path) -> None:
    masks = folder.with_name("ward 7 masks")
    Record(masks, "other weights").add(folder / "a.png", masks / "a.png")
    assert made_by(folder / "a.png", masks / "a.png", ["nuclei"], str) == Made()
    assert made_by(folder / "a.png", masks / "b.nii.gz", ["nuclei"], str) is None
    write_mask(masks / "a.png", np.full(IMAGE.shape, 3, np.uint8), read_image(folder / "a.png"))
    assert made_by(folder / "a.png", masks / "a.png", ["nuclei"], str) is None  # corrected since


def test_a_mask_that_cannot_be_saved_stays_open(desk: QueueDesk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.choose(folder)
    desk.open(0)
    desk.editing.change(desk.mask, np.s_[0:2, 0:2], np.ones((2, 2), np.uint8), "Draw")
    masks = folder.with_name("ward 7 masks")
    shutil.rmtree(masks)
    masks.write_text("in the way")

    desk.queue.step(1)
    desk.until(lambda: desk.state.problem)

    assert desk.state.queue_at == 0
    assert desk.pixels[0, 0] == 1
    assert desk.mask.unsaved


def draw(desk: QueueDesk, value: int = 7) -> None:
    desk.editing.change(desk.mask, np.s_[0:4, 0:5], np.full((4, 5), value, np.uint8), "Draw")


def test_save_writes_the_correction_of_the_last_image(desk: QueueDesk, folder: Path) -> None:
    (folder / "b.nii").unlink()
    (folder / "c.png").unlink()
    desk.choose(folder)
    desk.open(0)
    draw(desk)
    desk.queue.save()
    desk.until(lambda: desk.state.notice == "'a.png' is saved.")
    assert (read_mask(folder.with_name("ward 7 masks") / "a.png")[:4, :5] == 7).all()
    assert desk.state.queue[0].corrected
    desk.queue.save()
    assert desk.state.notice == "There is nothing new to save in 'a.png'."


def test_a_correction_that_was_accepted_goes_into_the_masks_file_all_the_same(desk: QueueDesk, folder: Path) -> None:
    desk.choose(folder)
    desk.open(0)
    draw(desk)
    desk.masks.saved(desk.mask, desk.mask.changes)
    desk.open(1)
    assert (read_mask(folder.with_name("ward 7 masks") / "a.png")[:4, :5] == 7).all()


def test_another_folder_is_chosen_after_the_correction_is_saved(
    desk: QueueDesk, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "ward 8"
    other.mkdir()
    iio.imwrite(other / "z.png", IMAGE)
    desk.choose(folder)
    desk.open(0)
    draw(desk)
    hold = threading.Event()
    write = write_mask
    monkeypatch.setattr(
        "napari_medseg.opening.queue.write_mask", lambda *given, **named: (hold.wait(30), write(*given, **named))
    )

    desk.queue.step(1)  # its save is under way when the other folder is chosen
    desk.queue.choose(other)
    hold.set()
    desk.until(lambda: len(desk.state.queue) == 1)

    assert (read_mask(folder.with_name("ward 7 masks") / "a.png")[:4, :5] == 7).all()
    assert [(queued.path.name, queued.corrected) for queued in desk.state.queue] == [("z.png", False)]
    assert not desk.viewer.layers
    desk.open(0)
    assert desk.state.image.name == "z"


def test_closing_saves_the_correction_unless_it_is_to_be_lost(desk: QueueDesk, folder: Path) -> None:
    desk.choose(folder)
    desk.open(0)
    draw(desk)
    file = folder.with_name("ward 7 masks") / "a.png"
    desk.queue.close(lose=True)
    assert read_mask(file)[0, 0] == 0
    desk.queue.viewer = desk.viewer
    desk.queue.close()
    desk.background.close()
    assert (read_mask(file)[:4, :5] == 7).all()


def test_a_mask_that_lies_elsewhere_is_not_shown_and_not_replaced(desk: QueueDesk, folder: Path) -> None:
    file = folder.with_name("ward 7 masks") / "b.nii.gz"
    moved = nibabel.load(file)
    affine = moved.affine.copy()
    affine[:3, 3] += 40
    nibabel.save(nibabel.Nifti1Image(np.asarray(moved.dataobj), affine), file)
    before = file.read_bytes()
    desk.choose(folder)
    desk.open(1)
    assert [layer.name for layer in desk.viewer.layers] == ["b"]
    assert "'b.nii.gz'" in desk.state.notice

    image = desk.state.image
    layer = Labels(np.zeros((3, *IMAGE.shape), np.uint8), **mask_layer_settings(image))
    desk.masks.show(Mask(image, layer))
    desk.editing.change(desk.mask, np.s_[0:1, 0:4, 0:5], np.full((1, 4, 5), 7, np.uint8), "Draw")
    desk.queue.save()
    desk.until(lambda: desk.state.problem)

    assert "would replace a file" in desk.state.problem
    assert file.read_bytes() == before
    file.unlink()
    desk.queue.save()
    desk.until(lambda: file.exists() and not desk.mask.unsaved)
    assert (read_mask(file)[0, :4, :5] == 7).all()


def test_a_folder_of_two_series_is_listed_with_what_to_do(desk: QueueDesk, folder: Path) -> None:
    for name, slices in (("a", 4), ("b", 3)):
        for file in series(folder / "d" / name, numbered(slices, 20, 30)):
            file.rename(folder / "d" / f"{name}{file.name}")
    desk.choose(folder)
    mixed = desk.state.queue[3]
    assert (mixed.path.name, mixed.done) == ("d", False)
    assert "put each into a folder of its own" in mixed.problem
    desk.open(3)
    assert "holds 2 images" in desk.state.problem


def test_images_whose_masks_would_be_one_file_are_marked_and_what_is_drawn_on_them_is_kept_apart(
    desk: QueueDesk, folder: Path
) -> None:
    iio.imwrite(folder / "a.jpg", IMAGE)
    masks = folder.with_name("ward 7 masks")
    before = (masks / "a.png").read_bytes()
    desk.choose(folder)
    assert [queued.path.name for queued in desk.state.queue if "would be 'a.png'" in queued.problem] == [
        "a.jpg",
        "a.png",
    ]
    for at in (0, 1):
        desk.open(at)
        desk.viewer.add_labels(np.zeros(IMAGE.shape, np.uint8), name="drawn")
        desk.until(lambda: desk.state.mask is not None)
        desk.state.mask.data_setitem((np.array([3]), np.array([4])), at + 1)
        desk.open(2)
    assert (masks / "a.png").read_bytes() == before
    for at, name in enumerate(("a.jpg.png", "a.png.png")):
        assert read_mask(masks / name)[3, 4] == at + 1


def test_an_image_that_cannot_be_opened_leaves_the_one_before(desk: QueueDesk, folder: Path) -> None:
    desk.choose(folder)
    desk.open(0)
    desk.open(2)
    assert "c.png" in desk.state.problem
    assert desk.state.queue_at == 0
    assert desk.state.image in desk.viewer.layers


def test_how_long_it_takes_is_told_once_something_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    assert time_left(40.0, 0.5, 0.5) == ""
    assert time_left(40.0, 0.0, 0.5) == "about 60 s left"
    assert time_left(40.0, 0.2, 0.3) == "about 7 min left"


def test_a_folder_is_segmented_beside_the_window_and_a_bad_file_is_named(
    panel: Any, until: Any, press: Any, tmp_path: Path, discs: np.ndarray
) -> None:
    images = tmp_path / "cells"
    images.mkdir()
    iio.imwrite(images / "good.png", discs)
    (images / "bad.png").write_text("no image")
    section = panel.sections["Folder"]
    panel.controller.queue.choose(images)
    until(lambda: panel.state.queue)

    press(section.start)
    until(lambda: panel.state.queue_share is None)

    bad, good = panel.state.queue
    assert "bad.png" in bad.problem
    assert section.images.item(0).toolTip() == bad.problem
    assert good.done
    assert read_mask(good.mask).max() >= 3
    assert "1 masks written, 0 were there; 1 could not be segmented" in panel.state.notice
    correction = np.full_like(read_mask(good.mask), 5)
    iio.imwrite(good.mask, correction)
    panel.state.answer = "mask"
    press(section.start)
    until(lambda: panel.state.queue_share is None and "stay" in panel.state.notice)
    assert (read_mask(good.mask) == correction).all()
    press(section.next)
    until(lambda: panel.state.problem)  # the bad one
    panel.controller.queue.open(1)
    until(lambda: panel.state.mask is not None)
    assert section.save.isEnabled()
    assert not section.next.isEnabled()
