"""A large image in the real window: segmented in its file, and corrected part by part with the mouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QFileDialog

from napari_medseg import image_layers
from napari_medseg.models.label_store import LabelStore
from napari_medseg.segmenting import OPENING
from napari_medseg.trainer.ledger import Ledger

from .large_support import SHAPE, STEP, write_slide
from .prompting_support import Hand


@pytest.fixture
def slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A slide that counts as large."""
    monkeypatch.setattr(image_layers, "LARGE", 2**16)
    return write_slide(tmp_path / "slide.ome.zarr")


def look_at(panel: Any, qtbot: Any, row: int, column: int, zoom: float) -> None:
    viewer = panel.controller.viewer
    viewer.camera.center = (0, row * STEP[0], column * STEP[1])
    viewer.camera.zoom = zoom
    qtbot.wait(1)


def whole_mask(panel: Any) -> np.ndarray:
    (folder,) = (panel.state.project / "large").iterdir()
    return LabelStore.open(folder / "mask.ome.zarr").read()


def test_a_part_is_opened_painted_on_with_the_mouse_and_put_back(
    open_panel: Any, until: Any, press: Any, qtbot: Any, slide: Path
) -> None:
    panel = open_panel()
    state, viewer = panel.state, panel.controller.viewer
    assert not panel.large.isVisible()
    panel.controller.open_images([slide])
    until(lambda: state.large)
    assert panel.large.isVisible()
    assert "Edit here" in panel.hint.text()

    look_at(panel, qtbot, 700, 900, 8)
    press(panel.large.edit)
    until(lambda: state.in_part)
    assert viewer.layers.selection.active is state.mask
    state.mask.mode, state.mask.brush_size = "paint", 9
    hand = Hand(panel, until)
    middle = np.array(state.image.world_to_data((700 * STEP[0], 900 * STEP[1])))
    hand.pull(middle, middle + np.array((0, 20)))
    assert state.undo
    press(panel.large.done)
    until(lambda: not state.in_part)

    whole = whole_mask(panel)
    assert whole[700, 910] == 1
    assert set(np.unique(whole)) == {0, 1}
    assert state.image.name == "slide"


def test_a_slide_is_segmented_in_its_file_and_a_part_of_it_is_accepted(
    panel: Any, until: Any, press: Any, qtbot: Any, discs: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_layers, "LARGE", 2**16)
    path, state = tmp_path / "cells.ome.zarr", panel.state
    LabelStore.create(path, (288, 256), "YX", STEP, "um", dtype=np.uint8, chunk=64).write((), np.tile(discs, (3, 2)))
    panel.controller.open_images([path])
    until(lambda: state.large)

    state.opening_share = 0.5  # as while a mask is opened, which the answer would take the place of
    press(panel.sections["Segment"].start)
    assert state.segmenting is None
    assert state.notice == OPENING
    state.opening_share = None

    press(panel.sections["Segment"].start)
    until(lambda: state.segmenting is None and len(panel.controller.viewer.layers) == 2)
    assert not state.problem
    found = whole_mask(panel)
    assert len(np.unique(found)) > 15  # three in each of six

    look_at(panel, qtbot, 60, 90, 20)
    press(panel.prompts.tools["click"])
    until(lambda: state.prompt_tool == "click" and state.in_part)
    press(panel.prompts.tools["click"])
    assert panel.controller.masks.current().model == state.model
    state.mask.data_setitem(np.nonzero(state.mask.data == state.mask.data[60, 90]), 0)
    press(panel.sections["Correct"].accept)
    until(lambda: not state.in_part)

    assert "case 1" in state.notice
    corrected = whole_mask(panel)
    assert found[60, 90] > 0
    assert corrected[60, 90] == 0
    assert (corrected != found).sum() == (found == found[60, 90]).sum()
    with Ledger.open(state.project) as ledger:
        (record,) = ledger.corrections()
    assert record.predicted_key


def test_a_mask_from_a_file_is_opened_with_a_button_corrected_with_the_mouse_and_saved(
    open_panel: Any, until: Any, press: Any, qtbot: Any, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = np.zeros(SHAPE, np.uint16)
    made[:, 1000:] = 300
    tifffile.imwrite(tmp_path / "mask.tif", made, tile=(256, 256), compression="zlib")
    before = (tmp_path / "mask.tif").read_bytes()
    panel = open_panel()
    state, section = panel.state, panel.sections["Image"]
    panel.controller.open_images([slide])
    until(lambda: state.large and section.open_mask.isEnabled())
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "mask.tif"), ""))
    press(section.open_mask)
    assert section.copying.isVisibleTo(section)
    assert section.cancel.isEnabled()
    assert not section.open_mask_folder.isEnabled()
    until(lambda: "'mask.tif' is the mask" in state.notice)
    assert not section.copying.isVisibleTo(section)
    assert "Edit here to correct" in panel.hint.text()

    look_at(panel, qtbot, 700, 1000, 8)
    press(panel.large.edit)
    until(lambda: state.in_part)
    state.mask.mode, state.mask.brush_size, state.mask.selected_label = "paint", 9, 7
    middle = np.array(state.image.world_to_data((700 * STEP[0], 950 * STEP[1])))
    Hand(panel, until).pull(middle, middle + np.array((0, 20)))

    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "new.ome.zarr"), ""))
    until(panel.sections["Export"].export.isEnabled)
    press(panel.sections["Export"].export)
    until(lambda: "was written to" in state.notice)
    saved = LabelStore.open(tmp_path / "new.ome.zarr").read()
    assert saved[700, 960] == 7
    np.testing.assert_array_equal(saved[saved != 7], made[saved != 7])
    assert (tmp_path / "mask.tif").read_bytes() == before

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "new.ome.zarr"))
    press(section.open_mask_folder)
    until(lambda: "'new.ome.zarr' is the mask" in state.notice)
    np.testing.assert_array_equal(panel.controller.large.chosen().store.read(), saved)


def test_a_small_image_is_none_of_this(open_panel: Any, until: Any, discs: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "small.tif", discs)
    panel = open_panel()
    panel.controller.open_images([tmp_path / "small.tif"])
    until(lambda: panel.state.image is not None)
    assert not panel.state.large
    assert not panel.large.isVisible()
