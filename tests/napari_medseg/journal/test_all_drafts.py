"""Drafts of images that are never opened again: they can be seen and removed, and none goes that is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.editing import AllDrafts, all_drafts
from napari_medseg.editing.all_drafts import DraftFile
from napari_medseg.sections.drafts import DraftsDialog
from napari_medseg.sizes import in_bytes

from ..editing_support import Desk
from .support import EMPTY, IMAGE


@pytest.fixture
def left(tmp_path: Path) -> list[Path]:
    """Two masks that were not accepted, the older one first."""
    for image in (IMAGE, IMAGE[:20]):
        desk = Desk(tmp_path, image)
        desk.draw(np.zeros(image.shape, np.uint8)).layer.paint((5, 5), 1)
        desk.close()
    return sorted(desk.drafts, key=lambda path: path.stat().st_mtime_ns)


def all_of(desk: Desk) -> AllDrafts:
    made = AllDrafts(desk.state, desk.masks, desk.background)
    desk.rest()
    return made


def listed(desk: Desk, drafts: AllDrafts) -> list[DraftFile]:
    found: list[DraftFile] = []
    drafts.list(found.extend)
    desk.rest()
    return found


def test_the_project_s_drafts_are_listed_and_only_open_images_have_a_name(left: list[Path], desks: Any) -> None:
    desk = desks()
    desk.image.name = "image"
    drafts = all_of(desk)

    found = listed(desk, drafts)

    assert [draft.path for draft in found] == left[::-1]
    assert [(draft.name, draft.shape, draft.in_work) for draft in found] == [
        ("", (20, 50), False),
        ("image", (40, 50), False),
    ]
    assert desk.state.drafts == (2, sum(path.stat().st_size for path in left))
    assert not desk.state.notice


def test_what_is_removed_is_gone_and_what_a_window_has_stays(left: list[Path], desks: Any) -> None:
    desk = desks()
    desk.until(lambda: desk.state.draft is not None)
    desk.recovery.go_on()
    desk.until(lambda: desk.state.mask is not None)
    desk.settle()
    drafts = all_of(desk)

    drafts.remove(listed(desk, drafts), lambda: None)
    desk.rest()

    assert desk.drafts == [left[0]]
    assert "Another window" in desk.state.problem
    assert [draft.in_work for draft in listed(desk, drafts)] == [True]
    assert desk.state.drafts[0] == 1


def test_a_file_that_is_no_draft_is_listed_too(desks: Any, tmp_path: Path) -> None:
    (tmp_path / "drafts").mkdir()
    (tmp_path / "drafts" / "damaged.draft").write_bytes(b"MEDSEG")
    desk = desks()
    drafts = all_of(desk)

    (found,) = listed(desk, drafts)

    assert found.shape is None
    drafts.remove([found], lambda: None)
    desk.rest()
    assert not desk.drafts


def test_the_user_is_told_once_when_they_are_many(
    left: list[Path], desks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_drafts, "MANY", 1)
    desk = desks()
    drafts = all_of(desk)
    assert desk.state.notice.startswith("2 masks that were not accepted take")

    desk.state.notice = ""
    drafts.count()
    desk.rest()

    assert not desk.state.notice


def test_a_mask_that_is_again_as_it_was_accepted_leaves_nothing(desks: Any) -> None:
    desk = desks()
    layer = desk.draw(EMPTY.copy()).layer
    layer.paint((5, 5), 1)
    desk.masks.saved(desk.mask, desk.mask.changes)
    layer.paint((20, 20), 1)
    layer.paint((20, 20), 0)
    desk.settle()
    assert desk.drafts

    desk.close()

    assert not desk.drafts


def test_steps_that_can_be_done_again_are_kept_whatever_was_accepted(desks: Any) -> None:
    desk = desks()
    layer = desk.draw(EMPTY.copy()).layer
    layer.paint((5, 5), 1)
    desk.masks.saved(desk.mask, desk.mask.changes)
    layer.paint((20, 20), 1)
    desk.editing.undo()
    desk.close()

    assert len(desk.drafts) == 1


@pytest.mark.parametrize(("size", "said"), [(12, "12 bytes"), (3_400, "3.4 kB"), (2_000_000_000, "2.0 GB")])
def test_sizes_are_said_in_words(size: int, said: str) -> None:
    assert in_bytes(size) == said


def test_the_user_looks_at_them_and_removes_one(left: list[Path], desks: Any, press: Any, answer: Any) -> None:
    desk = desks()
    drafts = all_of(desk)
    dialog = DraftsDialog(None, drafts)
    dialog.show()
    desk.rest()
    assert [dialog.list.topLevelItem(row).text(0) for row in range(2)] == ["20 x 50 px, not open", "image"]
    assert not dialog.remove.isEnabled()

    dialog.list.topLevelItem(0).setSelected(True)
    answer("Keep")
    press(dialog.remove)
    desk.rest()
    assert desk.drafts == sorted(left)
    answer("Remove")
    press(dialog.remove)
    desk.rest()

    assert desk.drafts == [left[0]]
    assert dialog.list.topLevelItemCount() == 1
    press(dialog.close_)
