"""What was done is on the disk, can be gone on with, and is gone once the ledger has it; whatever the disk does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.editing import journal
from napari_medseg.editing.identity import digest_of
from napari_medseg.editing.journal_file import MAGIC, framed, payloads
from napari_medseg.editing.records import unpacked
from napari_medseg.editing.restoring import read_draft
from napari_medseg.models.prompts import Prompts

from .editing_support import Desk

IMAGE = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
EMPTY = np.zeros((40, 50), np.uint8)


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Any]:
    """Opens windows on one project, each with the image."""
    made: list[Desk] = []

    def open_one(image: np.ndarray = IMAGE) -> Desk:
        made.append(Desk(tmp_path, image))
        return made[-1]

    yield open_one
    for desk in made:
        desk.close()


@pytest.fixture
def worked(desks: Any) -> Desk:
    """Two strokes, a tool with prompts, and one step undone."""
    desk = desks()
    desk.draw(EMPTY.copy())
    desk.mask.layer.mode = "paint"
    desk.mask.layer.paint((5, 5), 1)
    desk.mask.layer.paint((20, 20), 2)
    desk.editing.change(
        desk.mask, np.s_[8:12, 8:12], np.full((4, 4), 300), "Tool", prompts=Prompts().lasso([(1, 1), (9, 1), (5, 9)])
    )
    desk.editing.change(desk.mask, np.s_[0:2, 0:2], np.ones((2, 2), np.uint8), "Undone")
    desk.editing.undo()
    desk.settle()
    return desk


def reopened(desks: Any) -> Desk:
    """Another window, whose user goes on where the first one ended."""
    desk = desks()
    desk.until(lambda: desk.state.draft is not None)
    desk.recovery.go_on()
    desk.until(lambda: desk.state.mask is not None)
    return desk


def test_going_on_gives_mask_prompts_and_history_back(worked: Desk, desks: Any) -> None:
    pixels, prompts = worked.pixels.copy(), worked.editing.prompts(worked.mask)
    edits, seconds = worked.mask.clock.edits, worked.mask.clock.seconds
    worked.close()

    desk = reopened(desks)

    np.testing.assert_array_equal(desk.pixels, pixels)
    assert desk.pixels.dtype == np.uint16
    assert desk.editing.prompts(desk.mask) == prompts
    assert (desk.state.undo, desk.state.redo) == ("Tool", "Undone")
    assert desk.mask.clock.edits == edits
    assert desk.mask.clock.seconds == pytest.approx(seconds, abs=30)
    assert desk.mask.unsaved
    desk.editing.redo()
    assert desk.pixels[0, 0] == 1
    for _ in range(4):
        desk.editing.undo()
    assert not desk.pixels.any()
    assert desk.editing.prompts(desk.mask) == Prompts()


def test_what_is_done_after_going_on_is_kept_too(worked: Desk, desks: Any) -> None:
    worked.close()
    second = reopened(desks)
    second.mask.layer.paint((30, 30), 7)
    pixels = second.pixels.copy()
    second.close()

    third = reopened(desks)

    np.testing.assert_array_equal(third.pixels, pixels)
    third.editing.undo()
    assert third.state.undo == "Tool"
    assert len(third.drafts) == 1


def test_what_the_model_had_proposed_is_kept_so_that_accepting_is_the_same(desks: Any) -> None:
    first = desks()
    predicted = (IMAGE > 128).astype(np.uint8)
    assert first.masks.propose(first.image, predicted.copy(), predicted, "nuclei")
    first.mask.layer.paint((5, 5), 9)
    first.close()

    mask = reopened(desks).mask

    np.testing.assert_array_equal(mask.predicted, predicted)
    assert mask.model == "nuclei"


def test_an_untouched_proposal_leaves_nothing_behind(desks: Any) -> None:
    desk = desks()
    desk.masks.propose(desk.image, EMPTY.copy(), EMPTY.copy(), "nuclei")
    desk.settle()

    assert not desk.drafts


def test_an_accepted_mask_needs_no_draft_until_it_is_changed_again(worked: Desk) -> None:
    worked.masks.saved(worked.mask, worked.mask.changes)
    worked.settle()
    assert not worked.drafts

    worked.editing.undo()

    kept = worked.kept()
    assert kept.history.can_redo == "Tool"
    assert kept.effort.edits == 1


def test_strokes_made_while_the_ledger_wrote_stay_in_the_draft(worked: Desk) -> None:
    changes = worked.mask.changes
    worked.mask.layer.paint((30, 30), 3)
    worked.masks.saved(worked.mask, changes)

    kept = worked.kept()

    assert kept.effort.edits == 1
    np.testing.assert_array_equal(kept.pixels.array(), worked.pixels)


def test_closing_keeps_what_was_not_accepted_and_nothing_else(worked: Desk) -> None:
    accepted = worked.mask
    worked.masks.saved(accepted, accepted.changes)
    worked.viewer.add_image(IMAGE[::-1], name="other")
    worked.draw(EMPTY.copy()).layer.paint((5, 5), 1)
    worked.close()

    assert len(worked.drafts) == 1
    assert not list((worked.state.project / "drafts").glob("*.lock.lock"))


def test_closing_and_losing_leaves_nothing(worked: Desk) -> None:
    worked.close(lose=True)

    assert not list((worked.state.project / "drafts").iterdir())


def test_discarding_is_for_good(worked: Desk, desks: Any) -> None:
    worked.close()
    desk = desks()
    desk.until(lambda: desk.state.draft is not None)
    desk.recovery.discard()

    desk.until(lambda: not desk.drafts)

    assert desk.state.draft is None


def test_only_the_same_pixels_are_offered_their_draft(worked: Desk, desks: Any) -> None:
    worked.close()
    other = IMAGE.copy()
    other[0, 0] += 1

    desk = desks(other)
    desk.settle()
    desk.background._threads.shutdown(wait=True)
    desk.pump()

    assert desk.state.draft is None


def test_two_windows_never_go_on_with_one_draft(worked: Desk, desks: Any) -> None:
    other = desks()
    other.background._threads.shutdown(wait=True)
    other.pump()
    assert other.state.draft is None  # the first window has it still

    worked.close()
    third, fourth = desks(), desks()
    third.until(lambda: third.state.draft is not None)
    fourth.until(lambda: fourth.state.draft is not None)
    third.recovery.go_on()
    third.until(lambda: third.state.mask is not None)
    fourth.recovery.go_on()
    fourth.until(lambda: fourth.state.problem)

    assert "Another window" in fourth.state.problem
    assert fourth.state.mask is None


def test_an_image_that_was_closed_meanwhile_keeps_its_draft(worked: Desk, desks: Any) -> None:
    worked.close()
    desk = desks()
    desk.until(lambda: desk.state.draft is not None)
    desk.recovery.go_on()
    desk.viewer.layers.remove(desk.image)
    desk.until(lambda: "open it again" in desk.state.notice)

    again = reopened(desks)

    assert again.state.undo == "Tool"


def test_a_mask_of_another_size_begins_a_new_draft(worked: Desk) -> None:
    worked.mask.layer.data = np.ones((20, 20), np.uint8)

    kept = worked.kept()

    np.testing.assert_array_equal(kept.pixels.array(), np.ones((20, 20)))
    assert not kept.history.done


def test_drafts_move_to_the_project_that_is_opened(worked: Desk, tmp_path: Path) -> None:
    worked.editing.keeping.move(tmp_path / "other")
    worked.settle()

    assert not worked.drafts
    (path,) = (tmp_path / "other" / "drafts").glob("*.draft")
    np.testing.assert_array_equal(read_draft(path, digest_of(worked.image)).pixels.array(), worked.pixels)


def test_nothing_in_a_draft_tells_whose_it_is(desks: Any) -> None:
    desk = desks()
    desk.image.name = "Jane Doe 1970-01-01"
    desk.draw(EMPTY.copy()).layer.name = "/home/jane/scan.nii"
    desk.mask.layer.paint((5, 5), 1)
    desk.settle()
    (path,) = desk.drafts

    content = path.read_bytes()

    for secret in (b"Jane", b"scan", b"home", digest_of(desk.image)):
        assert secret not in content
        assert secret not in path.name.encode()


def test_a_file_that_grew_is_written_anew_with_the_same_content(worked: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_medseg.editing.draft._GROWTH", -(10**9))
    worked.mask.layer.paint((30, 30), 3)
    kept = worked.kept()
    (path,) = worked.drafts

    kinds = [unpacked(payload)["kind"] for payload in payloads(path)]

    assert kinds[:2] == ["draft", "pixels"]
    assert kinds[2:6] == ["done"] * 3 + ["undone"]
    np.testing.assert_array_equal(kept.pixels.array(), worked.pixels)
    assert len(kept.history.done) == 4


@pytest.mark.parametrize("content", [b"", b"MEDSEG", MAGIC, MAGIC + framed(b"\x81"), b"something else" * 100])
def test_files_that_are_no_drafts_are_not_offered(desks: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "drafts").mkdir()
    (tmp_path / "drafts" / "0.draft").write_bytes(content)
    desk = desks()
    desk.background._threads.shutdown(wait=True)
    desk.pump()

    assert desk.state.draft is None
    assert not desk.state.problem


def test_a_full_disk_is_said_once_and_everything_is_written_when_there_is_room(
    desks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(journal, "AGAIN", 0.1)
    desk = desks()
    desk.draw(EMPTY.copy()).layer.paint((5, 5), 1)
    desk.settle()
    problems: list[str] = []
    desk.state.events.problem.connect(problems.append)

    with _no_file_may_be_larger_than(resource, 100):
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


@contextlib.contextmanager
def _no_file_may_be_larger_than(resource: Any, size: int) -> Iterator[None]:
    """What a quota does: writing beyond it fails with an error of the system."""
    import signal

    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_place_that_cannot_be_written_leaves_the_window_working(desks: Any, tmp_path: Path) -> None:
    (tmp_path / "drafts").write_text("a file where the folder should be")
    desk = desks()
    desk.draw(EMPTY.copy()).layer.paint((5, 5), 1)
    assert not desk.editing.keeping.wait()
    desk.pump()
    assert "would not survive a crash" in desk.state.problem

    desk.editing.undo()

    assert not desk.pixels.any()
    (tmp_path / "drafts").unlink()


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

    desk.until(lambda: desk.state.problem)

    assert "would not survive a crash" in desk.state.problem
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
    desk.until(lambda: desk.state.problem)
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
