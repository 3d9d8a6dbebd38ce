"""What was done is on the disk, can be gone on with, and is gone once the ledger has it."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.editing.identity import digest_of, identity_of
from napari_medseg.editing.journal_file import MAGIC, framed, payloads
from napari_medseg.editing.records import unpacked
from napari_medseg.editing.restoring import read_draft
from napari_medseg.models.prompts import Prompts

from ..editing_support import Desk
from .support import EMPTY, IMAGE


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
    (earlier,) = worked.drafts
    worked.mask.layer.data = np.ones((20, 20), np.uint8)
    worked.settle()

    (path,) = set(worked.drafts) - {earlier}
    kept = read_draft(path, identity_of(worked.image))
    np.testing.assert_array_equal(kept.pixels.array(), np.ones((20, 20)))
    assert not kept.history.done


def test_what_was_done_before_a_mask_lost_its_size_can_be_gone_on_with(worked: Desk) -> None:
    pixels, lost = worked.pixels.copy(), worked.mask.layer
    lost.data = np.ones((20, 20), np.uint8)
    assert "you can go on with it" in worked.state.notice

    worked.until(lambda: worked.state.draft is not None)
    worked.recovery.go_on()
    worked.until(lambda: worked.state.mask is not lost)

    np.testing.assert_array_equal(worked.pixels, pixels)
    assert (worked.state.undo, worked.state.redo) == ("Tool", "Undone")
    assert lost in worked.viewer.layers


def test_a_mask_that_nobody_worked_on_leaves_nothing_if_it_gets_another_size(desks: Any) -> None:
    desk = desks()
    desk.draw(EMPTY.copy()).layer.data = np.ones((20, 20), np.uint8)
    assert "cannot be undone." in desk.state.notice
    desk.settle()

    assert len(desk.drafts) == 1


def test_drafts_move_to_the_project_that_is_opened(worked: Desk, tmp_path: Path) -> None:
    worked.editing.keeping.move(tmp_path / "other")
    worked.settle()

    assert not worked.drafts
    (path,) = (tmp_path / "other" / "drafts").glob("*.draft")
    np.testing.assert_array_equal(read_draft(path, identity_of(worked.image)).pixels.array(), worked.pixels)


def test_a_mask_that_is_gone_is_not_kept_in_memory_by_a_slow_disk(desks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_medseg.editing.journal.BATCH", -1)  # as if each change took longer
    desk = desks()
    mask = weakref.ref(desk.draw(EMPTY.copy()))
    desk.viewer.layers.clear()

    desk.until(lambda: gc.collect() >= 0 and mask() is None)


def test_nothing_in_a_draft_tells_whose_it_is(desks: Any) -> None:
    desk = desks()
    desk.image.name = "Jane Doe 1970-01-01"
    desk.draw(EMPTY.copy()).layer.name = "/vault/jane/scan.nii"
    desk.mask.layer.paint((5, 5), 1)
    desk.settle()
    (path,) = desk.drafts

    content = path.read_bytes()

    for secret in (b"Jane", b"jane", b"scan", b"vault", digest_of(desk.image)):
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


def test_a_mask_that_was_begun_before_going_on_is_said_to_be_kept(worked: Desk, desks: Any) -> None:
    worked.close()
    desk = desks()
    desk.until(lambda: desk.state.draft is not None)
    desk.draw(EMPTY.copy()).layer.paint((30, 30), 5)

    desk.recovery.go_on()
    desk.until(lambda: desk.state.mask.name != "mask")

    assert "is as it was when the window ended. 'mask' is kept: it is hidden in the layer list" in desk.state.notice
