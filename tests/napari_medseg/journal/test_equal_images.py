"""Images of several files with equal pixels: none gets or loses the work of another; a moved file finds its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image

from napari_medseg.editing.identity import Identity, identity_of
from napari_medseg.editing.journal_file import framed
from napari_medseg.editing.restoring import read_draft
from napari_medseg.large.folder import kept_folders, new_folder

from ..editing_support import Desk
from .support import EMPTY, IMAGE


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two blank scans of two patients."""
    made = tmp_path / "scans" / "Jane Doe.tif", tmp_path / "scans" / "John Roe.tif"
    made[0].parent.mkdir()
    for path in made:
        tifffile.imwrite(path, np.zeros_like(IMAGE))
    return made


@pytest.fixture
def open_(desks: Any) -> Callable[[Path], Desk]:
    """Opens a window with the image of a file, and waits until drafts were looked for."""

    def make(path: Path) -> Desk:
        desk = desks(path)
        desk.rest()
        return desk

    return make


@pytest.fixture
def kept(files: tuple[Path, Path], open_: Any) -> Path:
    """The draft of a stroke on the first of them."""
    desk = open_(files[0])
    desk.draw(EMPTY.copy()).layer.paint((5, 5), 1)
    desk.settle()
    desk.close()
    (path,) = desk.drafts
    return path


def gone_on(desk: Desk) -> Desk:
    desk.recovery.go_on()
    desk.until(lambda: desk.state.mask is not None)
    desk.rest()
    return desk


def test_work_is_offered_for_its_own_file_and_no_other(files: tuple[Path, Path], kept: Path, open_: Any) -> None:
    other = open_(files[1])
    assert other.state.draft is None

    desk = open_(files[0])
    assert desk.state.draft.own
    assert gone_on(desk).pixels[5, 5] == 1
    assert desk.drafts == [kept]


def test_each_of_two_equal_images_has_its_own_work(files: tuple[Path, Path], kept: Path, open_: Any) -> None:
    second = open_(files[1])
    second.draw(EMPTY.copy()).layer.paint((20, 20), 2)
    second.settle()
    second.close()

    for path, label in zip(files, (1, 2), strict=True):
        desk = gone_on(open_(path))
        assert set(np.unique(desk.pixels)) == {0, label}
        desk.close()


def test_a_file_that_was_renamed_goes_on_with_its_draft(files: tuple[Path, Path], kept: Path, open_: Any) -> None:
    there = files[0].rename(files[0].with_name("renamed.tif"))

    desk = open_(there)

    assert desk.state.draft.own
    assert gone_on(desk).pixels[5, 5] == 1
    assert desk.drafts == [kept]


@pytest.fixture
def moved(files: tuple[Path, Path], kept: Path, tmp_path: Path) -> Path:
    """The first file, as it is after it was moved to another disk."""
    there = Path(shutil.copy(files[0], tmp_path / "moved.tif"))
    files[0].unlink()
    return there


def test_a_file_that_was_moved_to_another_disk_goes_on_with_a_copy(
    files: tuple[Path, Path], kept: Path, moved: Path, open_: Any
) -> None:
    desk = open_(moved)
    assert not desk.state.draft.own

    gone_on(desk)

    assert desk.pixels[5, 5] == 1
    assert desk.state.undo == "Change"
    (copy,) = set(desk.drafts) - {kept}
    np.testing.assert_array_equal(read_draft(copy, identity_of(desk.image)).pixels.array(), desk.pixels)
    desk.close()
    assert open_(moved).state.draft.path == copy
    shutil.copy(moved, files[0])  # its disk is there again
    assert open_(files[0]).state.draft.path == kept


def test_so_does_one_at_whose_place_another_file_is_now(files: tuple[Path, Path], moved: Path, open_: Any) -> None:
    tifffile.imwrite(files[0], IMAGE)

    assert open_(files[0]).state.draft is None
    assert gone_on(open_(moved)).pixels[5, 5] == 1


@pytest.mark.parametrize("copy_first", [True, False])
def test_what_is_no_more_asked_is_not_offered_again(kept: Path, moved: Path, open_: Any, copy_first: bool) -> None:
    desk, when = open_(moved), kept.stat().st_mtime
    if copy_first:
        gone_on(desk)
        desk.masks.saved(desk.mask, desk.mask.changes)
        desk.settle()
    else:
        desk.recovery.discard()
        desk.rest()
    desk.close()

    assert desk.drafts == [kept]
    assert kept.stat().st_mtime == when
    assert open_(moved).state.draft is None


def test_a_draft_with_a_torn_end_can_be_refused_too(kept: Path, moved: Path, open_: Any) -> None:
    torn = framed(b"half of a record")[:-3]
    with kept.open("ab") as file:
        file.write(torn)
    desk = open_(moved)
    desk.recovery.discard()
    desk.rest()
    assert desk.state.draft is None
    assert kept.read_bytes().endswith(torn)  # that its end is missing is told to whom it belongs


def test_a_draft_that_another_window_has_removed_is_refused_in_silence(kept: Path, moved: Path, open_: Any) -> None:
    desk = open_(moved)
    kept.unlink()
    desk.recovery.discard()
    desk.rest()
    assert not desk.state.problem
    assert desk.state.draft is None


def test_a_draft_of_an_earlier_version_is_found(
    files: tuple[Path, Path], open_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Identity.sealed
    with monkeypatch.context() as earlier:
        earlier.setattr(Identity, "sealed", lambda image, salt: {"image": whole(image, salt)["image"]})
        desk = open_(files[0])
        desk.draw(EMPTY.copy()).layer.paint((5, 5), 1)
        desk.settle()
        desk.close()

    again = open_(files[0])

    assert not again.state.draft.own
    assert gone_on(again).pixels[5, 5] == 1
    assert len(again.drafts) == 2


def test_nothing_tells_which_file_a_draft_is_of(files: tuple[Path, Path], kept: Path) -> None:
    content = kept.read_bytes()
    for secret in (b"Jane", b"Doe", b"scans", b"tif", bytes(files[0].parent)):
        assert secret not in content


def test_a_mask_whose_image_was_closed_does_not_join_another_one_with_equal_pixels(
    files: tuple[Path, Path], open_: Any
) -> None:
    desk = open_(files[0])
    mask = desk.draw(EMPTY.copy())
    mask.layer.paint((5, 5), 1)
    desk.viewer.layers.remove(desk.image)

    other = desk.open(files[1])
    desk.rest()
    assert mask.image is desk.image
    desk.viewer.layers.remove(other)
    again = desk.open(files[0])

    desk.until(lambda: mask.image is again)


def test_a_large_image_has_its_own_mask_and_not_that_of_another_one(files: tuple[Path, Path], tmp_path: Path) -> None:
    one, other = (identity_of(Image(IMAGE, metadata={"medseg": {"path": str(path)}})) for path in files)
    moved = Identity(one.pixels, "{}")
    made = new_folder(tmp_path, one, (40, 50), None, "")
    made.let_go()

    def found(image: Identity) -> list[Path]:
        return [folder.path for folder in kept_folders(tmp_path, (40, 50), lambda: image)]

    assert found(one) == [made.path]
    assert found(other) == found(moved) == []
    files[0].unlink()
    assert found(moved) == [made.path]
