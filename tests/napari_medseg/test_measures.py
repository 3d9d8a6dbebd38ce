"""Measurements of the mask in work: they follow it, lead to its labels, and become a CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QScrollArea

from napari_medseg.measuring import Measuring
from napari_medseg.measuring import measuring as measuring_module
from napari_medseg.measuring.measuring import EMPTY, NO_MASK
from napari_medseg.measuring.table import MeasuresTable, sorted_by
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.measuring import measure

from .editing_support import Desk


def boxes(shape: tuple[int, ...] = (8, 60, 80)) -> np.ndarray:
    """Label 1 of 10 x 10 pixels and label 3 of 4 x 20; in a volume in slices 2 to 4."""
    mask = np.zeros(shape, np.uint8)
    mask[..., 10:20, 10:20], mask[..., 40:44, 50:70] = 1, 3
    if len(shape) == 3:
        mask[:2], mask[5:] = 0, 0
    return mask


def add(viewer: Any, state: Any, mask: np.ndarray, unit: str = "mm") -> None:
    """An image of 2 x 0.5 x 0.5 a voxel with this mask."""
    settings = {"scale": (2, 0.5, 0.5)[-mask.ndim :], "units": unit}
    viewer.add_image(np.full(mask.shape, 40, np.int16), name="measured", **settings)
    viewer.add_labels(mask, name="mask", **settings)
    state.own_labels = True


class Measured(Desk):
    """A desk with measurements, which are asked for as the panel does: whenever they are out of date."""

    def __init__(self, project: Path) -> None:
        super().__init__(project, np.zeros((10, 12), np.uint8))
        self.measuring = Measuring(self.viewer, self.state, self.masks, self.editing, self.background)
        self.measuring.outdated.connect(lambda: self.background.post(self.measuring.refresh))

    def draw_boxes(self, *shape: int, unit: str = "mm") -> Measured:
        add(self.viewer, self.state, boxes(shape or (8, 60, 80)), unit)
        self.until(lambda: len(self.measuring.rows) == 2)
        return self

    @property
    def labels(self) -> list[int]:
        return [row.label for row in self.measuring.rows]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Measured]:
    made = Measured(tmp_path)
    yield made
    made.measuring.close()
    made.close(lose=True)


def test_each_label_is_measured_in_the_unit_of_the_image(desk: Measured) -> None:
    rows = desk.draw_boxes().measuring.rows
    assert [(row.label, row.volume, row.unit, row.mean) for row in rows] == [
        (1, 150, "mm", (40,)),
        (3, 120, "mm", (40,)),
    ]
    assert desk.measuring.said == "2 labels"


def test_without_a_known_length_they_are_in_pixels_and_it_says_so(desk: Measured) -> None:
    rows = desk.draw_boxes(60, 80, unit="pixel").measuring.rows
    assert [(row.area, row.unit) for row in rows] == [(100, "pixel"), (80, "pixel")]
    assert desk.measuring.said == "2 labels; the length of a pixel is not known"


def test_before_there_is_a_mask_it_says_what_to_do(desk: Measured) -> None:
    assert desk.measuring.said == NO_MASK
    desk.measuring.refresh()
    assert desk.measuring.rows == ()


def test_a_stroke_makes_them_out_of_date_and_so_do_undo_and_other_pixels(desk: Measured) -> None:
    layer = desk.draw_boxes(60, 80).mask.layer
    layer.selected_label, layer.brush_size = 5, 6
    layer.paint((30, 40), 5)
    desk.until(lambda: desk.labels == [1, 3, 5])
    desk.editing.undo()
    desk.until(lambda: desk.labels == [1, 3])
    layer.data = np.zeros((60, 80), np.uint8)
    desk.until(lambda: desk.measuring.said == EMPTY)


def test_selecting_a_label_has_the_brush_draw_it_shows_it_and_changes_nothing(desk: Measured) -> None:
    desk.draw_boxes()
    desk.viewer.dims.set_current_step(0, 7)
    desk.measuring.select(desk.measuring.rows[1])

    assert desk.mask.layer.selected_label == 3
    assert desk.viewer.layers.selection.active is desk.mask.layer
    assert 2 <= desk.viewer.dims.current_step[0] <= 4
    world = (*desk.viewer.dims.point[:-2], *desk.viewer.camera.center[-2:])
    assert desk.mask.layer.world_to_data(world)[-2:] == pytest.approx((41.5, 59.5), abs=2)
    assert not desk.measuring.stale


def test_a_row_of_a_mask_that_is_another_by_now_leads_nowhere(desk: Measured) -> None:
    row = desk.draw_boxes().measuring.rows[1]
    desk.mask.layer.data = np.zeros((2, 5, 5), np.uint8)
    desk.measuring.select(row)
    assert desk.mask.layer.selected_label != 3


def test_each_slice_is_measured_on_its_own_when_asked(desk: Measured) -> None:
    desk.draw_boxes()
    desk.measuring.by_plane = True
    desk.until(lambda: len(desk.measuring.rows) == 6)
    assert [(row.plane, row.label, row.area) for row in desk.measuring.rows[:2]] == [(2, 1, 25), (2, 3, 20)]
    desk.measuring.by_plane = False
    desk.until(lambda: len(desk.measuring.rows) == 2)


def test_classes_have_names(desk: Measured) -> None:
    desk.draw_boxes(60, 80)
    desk.state.own_labels = False
    desk.state.labels = {1: "liver", 3: "lesion"}
    desk.until(lambda: [row.name for row in desk.measuring.rows] == ["liver", "lesion"])


def test_a_large_mask_is_measured_when_asked(desk: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.draw_boxes(60, 80)
    assert desk.measuring.at_once
    monkeypatch.setattr(measuring_module, "AT_ONCE", 10)
    desk.measuring.outdated.disconnect()
    desk.mask.layer.paint((30, 40), 5)
    assert not desk.measuring.at_once
    assert "has changed since" in desk.measuring.said
    desk.measuring.refresh()
    desk.until(lambda: desk.labels == [1, 3, 5])
    assert desk.measuring.said == "3 labels"


def test_the_image_may_be_deleted_while_it_is_measured(desk: Measured) -> None:
    desk.draw_boxes()
    desk.measuring.refresh()
    desk.viewer.layers.clear()
    desk.until(lambda: desk.measuring.said == NO_MASK and not desk.measuring.rows)
    assert desk.state.problem == ""


def test_they_are_written_as_csv(desk: Measured, tmp_path: Path) -> None:
    desk.draw_boxes()
    desk.measuring.save(tmp_path / "für Herrn Müller.csv")
    desk.until(lambda: "2 lines were written" in desk.state.notice)
    with (tmp_path / "für Herrn Müller.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["volume_mm3"]) for row in rows] == [("1", "150"), ("3", "120")]
    (tmp_path / "file").write_bytes(b"")
    desk.measuring.save(tmp_path / "file" / "a.csv")
    desk.until(lambda: "could not be written" in desk.state.problem)


def column(model: Any, title: str) -> list[str]:
    """A column of a table, as it is seen."""
    titles = [str(model.headerData(at, Qt.Orientation.Horizontal)) for at in range(model.columnCount())]
    return [model.index(row, titles.index(title)).data() for row in range(model.rowCount())]


def test_the_table_sorts_by_numbers(qapp: Any) -> None:
    mask = np.zeros((60, 80), np.uint8)
    for label, side in ((1, 9), (2, 30), (3, 10)):
        mask[:side, 20 * label : 20 * label + 10] = label
    table = MeasuresTable()
    ordered = sorted_by(table, table)
    ordered.sort(1, Qt.SortOrder.DescendingOrder)
    table.show(measure(mask, MedicalImage(np.zeros(mask.shape), "YX", (0.5, 0.5), "mm")))
    assert column(ordered, "Area\n[mm²]") == ["75", "25", "22.5"]
    table.show(())
    assert ordered.rowCount() == 0


@pytest.fixture
def section(open_panel: Callable[..., Any]) -> Any:
    """The section in a panel, scrolled to."""
    panel = open_panel()
    panel.findChild(QScrollArea).ensureWidgetVisible(panel.sections["Measurements"])
    return panel.sections["Measurements"]


def test_in_the_panel_the_table_follows_the_mask_and_a_click_leads_to_the_label(
    section: Any, until: Any, qtbot: Any, press: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert section.about.text() == NO_MASK
    assert not section.save.isEnabled()
    measuring, state = section._measuring, section._state
    viewer, table = measuring.viewer, section.view.model()
    add(viewer, state, boxes())
    until(lambda: table.rowCount() == 2)
    assert column(table, "Volume\n[mm³]") == ["150", "120"]

    place = section.view.visualRect(table.index(1, 0)).center()
    qtbot.mouseClick(section.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert state.mask.selected_label == 3
    assert 2 <= viewer.dims.current_step[0] <= 4

    state.mask.paint((3, 30, 30), 5)
    until(lambda: column(table, "Label") == ["1", "3", "5"])
    assert section.about.text() == "3 labels"

    press(section.larger)
    wide = section.apart.view
    assert wide.horizontalHeader().length() <= wide.viewport().width()  # nothing is cut off
    place = wide.visualRect(table.index(2, 0)).center()
    qtbot.mouseClick(wide.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert state.mask.selected_label == 5

    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "table"), ""))
    press(section.save)
    until((tmp_path / "table.csv").exists)
