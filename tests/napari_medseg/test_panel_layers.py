"""The panel holds layers as objects: whatever happens to them in the layer list, it stays usable and loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
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
    assert painted.name in segmented.sections["Correct"].put_back.toolTip()

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


def test_selecting_a_mask_chooses_its_image(segmented: Any, discs: np.ndarray) -> None:
    first, mask = segmented.state.image, segmented.state.mask
    segmented.controller.viewer.add_image(discs[::-1], name="other")
    assert segmented.state.image is not first

    segmented.controller.viewer.layers.selection.active = mask

    assert segmented.state.image is first
    assert segmented.state.mask is mask


def test_painting_on_a_mask_makes_it_the_one_that_is_accepted(segmented: Any, discs: np.ndarray) -> None:
    first = segmented.state.image
    mask = segmented.state.mask
    segmented.controller.viewer.add_image(discs[::-1], name="other")

    mask.paint((5, 5), 1)

    assert segmented.state.image is first
    assert segmented.controller.masks.current().layer is mask


def test_a_mask_that_was_segmented_over_still_counts_as_unsaved_and_can_be_chosen_again(
    segmented: Any, segment: Any
) -> None:
    stroke(segmented)
    painted = segmented.state.mask
    segment(segmented)
    assert [mask.layer for mask in segmented.controller.masks.unsaved()] == [painted]

    segmented.controller.viewer.layers.selection.active = painted

    assert segmented.state.mask is painted


def test_two_deleted_masks_come_back_one_by_one(segmented: Any, segment: Any, press: Any) -> None:
    masks = []
    for _ in range(2):
        stroke(segmented)
        masks.append(segmented.state.mask)
        segmented.controller.viewer.layers.remove(segmented.state.mask)
        segment(segmented)

    for painted in reversed(masks):
        press(segmented.sections["Correct"].put_back)
        assert segmented.state.mask is painted
    assert not segmented.sections["Correct"].put_back.isVisible()


def test_undo_and_redo_after_accepting_are_changes(segmented: Any, press: Any, until: Any) -> None:
    stroke(segmented)
    press(segmented.sections["Correct"].accept)
    until(lambda: segmented.state.accepted)

    segmented.state.mask.undo()

    assert not segmented.state.accepted
    assert segmented.controller.masks.unsaved()


def test_replaced_pixels_after_accepting_are_a_change(segmented: Any, press: Any, until: Any) -> None:
    press(segmented.sections["Correct"].accept)
    until(lambda: segmented.state.accepted)

    segmented.state.mask.data = segmented.state.mask.data * 0

    assert not segmented.state.accepted


def test_the_patient_that_was_typed_stays_with_its_image(panel: Any, qtbot: Any, discs: np.ndarray) -> None:
    viewer = panel.controller.viewer
    first = viewer.add_image(discs, name="first")
    qtbot.keyClicks(panel.sections["Image"].group, "patient 7")
    viewer.add_image(discs, name="second")
    assert panel.sections["Image"].group.text() == ""

    viewer.layers.selection.active = first

    assert panel.sections["Image"].group.text() == "patient 7"


def test_labels_that_lie_elsewhere_are_not_taken_for_the_mask(panel: Any, discs: np.ndarray) -> None:
    panel.controller.viewer.add_image(discs, name="discs", translate=(100, 100))

    panel.controller.viewer.add_labels((discs > 60).astype(np.uint8))

    assert panel.state.mask is None


def test_a_duplicated_grey_image_does_not_become_two_channels(
    panel: Any, until: Any, tmp_path: Path, discs: np.ndarray
) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "grey.tif", discs)
    panel.controller.open_images([tmp_path / "grey.tif"])
    until(lambda: panel.state.image is not None)
    layer = panel.state.image

    panel.controller.viewer.add_layer(type(layer).create(*layer.as_layer_data_tuple()))

    assert "1 channel" in panel.state.image_about


def test_a_layer_renamed_after_the_panel_is_gone_is_no_error(segmented: Any) -> None:
    viewer, layer = segmented.controller.viewer, segmented.state.image
    segmented.let_go()

    layer.name = "renamed"
    viewer.layers[-1].paint((1, 1), 1)


def test_weights_of_a_file_become_a_version_of_the_project(panel: Any, until: Any) -> None:
    from napari_medseg.models.cards import SHIPPED

    panel.controller.add_model_file(SHIPPED / "fetal-head.safetensors")

    until(lambda: panel.state.model == "v1")
    assert panel.state.active == "nuclei"
    assert panel.state.versions[0]["reason"] == "Brought in from a file."


def test_the_plugin_menu_opens_and_closes_the_panel(
    make_napari_viewer: Any, engine_environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDSEG_PROJECT", str(tmp_path / "project"))
    viewer = make_napari_viewer(show=True)

    dock, panel = viewer.window.add_plugin_dock_widget("napari-medseg", "MedSeg")
    assert panel.working

    viewer.window.remove_dock_widget(dock)
    assert not panel.working
