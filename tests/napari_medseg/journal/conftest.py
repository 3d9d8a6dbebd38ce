"""Windows on one project whose drafts are on the disk; without Qt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.models.prompts import Prompts

from ..editing_support import Desk
from .support import EMPTY, IMAGE


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Any]:
    """Opens windows on one project, each with the image."""
    made: list[Desk] = []

    def open_one(image: np.ndarray = IMAGE) -> Desk:
        made.append(Desk(tmp_path, image))
        return made[-1]

    yield open_one
    for desk in made:
        desk.close()


@pytest.fixture
def worked(desks: Any) -> Desk:
    """Two strokes, a tool with prompts, and one step undone."""
    desk = desks()
    desk.draw(EMPTY.copy())
    desk.mask.layer.mode = "paint"
    desk.mask.layer.paint((5, 5), 1)
    desk.mask.layer.paint((20, 20), 2)
    desk.editing.change(
        desk.mask, np.s_[8:12, 8:12], np.full((4, 4), 300), "Tool", prompts=Prompts().lasso([(1, 1), (9, 1), (5, 9)])
    )
    desk.editing.change(desk.mask, np.s_[0:2, 0:2], np.ones((2, 2), np.uint8), "Undone")
    desk.editing.undo()
    desk.settle()
    return desk
