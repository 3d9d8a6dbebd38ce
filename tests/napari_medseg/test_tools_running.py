"""What becomes of a mask that changes while a tool is at work on it; the window's event loop is the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .tools_support import ToolDesk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ToolDesk]:
    """A square of label 1 in the middle of a plane."""
    mask = np.zeros((40, 40), np.uint8)
    mask[15:25, 15:25] = 1
    made = ToolDesk(tmp_path / "project", mask)
    made.mask.layer.brush_size = 1
    yield made
    made.close()


def test_a_stroke_under_a_tool_is_kept_and_the_tool_looks_again(desk: ToolDesk) -> None:
    desk.tools.run("grow", distance=3)
    desk.wait_for_the_look()
    desk.mask.layer.paint((13, 20), 2)

    desk.until(lambda: desk.state.tool_working is None)

    assert desk.state.notice.startswith("Grew label 1")
    assert desk.pixels[13, 20] == 2
    assert desk.pixels[12, 16] == 1


def test_a_mask_that_does_not_hold_still_is_left_alone(desk: ToolDesk) -> None:
    desk.tools.run("grow", distance=3)
    for column in range(18, 21):
        desk.wait_for_the_look()
        desk.mask.layer.paint((13, column), 2)
        desk.take_the_answer()

    assert desk.state.tool_working is None
    assert "was changed while 'Grow' was at work, so it did nothing" in desk.state.problem
    assert (desk.pixels == 1).sum() == 100


def test_a_stroke_elsewhere_does_not_matter(desk: ToolDesk) -> None:
    desk.tools.run("grow", distance=3)
    desk.wait_for_the_look()
    desk.mask.layer.paint((1, 1), 2)
    desk.take_the_answer()

    assert desk.state.notice.startswith("Grew label 1")
    assert desk.pixels[1, 1] == 2


def test_pixels_replaced_under_a_tool_are_the_ones_it_works_on(desk: ToolDesk) -> None:
    desk.tools.run("grow", distance=1)
    desk.wait_for_the_look()
    desk.mask.layer.data = np.eye(40, dtype=np.uint8)

    desk.until(lambda: desk.state.tool_working is None)

    assert desk.pixels[0, 1] == desk.pixels[1, 0] == 1
    assert not desk.pixels[15, 25]


def test_a_second_tool_waits_for_the_first(desk: ToolDesk) -> None:
    desk.tools.run("grow", distance=3)
    desk.tools.run("shrink", distance=1)

    assert "'Grow' is still at work" in desk.state.notice
    desk.until(lambda: desk.state.tool_working is None)
    assert desk.editing.can_undo == "Grow"


def test_a_tool_that_is_cancelled_changes_nothing_even_if_it_was_done(desk: ToolDesk) -> None:
    desk.tools.run("grow", distance=3)
    desk.wait_for_the_look()
    desk.tools.cancel()
    desk.take_the_answer()

    assert desk.state.notice == "'Grow' was cancelled; the mask is as it was."
    assert not desk.editing.can_undo


def test_all_labels_are_worked_on_if_wished(desk: ToolDesk) -> None:
    desk.mask.layer.paint((5, 5), 7)
    assert desk.run("grow", distance=1) == "Grew label 1 by 40 pixels."

    desk.tools.label_only = False

    assert desk.run("grow", distance=1) == "Grew the mask by 48 pixels."
    assert desk.pixels[5, 6] == 7


def test_a_label_below_0_is_refused_and_keeps_no_tool_from_working(desk: ToolDesk) -> None:
    before = desk.pixels.astype(np.int32)
    before[5, 5] = -3
    desk.mask.layer.data = before.copy()
    desk.mask.layer.selected_label = -3

    assert desk.run("grow") == "Label -3 is below 0. Pick an object's label first, 1 or more (5, then click on it)."
    desk.mask.layer.selected_label = 1

    assert desk.run("grow", distance=1) == "Grew label 1 by 40 pixels."


def test_an_image_that_has_other_axes_than_its_mask_is_refused_and_keeps_no_tool_from_working(desk: ToolDesk) -> None:
    pixels = desk.image.data
    desk.state.notice = ""
    desk.image.data = np.zeros((3, *pixels.shape), np.uint8)

    assert "'mask' has 2 axes, but its image 'image' has 3 now." in desk.run("grow", distance=1)
    desk.image.data = pixels

    assert desk.run("grow", distance=1) == "Grew label 1 by 40 pixels."


def test_what_a_tool_changes_can_be_seen(desk: ToolDesk) -> None:
    desk.mask.layer.visible = False

    desk.run("grow", distance=1)

    assert desk.mask.layer.visible


def test_a_proposal_whose_layer_is_locked_is_hidden_instead_of_deleted(desk: ToolDesk) -> None:
    labels = desk.pixels.copy()
    desk.masks.propose(desk.image, labels.copy(), labels, "nuclei")
    kept = desk.mask.layer
    if not hasattr(kept, "locked"):
        pytest.skip("this napari locks no layers")
    kept.locked = True

    desk.masks.propose(desk.image, labels.copy(), labels, "nuclei")

    assert desk.mask.layer is not kept
    assert kept in desk.viewer.layers
    assert not kept.visible


def test_a_mask_that_is_not_in_memory_is_refused(desk: ToolDesk) -> None:
    import dask.array as da

    desk.mask.layer.data = da.from_array(np.array(desk.pixels))

    assert "not in memory" in desk.run("grow", distance=1)


def test_closing_while_a_tool_is_at_work_is_no_error(desk: ToolDesk) -> None:
    desk.tools.run("grow", distance=3)

    desk.tools.close()
    desk.viewer.layers.clear()
    desk.pump()
