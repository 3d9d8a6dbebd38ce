"""A mask is seen where its pixels count: over its image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.image_layers import lies_over
from napari_medseg.opening.placing import Placing

from .editing_support import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, np.zeros((40, 50), np.uint8))
    made.image.scale = (2.0, 0.5)
    placing = Placing(made.state, made.masks, lambda: None)
    made.viewer.add_labels(np.zeros((40, 50), np.uint8), name="mask", scale=(2.0, 0.5))
    made.state.notice = ""
    yield made
    placing.close()
    made.close(lose=True)


@pytest.mark.parametrize(
    ("name", "value"), [("translate", (10, 0)), ("scale", (4, 1)), ("rotate", 30), ("affine", np.diag([2.0, 2.0, 1.0]))]
)
def test_a_mask_that_is_moved_off_its_image_is_put_back_and_that_is_said(desk: Desk, name: str, value: Any) -> None:
    setattr(desk.mask.layer, name, value)

    assert lies_over(desk.mask.layer, desk.image)
    assert "'mask' was moved off 'image' and lies over it again" in desk.state.notice


def test_a_mask_that_was_moved_while_another_was_chosen_is_put_back_when_it_is_chosen_again(desk: Desk) -> None:
    first = desk.mask.layer
    first.paint((5, 5), 1)
    proposed = np.ones((40, 50), np.uint8)
    desk.masks.propose(desk.image, proposed, proposed.copy(), "nuclei")
    first.translate = (10, 0)

    desk.viewer.layers.selection.active = first

    assert lies_over(first, desk.image)


def test_a_mask_goes_along_with_its_image_without_a_word(desk: Desk) -> None:
    desk.image.translate = (10, 3)
    desk.image.scale = (1, 1)

    assert lies_over(desk.mask.layer, desk.image)
    assert desk.state.notice == ""


def test_a_mask_is_left_alone_once_the_panel_is_gone(tmp_path: Path) -> None:
    desk = Desk(tmp_path, np.zeros((40, 50), np.uint8))
    placing = Placing(desk.state, desk.masks, lambda: None)
    layer = desk.draw(np.zeros((40, 50), np.uint8)).layer

    placing.close()
    layer.translate = (10, 0)

    assert tuple(layer.translate) == (10, 0)
    desk.close(lose=True)
