"""Masks of large images are exported as they are at one moment, whatever is done with them meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.exporting import Exporting, exporting
from napari_medseg.large.finding import ELSEWHERE
from napari_medseg.large.putting_back import EXPORTED
from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.reading import read_mask

from ..large_support import SHAPE, STEP, LargeDesk, paint


@pytest.fixture
def export(desk: LargeDesk) -> Iterator[Exporting]:
    made = Exporting(desk.viewer, desk.state, desk.masks, desk.large, desk.background)
    desk.state.export = "ome-tiff"
    yield made
    made.close()


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What is exported is read only when this is set."""
    event, write = threading.Event(), exporting.write_pyramid

    def slow(*args: Any, **options: Any) -> None:
        event.wait(60)
        write(*args, **options)

    monkeypatch.setattr(exporting, "write_pyramid", slow)
    yield event
    event.set()


@pytest.fixture
def opened(desk: LargeDesk, tmp_path: Path) -> Callable[[int], None]:
    """Opens a mask that is one label."""

    def open_(label: int) -> None:
        path = tmp_path / f"{label}.ome.zarr"
        LabelStore.create(path, SHAPE, "YX", STEP, "um").write((), np.full(SHAPE, label, np.uint16))
        desk.open_mask(path)
        desk.until(lambda: desk.large.chosen() and desk.large.chosen().store.read().max() == label)

    return open_


def test_a_part_is_put_back_when_the_export_has_ended(
    desk: LargeDesk, export: Exporting, go_on: threading.Event, opened: Any, tmp_path: Path
) -> None:
    opened(5)
    export.start(tmp_path / "mask.ome.tif")
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.large.done()
    desk.until(lambda: desk.state.notice == EXPORTED)
    assert (desk.whole == 5).all()

    go_on.set()
    desk.until(lambda: desk.state.exporting is None and not desk.state.in_part)
    assert (read_mask(tmp_path / "mask.ome.tif") == 5).all()
    assert desk.whole[700, 900] == 3
    assert desk.state.notice != EXPORTED


def test_a_mask_that_another_one_takes_the_place_of_is_exported_to_its_end(
    desk: LargeDesk, export: Exporting, go_on: threading.Event, opened: Any, tmp_path: Path
) -> None:
    opened(5)
    export.start(tmp_path / "mask.ome.tif")
    opened(6)
    go_on.set()
    desk.until(lambda: desk.state.exporting is None)
    assert (read_mask(tmp_path / "mask.ome.tif") == 5).all()
    desk.until(lambda: len(list((desk.state.project / "large").iterdir())) == 1)  # the first is gone then


def test_what_is_chosen_while_a_part_is_put_back_is_not_exported(
    desk: LargeDesk, export: Exporting, tmp_path: Path
) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    export.start(tmp_path / "mask.ome.tif")
    assert desk.state.exporting is not None  # no second one can be begun
    desk.state.image = desk.viewer.add_image(np.zeros((8, 8), np.uint8), name="other")
    desk.state.export = "png"
    desk.until(lambda: desk.state.exporting is None)
    assert "mask.ome.tif" in desk.state.notice, desk.state.problem
    assert read_mask(tmp_path / "mask.ome.tif")[700, 900] == 3


def test_a_part_that_stays_open_ends_the_export(desk: LargeDesk, export: Exporting, tmp_path: Path) -> None:
    desk.edit(700, 900)
    paint(desk, 700, 900)
    desk.large._part.offered = True
    export.start(tmp_path / "mask.ome.tif")
    assert desk.state.exporting is None
    assert not (tmp_path / "mask.ome.tif").exists()


def test_no_other_window_has_the_mask_of_an_image_that_was_closed_until_the_export_has_ended(
    desk: LargeDesk, desks: Any, export: Exporting, go_on: threading.Event, opened: Any, tmp_path: Path
) -> None:
    opened(5)
    store = desk.large.chosen().store
    export.start(tmp_path / "mask.ome.tif")
    desk.until(lambda: not store.free)
    desk.viewer.layers.remove(desk.image)

    other = desks()
    other.until(lambda: other.state.notice == ELSEWHERE)
    assert other.large.chosen() is None

    go_on.set()
    desk.until(lambda: desk.state.exporting is None)
    desk.rest()
    other.viewer.layers.remove(other.image)
    other.open(other.slide)
    other.until(lambda: other.large.chosen() is not None)


def test_an_image_that_is_opened_again_while_its_mask_is_exported_has_it_right_after_that(
    desk: LargeDesk, export: Exporting, go_on: threading.Event, opened: Any, tmp_path: Path
) -> None:
    opened(5)
    store = desk.large.chosen().store
    export.start(tmp_path / "mask.ome.tif")
    desk.until(lambda: not store.free)
    desk.viewer.layers.remove(desk.image)
    desk.state.notice = ""

    desk.open(desk.slide)
    go_on.set()
    desk.until(lambda: desk.large.chosen() is not None)

    assert (desk.large.chosen().store.read() == 5).all()
    assert desk.state.notice != ELSEWHERE
