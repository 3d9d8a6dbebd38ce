"""A draft that was torn by a crash, or forged, gives everything that is whole before the damage, and no more."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medseg.editing.identity import identity_of
from napari_medseg.editing.journal_file import MAGIC, JournalFile, framed, payloads
from napari_medseg.editing.records import packed, unpacked
from napari_medseg.editing.restoring import read_draft
from napari_medseg.models.errors import ImageError

from ..editing_support import Desk


@pytest.fixture
def worked(tmp_path: Path) -> Iterator[Desk]:
    """Three strokes, one of them undone, on the disk."""
    desk = Desk(tmp_path, np.arange(2000, dtype=np.uint16).reshape(40, 50))
    desk.draw(np.zeros((40, 50), np.uint8))
    desk.settle()
    for label in (1, 2, 3):
        desk.mask.layer.paint((9 * label, 9 * label), label)
        desk.settle()
    desk.editing.undo()
    desk.settle()
    yield desk
    desk.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(cut=st.integers(0, 10_000), flip=st.booleans())
def test_a_torn_or_damaged_end_costs_only_itself(worked: Desk, tmp_path: Path, cut: int, flip: bool) -> None:
    (path,) = worked.drafts
    whole = path.read_bytes()
    records = list(payloads(path))
    ends = np.cumsum([len(MAGIC), *(len(framed(record)) for record in records)])
    cut %= len(whole)
    torn = tmp_path / "torn.draft"
    torn.write_bytes(whole[:cut] + (bytes([whole[cut] ^ 1]) + whole[cut + 1 :] if flip else b""))

    intact = records[: max(int((ends <= cut).sum()) - 1, 0)]

    assert list(payloads(torn))[: len(intact)] == intact
    if flip:
        assert list(payloads(torn)) == intact
    if len(intact) < 2:
        with pytest.raises(ImageError, match="damaged"):
            read_draft(torn, identity_of(worked.image))
    else:
        changes = sum(unpacked(record)["kind"] in ("step", "undo") for record in intact)
        kept = read_draft(torn, identity_of(worked.image))
        assert len(kept.history.done) + 2 * len(kept.history.undone) == changes
        assert kept.complete == (cut in ends and not flip)


HOSTILE: list[dict[str, Any]] = [
    {
        "kind": "step",
        "name": "x",
        "prompts": None,
        "pieces": [([(0, 10**9), (0, 10**9)], ("|u1", "|u1"), 1, b"", b"", b"")],
    },
    {"kind": "step", "name": "x", "prompts": None, "pieces": [([(-5, 5), (0, 5)], ("|u1", "|u1"), 1, b"", b"", b"")]},
    {"kind": "step", "name": "x", "prompts": None, "pieces": [([(0, 5), (0, 5)], ("|O", "|u1"), 1, b"", b"", b"")]},
    {
        "kind": "step",
        "name": "x",
        "prompts": None,
        "pieces": [([(0, 5), (0, 5)], ("|u1", "|u1"), 25, b"no zlib", b"", b"")],
    },
    {
        "kind": "step",
        "name": "x",
        "prompts": None,
        "pieces": [([(0, 5), (0, 5)], ("|u1", "|u1"), 25, zlib.compress(bytes(10**8)), b"", b"")],
    },
    {"kind": "step", "name": "x", "prompts": (({"is": "eval", "at": (1, 1)},), ()), "pieces": []},
    {"kind": "step", "name": "x", "prompts": ((), ({"is": "point", "at": (1, float("nan"))},)), "pieces": []},
    {"kind": "redo", "effort": (0, 0, 0), "more": 5},
    {"kind": "step"},
    {"kind": "something else"},
]


@pytest.mark.parametrize("record", HOSTILE)
def test_a_record_that_somebody_forged_ends_the_reading_before_it(worked: Desk, record: dict[str, Any]) -> None:
    worked.editing.redo()
    worked.settle()
    (path,) = worked.drafts
    with path.open("ab") as file:
        file.write(framed(packed(record)))

    kept = read_draft(path, identity_of(worked.image))

    np.testing.assert_array_equal(kept.pixels.array(), worked.pixels)
    assert len(kept.history.done) == 3
    assert not kept.complete


@pytest.mark.parametrize(("cut", "said"), [(0, "when the window ended."), (3, "what was kept last is damaged")])
def test_going_on_says_whether_anything_is_missing(worked: Desk, tmp_path: Path, cut: int, said: str) -> None:
    (path,) = worked.drafts
    worked.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - cut])
    again = Desk(tmp_path, worked.image.data)
    again.until(lambda: again.state.draft is not None)

    again.recovery.go_on()
    again.until(lambda: again.state.mask is not None)

    assert said in again.state.notice
    again.close()


def test_an_append_that_fails_in_the_middle_is_repaired_by_the_next(tmp_path: Path) -> None:
    file = JournalFile(tmp_path / "x.draft")
    file.rewrite(framed(b"first"))
    file.append(framed(b"second")[:-2])
    assert list(payloads(file.path)) == [b"first"]

    file.rewrite(framed(b"first") + framed(b"second"))
    file.append(framed(b"third"))

    assert list(payloads(file.path)) == [b"first", b"second", b"third"]
    file.close()
    assert os.listdir(tmp_path) == ["x.draft"]  # noqa: PTH208
