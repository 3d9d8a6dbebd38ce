"""DICOM series opened by a folder or by their slices: on pydicom's own sample files, without a window."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManager
from pydicom.data import get_testdata_file

from napari_medseg.image_layers import noted_of
from napari_medseg.opening.opening import Opening
from napari_medseg.reader import PLUGIN, get_reader, read

from .editing_support import Desk

MEDIUM = Path(str(get_testdata_file("DICOMDIR"))).parent


class OpeningDesk(Desk):
    """Layers of a viewer, and what opens files."""

    def __init__(self, project: Path) -> None:
        super().__init__(project, np.zeros((8, 8), np.uint8))
        self.viewer.layers.clear()
        self.opening = Opening(self.viewer, self.state, self.background)

    def open(self, *paths: Path) -> None:
        self.opening.open(paths)
        self.until(lambda: not self.state.opening)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[OpeningDesk]:
    made = OpeningDesk(tmp_path / "project")
    yield made
    made.close(lose=True)


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    """A folder with the slices of one CT series, whose names have no ending."""
    return Path(shutil.copytree(MEDIUM / "98892001" / "CT5N", tmp_path / "sélection CT"))


@pytest.fixture
def two_series(tmp_path: Path, slices: Path) -> Path:
    """The same with a second series among them."""
    for path in (MEDIUM / "77654033" / "CR1").iterdir():
        shutil.copy(path, slices / f"other {path.name}")
    return slices


def test_slices_that_are_opened_together_are_their_series(desk: OpeningDesk, slices: Path) -> None:
    paths = sorted(slices.iterdir())
    assert len(paths) > 2
    desk.open(*paths)
    (layer,) = desk.viewer.layers
    assert layer.data.shape[0] == len(paths)
    assert layer.name == slices.name
    assert not desk.state.problem


def test_a_single_slice_is_that_slice(desk: OpeningDesk, slices: Path) -> None:
    desk.open(min(slices.iterdir()))
    (layer,) = desk.viewer.layers
    assert layer.ndim == 2


def test_of_two_series_in_a_folder_the_user_chooses(desk: OpeningDesk, two_series: Path) -> None:
    desk.open(two_series)
    assert not desk.viewer.layers
    offered = desk.state.choosing
    assert {part.title[:2] for part in offered.parts} == {"CT", "CR"}

    desk.opening.choose([part.key for part in offered.parts if part.title.startswith("CT")])
    desk.until(lambda: len(desk.viewer.layers) == 1)

    (layer,) = desk.viewer.layers
    assert layer.ndim == 3
    assert noted_of(layer)["geometry"] is not None
    assert noted_of(layer)["part"]
    assert desk.state.choosing is None


def test_napari_opens_the_larger_of_two_series_and_says_that_there_is_another(two_series: Path) -> None:
    PluginManager.instance().discover()
    assert get_reader(str(two_series)) is read
    (layer,) = ViewerModel().open(two_series, plugin=PLUGIN)
    assert layer.data.size >= 5 * 16 * 16
    assert any("2 images" in said or "several" in said or "other" in said for said in noted_of(layer)["notices"])


def test_nothing_that_tells_whose_it_is_stands_in_a_layer(desk: OpeningDesk, slices: Path) -> None:
    from pydicom import dcmread

    header = dcmread(min(slices.iterdir()), stop_before_pixels=True)
    desk.open(slices)
    (layer,) = desk.viewer.layers
    kept = f"{layer.name} {layer.metadata}"
    assert str(header.PatientName) not in kept
    for uid in (header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID):
        assert str(uid) not in kept
