"""An image that is closed while its mask is in work, and opened again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Labels

from napari_medseg.masks import Mask

from .editing_support import Desk

IMAGE = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, IMAGE)
    made.draw(np.zeros((40, 50), np.uint8)).layer.paint((5, 5), 1)
    yield made
    made.close(lose=True)


def test_a_mask_is_that_of_its_image_again_when_that_is_opened_again(desk: Desk) -> None:
    mask = desk.mask
    desk.viewer.layers.remove(desk.image)
    assert desk.state.mask is None

    again = desk.viewer.add_image(IMAGE.copy(), name="again")
    desk.until(lambda: desk.state.mask is mask.layer)

    assert mask.image is again
    assert "opened again" in desk.state.notice
    assert desk.state.undo == "Change"
    desk.editing.undo()
    assert not mask.layer.data.any()


def test_so_is_one_that_was_deleted_with_its_image_and_put_back(desk: Desk) -> None:
    mask = desk.mask
    desk.viewer.layers.clear()
    again = desk.viewer.add_image(IMAGE.copy(), name="again")

    desk.masks.put_back()
    desk.until(lambda: desk.state.mask is mask.layer)

    assert mask.image is again


def test_of_two_masks_the_one_in_work_stays_the_one_in_work(desk: Desk) -> None:
    first = desk.mask
    desk.masks.show(Mask(desk.image, Labels(np.zeros((40, 50), np.uint8))))
    second = desk.mask
    second.layer.paint((9, 9), 2)
    desk.viewer.layers.remove(desk.image)

    again = desk.viewer.add_image(IMAGE.copy())
    desk.until(lambda: first.image is again and second.image is again)

    assert desk.mask is second


@pytest.mark.parametrize("place", [(0, 0), (3, 0)])
def test_another_image_and_one_that_lies_elsewhere_do_not_get_it(desk: Desk, place: tuple[int, int]) -> None:
    mask, other = desk.mask, IMAGE.copy()
    other[0, 0] += place == (0, 0)
    desk.viewer.layers.remove(desk.image)

    desk.viewer.add_image(other, translate=place)
    desk.background._threads.shutdown(wait=True)
    desk.pump()

    assert desk.state.mask is None
    assert mask.image is desk.image
