"""A disk that is full, a place that cannot be written, an image that cannot be read: the window goes on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.editing import journal

from ...full_disk import no_file_may_be_larger_than
from ..editing_support import Desk
from .support import EMPTY, IMAGE


def test_a_full_disk_is_said_once_and_everything_is_written_when_there_is_room(
    desks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "AGAIN", 0.1)
    desk = desks()
    desk.draw(EMPTY.copy()).layer.paint((5, 5), 1)
    desk.settle()
    problems: list[str] = []
    desk.state.events.unsafe.connect(problems.append)

    with no_file_may_be_larger_than(100):
        for row in (15, 25, 35):
            desk.mask.layer.paint((row, 20), 2)
            assert not desk.editing.keeping.wait()
        desk.pump()
        assert desk.editing.keeping.failing
        assert len(problems) == 1
        assert "would not survive a crash" in problems[0]
        assert "Traceback" not in problems[0]

    desk.until(lambda: not desk.editing.keeping.failing)
    desk.pump()
    assert problems[1:] == [""]
    np.testing.assert_array_equal(desk.kept().pixels.array(), desk.pixels)
    assert len(desk.kept().history.done) == 4


def test_a_place_that_cannot_be_written_leaves_the_window_working(desks: Any, tmp_path: Path) -> None:
    (tmp_path / "drafts").write_text("a file where the folder should be")
    desk = desks()
    desk.draw(EMPTY.copy()).layer.paint((5, 5), 1)
    assert not desk.editing.keeping.wait()
    desk.pump()
    assert "would not survive a crash" in desk.state.unsafe

    desk.editing.undo()

    assert not desk.pixels.any()
    (tmp_path / "drafts").unlink()


def test_a_folder_that_somebody_removed_is_made_again_with_all_that_was_in_it(desks: Any) -> None:
    desk = desks()
    desk.draw(EMPTY.copy()).layer.paint((5, 5), 1)
    desk.settle()
    desk.mask.layer.paint((15, 5), 2)
    desk.settle()
    shutil.rmtree(desk.state.project / "drafts")

    desk.mask.layer.paint((25, 5), 3)

    kept = desk.kept()
    np.testing.assert_array_equal(kept.pixels.array(), desk.pixels)
    assert len(kept.history.done) == 3


def test_an_image_that_cannot_be_read_leaves_the_window_working(desks: Any) -> None:
    import dask.array

    def gone(block: np.ndarray) -> np.ndarray:
        raise OSError("the disk was pulled out")

    desk = desks()
    desk.draw(EMPTY.copy()).layer.paint((5, 5), 1)
    desk.image.visible = False
    desk.image.data = dask.array.from_array(IMAGE).map_blocks(gone, dtype=np.uint8)
    desk.viewer.layers.remove(desk.mask.layer)
    desk.draw(EMPTY.copy()).layer.paint((5, 5), 1)

    desk.until(lambda: desk.state.unsafe)

    assert "would not survive a crash" in desk.state.unsafe
    desk.editing.undo()
    assert not desk.pixels.any()


@pytest.fixture
def given_up(desks: Any) -> Desk:
    """A mask of 5 megapixels whose image cannot be read, so that the journal does not follow it."""
    import dask.array

    def gone(block: np.ndarray) -> np.ndarray:
        raise OSError("the disk was pulled out")

    desk = desks(np.zeros((2100, 2100), np.uint8))
    desk.image.visible = False
    desk.image.data = dask.array.zeros((2100, 2100), np.uint8).map_blocks(gone, dtype=np.uint8)
    desk.draw(np.zeros((2100, 2100), np.uint8)).layer.paint((5, 5), 1)
    desk.until(lambda: desk.state.unsafe)
    return desk


def test_a_large_mask_that_was_replaced_can_be_undone_also_if_the_journal_has_given_it_up(given_up: Desk) -> None:
    before = given_up.pixels.copy()
    given_up.mask.layer.data = np.ones_like(before)
    given_up.editing.undo()  # before it is known what that changed

    given_up.until(lambda: not given_up.pixels[0, 0])

    np.testing.assert_array_equal(given_up.pixels, before)
    given_up.editing.undo()
    assert not given_up.pixels.any()


def test_an_undo_that_nobody_can_answer_any_more_is_given_up_and_said(given_up: Desk) -> None:
    layer = given_up.mask.layer
    layer.data[30:40] = 3
    layer.data = layer.data  # what was there before, only the journal knew
    given_up.editing.undo()

    given_up.until(lambda: "cannot be told any more" in given_up.state.notice)

    assert not given_up.state.undo
    layer.paint((5, 5), 7)
    given_up.editing.undo()
    assert (given_up.pixels[30:40] == 3).all()
    assert given_up.pixels[5, 5] == 1


def test_what_is_done_to_a_mask_that_the_journal_gave_up_is_compressed_all_the_same(given_up: Desk) -> None:
    given_up.editing.change(given_up.mask, np.s_[:, :], np.ones((2100, 2100), np.uint8), "Tool")
    given_up.editing.keeping.wait()

    (*_, step) = given_up.editing._works[given_up.mask].history.done
    assert step.difference.nbytes < 100_000
