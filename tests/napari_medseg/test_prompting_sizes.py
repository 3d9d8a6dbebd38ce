"""Objects of a kind are about as large as each other, which a first click cannot know, but a second object's can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt
from scipy.ndimage import gaussian_filter

from napari_medseg.models.engine.region import Region
from napari_medseg.models.prompts import Prompts
from napari_medseg.prompting.object_in_work import ObjectInWork
from napari_medseg.prompting.sizes_seen import LAST, SizesSeen

from .prompting_support import Hand, take_up

SPOTS = (230, 300), (256, 330)
ROWS, COLUMNS = np.indices((512, 512))
BODY = ((ROWS - 256) / 170) ** 2 + ((COLUMNS - 250) / 210) ** 2 < 1


def spot(number: int) -> np.ndarray:
    row, column = SPOTS[number]
    return np.asarray(np.hypot(ROWS - row, COLUMNS - column) < 10)


def picture() -> np.ndarray:
    """Two spots in a body, in noise."""
    noise = np.random.default_rng(1).normal(0, 15, BODY.shape)
    return np.clip(gaussian_filter(20.0 + 100 * BODY + 25 * (spot(0) | spot(1)), 1) + noise, 0, 255).astype(np.uint8)


def test_once_a_spot_in_a_body_was_meant_the_next_click_means_a_spot_at_once(
    panel: Any, hand: Hand, press: Any
) -> None:
    hand.viewer.layers.clear()
    hand.viewer.add_image(picture(), name="spots")
    hand.viewer.reset_view()
    take_up(panel, press, "click")
    hand.click(SPOTS[0])
    assert (panel.state.mask.data[BODY] == 1).mean() > 0.5
    hand.click((256, 190), right=True)
    assert 0.5 < (panel.state.mask.data == 1).sum() / spot(0).sum() < 2

    hand.type(Qt.Key.Key_N)
    hand.click(SPOTS[1])

    second = panel.state.mask.data == 2
    assert (second & spot(1)).sum() / (second | spot(1)).sum() > 0.7


def done(side: int, *, label: int = 1, alone: bool = True) -> tuple[ObjectInWork, np.ndarray]:
    """An object of so many pixels a side, and the mask that it is in."""
    pixels = np.zeros((64, 64), np.uint8)
    work, prompts = ObjectInWork(label, alone), Prompts().click((5, 5))
    box, after = work.on(()).to_write(
        pixels, Region.of((slice(0, side), slice(0, 2)), np.ones((side, 2), bool)), overwrite=False
    )
    pixels[box] = after
    work.on(()).remember(pixels, prompts, Region.of(box, after > 0))
    return work, pixels


def seen(*sides: int, scale: float = 1.0, alone: bool = True) -> SizesSeen:
    sizes = SizesSeen()
    for side in sides:
        work, pixels = done(side, alone=alone)
        sizes.add(work, Labels(pixels, scale=(scale, scale)))
    return sizes


EMPTY = Labels(np.zeros((9, 9), np.uint8))


def test_the_smallest_and_the_largest_of_the_last_few_count() -> None:
    assert seen().of(1, True, EMPTY) is None
    assert seen(12, 20, 16).of(1, True, EMPTY) == (12, 20)
    assert seen(40, *[10] * LAST).of(1, True, EMPTY) == (10, 10)


def test_an_image_with_smaller_pixels_has_objects_of_more_pixels() -> None:
    assert seen(12, 20, scale=0.5).of(1, True, Labels(np.zeros((9, 9), np.uint8), scale=(0.25, 0.25))) == (24, 40)


def test_classes_have_sizes_of_their_own_and_objects_with_labels_of_their_own_share_them() -> None:
    assert seen(12, alone=False).of(2, False, EMPTY) is None
    assert seen(12, alone=False).of(1, False, EMPTY) == (12, 12)
    assert seen(12).of(7, True, EMPTY) == (12, 12)


def test_labels_of_another_project_mean_other_things(panel: Any, tmp_path: Path) -> None:
    sizes = panel.controller.prompting._objects._sizes
    work, pixels = done(12)
    sizes.add(work, Labels(pixels))
    panel.state.project = tmp_path / "other"
    assert sizes.of(1, True, EMPTY) is None


@pytest.mark.parametrize("prompted", [True, False])
def test_an_object_that_is_gone_or_was_only_picked_does_not_count(prompted: bool) -> None:
    sizes, (work, pixels) = SizesSeen(), done(12)
    if prompted:
        pixels[:] = 0
    else:
        work.on(()).answers.clear()
    sizes.add(work, Labels(pixels))
    assert sizes.of(1, True, EMPTY) is None


def test_an_object_that_is_undone_and_redone_counts_once_and_not_at_all_once_it_is_gone() -> None:
    sizes, (work, pixels) = seen(40), done(12)
    for _ in range(LAST):
        sizes.add(work, Labels(pixels))
    assert sizes.of(1, True, EMPTY) == (12, 40)
    sizes.add(work, Labels(np.zeros_like(pixels)))
    assert sizes.of(1, True, EMPTY) == (40, 40)


@pytest.mark.parametrize("shape", [(3, 3), (3, 64, 64)])
def test_an_object_whose_mask_was_given_another_shape_is_gone(shape: tuple[int, ...]) -> None:
    sizes, (work, _) = SizesSeen(), done(12)
    sizes.add(work, Labels(np.ones(shape, np.uint8)))
    assert sizes.of(1, True, EMPTY) is None


def test_pixels_without_a_size_say_nothing_of_an_objects() -> None:
    layer = Labels(np.zeros((9, 9), np.uint8))
    layer.scale = (0, 0)
    assert seen(12).of(1, True, layer) is None
