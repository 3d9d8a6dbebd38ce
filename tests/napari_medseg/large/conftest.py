"""A slide that counts as large, and windows on it; without Qt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_medseg import image_layers
from napari_medseg.image_layers import is_large

from ..large_support import LargeDesk, write_slide


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slide(tmp_path_factory.mktemp("slides") / "slide.ome.zarr")


@pytest.fixture
def desks(tmp_path: Path, slide: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Opens windows on one project, each with the slide, which counts as large."""
    monkeypatch.setattr(image_layers, "LARGE", 2**20)
    made: list[LargeDesk] = []

    def open_one() -> LargeDesk:
        made.append(LargeDesk(tmp_path / "project", slide))
        return made[-1]

    yield open_one
    for desk in made:
        desk.close()


@pytest.fixture
def desk(desks: Any) -> LargeDesk:
    made = desks()
    assert is_large(made.image)
    return made
