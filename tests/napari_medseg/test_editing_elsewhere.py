"""What is undone out of sight is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_medseg.editing import Elsewhere

from .editing_support import Desk, box


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A volume of ten slices, of which slice 2 is shown."""
    made = Desk(tmp_path, np.zeros((10, 40, 50), np.uint8))
    made.draw(np.zeros((10, 40, 50), np.uint8))
    made.viewer.dims.set_current_step(0, 2)
    elsewhere = Elsewhere(made.viewer, made.state, made.editing)
    yield made
    elsewhere.close()
    made.close(lose=True)


def change(desk: Desk, first: int, last: int) -> None:
    part = box((first, last + 1), (5, 9), (5, 9))
    desk.editing.change(desk.mask, part, np.ones((last + 1 - first, 4, 4), np.uint8), "Grow")


@pytest.mark.parametrize(
    ("first", "last", "where"), [(7, 7, "slice 7"), (5, 9, "slices 5 to 9"), (0, 1, "slices 0 to 1")]
)
def test_a_step_on_slices_that_are_not_shown_is_named_when_it_is_undone_and_redone(
    desk: Desk, first: int, last: int, where: str
) -> None:
    change(desk, first, last)

    desk.editing.undo()
    assert desk.state.notice == f"Taken back on {where}, which you do not see now: Grow."
    desk.editing.redo()
    assert desk.state.notice == f"Done again on {where}, which you do not see now: Grow."


@pytest.mark.parametrize("shown", ["that slice", "all in 3D"])
def test_nothing_is_said_of_a_step_that_is_in_sight(desk: Desk, shown: str) -> None:
    change(desk, 7, 7)
    if shown == "that slice":
        desk.viewer.dims.set_current_step(0, 7)
    else:
        desk.viewer.dims.ndisplay = 3

    desk.editing.undo()

    assert desk.state.notice == ""


def test_with_the_axes_rolled_the_plane_that_is_looked_at_counts(desk: Desk) -> None:
    change(desk, 7, 7)
    desk.viewer.dims.order = (2, 0, 1)
    desk.viewer.dims.set_current_step(2, 6)

    desk.editing.undo()
    assert desk.state.notice == ""

    desk.viewer.dims.set_current_step(2, 30)
    desk.editing.redo()
    assert desk.state.notice.startswith("Done again on planes 5 to 8")
