"""The panel holds layers as objects: whatever happens to them in the layer list, it stays usable and loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def segment(press: Any, until: Any) -> Callable[[Any], None]:
    """Presses Segment and waits for the answer."""

    def wait_for_the_answer(panel: Any) -> None:
        press(panel.sections["Segment"].start)
        until(lambda: panel.state.segmenting is None)

    return wait_for_the_answer


@pytest.fixture
def segmented(panel: Any, segment: Any, discs: np.ndarray) -> Any:
    """A panel with an image and the mask that the model proposed for it."""
    panel.controller.viewer.add_image(discs, name="discs", scale=(0.5, 0.5), units="um")
    segment(panel)
    return panel


def stroke(panel: Any) -> None:
    panel.state.mask.paint((5, 5), 1)


def test_the_mask_lies_exactly_over_its_image(segmented: Any) -> None:
    image, mask = segmented.state.image, segmented.state.mask

    assert mask.data.shape == image.data.shape
    assert mask.data.dtype in (np.uint8, np.uint16)
    np.testing.assert_array_equal(mask.scale, image.scale)
    assert mask.units == image.units


def test_the_nuclei_model_answers_with_objects_or_with_one_mask(segmented: Any, segment: Any) -> None:
    assert segmented.state.answer == "instances"
    assert segmented.state.mask.data.max() == 3

    segmented.state.answer = "mask"
    segment(segmented)

    assert segmented.state.mask.data.max() == 1


def test_renamed_and_reordered_layers_are_still_known(segmented: Any, press: Any, until: Any) -> None:
    viewer, state = segmented.controller.viewer, segmented.state
    state.image.name = "renamed"
    viewer.layers.move(1, 0)

    assert segmented.sections["Image"].picker.currentText() == "renamed"
    stroke(segmented)
    press(segmented.sections["Correct"].accept)
    until(lambda: state.accepted)


def test_a_deleted_image_makes_room_for_another(segmented: Any, discs: np.ndarray) -> None:
    viewer, state = segmented.controller.viewer, segmented.state
    other = viewer.add_image(discs[::-1], name="other")
    viewer.layers.remove(other)

    assert state.image.name == "discs"

    viewer.layers.clear()
    assert state.image is None
    assert state.mask is None
    assert not segmented.sections["Segment"].start.isEnabled()


def test_a_mask_deleted_with_strokes_on_it_can_be_put_back(segmented: Any, press: Any) -> None:
    stroke(segmented)
    painted = segmented.state.mask
    segmented.controller.viewer.layers.remove(painted)
    assert segmented.state.mask is None

    press(segmented.sections["Correct"].put_back)

    assert segmented.state.mask is painted
    assert painted.data[5, 5] == 1
    assert segmented.state.edits == 1


def test_segmenting_again_keeps_a_mask_that_has_strokes(segmented: Any, segment: Any) -> None:
    stroke(segmented)
    painted = segmented.state.mask

    segment(segmented)

    assert segmented.state.mask is not painted
    assert painted in segmented.controller.viewer.layers
    assert painted.data[5, 5] == 1
    assert not painted.visible


def test_segmenting_again_replaces_an_untouched_mask(segmented: Any, segment: Any) -> None:
    untouched = segmented.state.mask

    segment(segmented)

    assert untouched not in segmented.controller.viewer.layers
    assert len(segmented.controller.viewer.layers) == 2


def test_undo_after_segmenting_again_brings_no_old_pixels_back(segmented: Any, segment: Any) -> None:
    segment(segmented)
    proposed = segmented.state.mask.data.copy()

    segmented.state.mask.undo()

    np.testing.assert_array_equal(segmented.state.mask.data, proposed)


def test_an_answer_for_an_image_that_is_gone_is_dropped(panel: Any, discs: np.ndarray, press: Any, until: Any) -> None:
    viewer = panel.controller.viewer
    layer = viewer.add_image(discs, name="discs")
    press(panel.sections["Segment"].start)
    viewer.layers.remove(layer)

    until(lambda: panel.state.segmenting is None)

    assert len(viewer.layers) == 0
    assert "dropped" in panel.notice.text()


def test_an_answer_for_an_image_whose_pixels_were_replaced_by_others_is_dropped(
    panel: Any, discs: np.ndarray, press: Any, until: Any
) -> None:
    layer = panel.controller.viewer.add_image(discs, name="discs")
    press(panel.sections["Segment"].start)
    layer.data = discs[::-1]

    until(lambda: panel.state.segmenting is None)

    assert panel.state.mask is None


def test_a_labels_layer_of_the_users_own_is_the_mask_of_its_image(
    panel: Any, discs: np.ndarray, press: Any, until: Any
) -> None:
    panel.controller.viewer.add_image(discs, name="discs")
    drawn = panel.controller.viewer.add_labels((discs > 60).astype(np.uint8))

    assert panel.state.mask is drawn
    press(panel.sections["Correct"].accept)
    until(lambda: panel.state.accepted)


def test_strokes_painted_while_accepting_are_not_called_accepted(segmented: Any, press: Any, until: Any) -> None:
    press(segmented.sections["Correct"].accept)
    stroke(segmented)

    until(lambda: not segmented.state.accepting)

    assert not segmented.state.accepted
    assert segmented.state.edits == 1


def test_the_overlay_of_doubt_comes_and_goes(segmented: Any, until: Any) -> None:
    layers = segmented.controller.viewer.layers

    segmented.sections["Segment"].doubt.setChecked(True)
    until(lambda: [layer.name for layer in layers] == ["discs", "discs doubt", "discs mask"])
    assert segmented.state.image.name == "discs"

    segmented.sections["Segment"].doubt.setChecked(False)
    until(lambda: [layer.name for layer in layers] == ["discs", "discs mask"])


def test_keys_segment_and_accept(panel: Any, discs: np.ndarray, until: Any, qtbot: Any) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QApplication

    panel.controller.viewer.add_image(discs, name="discs")
    window = panel.window()
    QApplication.setActiveWindow(window)  # which a window manager would do
    qtbot.keyClick(window, Qt.Key.Key_S)
    until(lambda: panel.state.mask is not None)

    qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)

    until(lambda: panel.state.accepted)
