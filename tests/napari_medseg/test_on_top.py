"""Images that lie over each other: what is changed is what is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils import Colormap

from napari_medseg.on_top import covering, reveal

from .editing_support import Desk
from .prompting_support import FIRST, SECOND, Hand, is_disc, labels, take_up


@pytest.fixture
def two(hand: Hand, discs: np.ndarray) -> tuple[Any, Any]:
    """Two images at one place; the one that was opened last lies above."""
    return hand.panel.state.image, hand.viewer.add_image(discs[:, ::-1], name="later")


@pytest.fixture
def pick(panel: Any, qtbot: Any) -> Any:
    """Picks an image in the panel's list, as a user does."""

    def pick_it(image: Any) -> None:
        picker = panel.sections["Image"].picker
        row = picker.findText(image.name)
        picker.setCurrentIndex(row)
        picker.activated.emit(row)
        qtbot.wait(1)

    return pick_it


def test_a_click_changes_no_mask_that_another_image_hides(hand: Hand, two: Any, press: Any) -> None:
    first, later = two
    hand.viewer.layers.selection.active = first
    take_up(hand.panel, press, "click")

    hand.click(FIRST)

    state = hand.panel.state
    assert state.mask is None
    assert "'later' hides 'discs' here" in state.notice
    later.visible = False
    hand.click(FIRST)
    assert is_disc(hand.panel, 1, FIRST)


def test_a_box_changes_no_mask_that_another_image_hides(hand: Hand, two: Any, press: Any) -> None:
    hand.viewer.layers.selection.active = two[0]
    take_up(hand.panel, press, "box")

    hand.pull((10, 15), (38, 45))

    assert hand.panel.state.mask is None
    assert "'later' hides 'discs' here" in hand.panel.state.notice


def test_the_image_that_is_picked_in_the_panel_comes_to_the_top_with_its_mask(
    hand: Hand, two: Any, press: Any, pick: Any
) -> None:
    first, later = two
    take_up(hand.panel, press, "click")
    pick(first)
    hand.click(FIRST)
    mask = hand.panel.state.mask
    pick(later)
    pick(first)

    layers = list(hand.viewer.layers)
    assert hand.panel.state.image is first
    assert hand.viewer.layers.selection.active is mask
    assert layers[:3] == [later, first, mask]
    hand.click((10, 10), right=True)
    assert not hand.panel.state.notice.startswith("'later'")


def test_an_image_stays_picked_though_the_tool_in_hand_draws_over_it(hand: Hand, two: Any, press: Any) -> None:
    first, later = two
    hand.viewer.layers.selection.active = first
    take_up(hand.panel, press, "click")

    hand.panel.state.image = later
    hand.wait()

    assert hand.panel.state.image is later


def test_a_click_shows_the_mask_that_it_changes(hand: Hand, press: Any) -> None:
    take_up(hand.panel, press, "click")
    hand.click(FIRST)
    hand.panel.state.mask.visible = False

    hand.click(SECOND)

    assert hand.panel.state.mask.visible
    assert labels(hand.panel) == {1}


def test_a_mask_lies_above_its_image_when_that_is_opened_again(desk: Desk) -> None:
    desk.mask.layer.data_setitem((np.array([3]), np.array([4])), 1)
    mask, pixels = desk.mask, desk.image.data
    desk.viewer.layers.remove(desk.image)

    again = desk.viewer.add_image(pixels, name="again")
    desk.until(lambda: mask.image is again)

    assert list(desk.viewer.layers) == [again, mask.layer]


def test_the_masks_of_other_images_of_the_same_size_stay_with_them(desk: Desk) -> None:
    first, its_mask = desk.image, desk.mask.layer
    later = desk.viewer.add_image(np.ones((40, 50)), name="later")
    of_later = desk.viewer.add_labels(np.zeros((40, 50), np.uint8), name="mask of later")

    desk.masks.pick(first)
    assert list(desk.viewer.layers) == [later, of_later, first, its_mask]

    desk.masks.pick(later)
    assert list(desk.viewer.layers) == [first, its_mask, later, of_later]


@pytest.mark.parametrize(
    ("settings", "hides"),
    [
        ({}, True),
        ({"opacity": 0.5}, False),
        ({"blending": "additive"}, False),
        ({"visible": False}, False),
        ({"translate": (6, 0)}, False),
        ({"colormap": Colormap([[0, 0, 0, 0], [1, 1, 1, 1]])}, False),
        ({"metadata": {"medseg": {"overlay": True}}}, False),
    ],
)
def test_an_image_hides_what_it_leaves_no_sight_of(settings: dict[str, Any], hides: bool) -> None:
    viewer = ViewerModel()
    below = viewer.add_image(np.zeros((10, 10)))
    above = viewer.add_image(np.zeros((10, 10)), **settings)

    assert covering(viewer, below, (3, 3)) is (above if hides else None)
    assert covering(viewer, above, (3, 3)) is None


def test_a_slice_hides_only_the_slice_that_it_lies_on() -> None:
    viewer = ViewerModel()
    below = viewer.add_image(np.zeros((5, 10, 10)))
    above = viewer.add_image(np.zeros((1, 10, 10)), translate=(2, 0, 0))

    assert covering(viewer, below, (2, 3, 3)) is above
    assert covering(viewer, below, (3, 3, 3)) is None


def test_a_colour_image_hides_nothing_where_it_is_transparent() -> None:
    viewer = ViewerModel()
    below = viewer.add_image(np.zeros((10, 10)))
    pixels = np.full((10, 10, 4), 255, np.uint8)
    pixels[:5, :, 3] = 100
    above = viewer.add_image(pixels, rgb=True)

    assert covering(viewer, below, (3, 3)) is None
    assert covering(viewer, below, (7, 3)) is above


def test_a_mask_that_is_seen_is_not_drawn_anew(desk: Desk) -> None:
    """Each click asks for it."""
    told: list[Any] = []
    for event in (desk.mask.layer.events.visible, desk.mask.layer.events.set_data, desk.viewer.layers.events.moved):
        event.connect(told.append)

    reveal(desk.viewer, desk.image, desk.mask.layer)

    assert not told
    desk.mask.layer.visible = False
    reveal(desk.viewer, desk.image, desk.mask.layer)
    assert desk.mask.layer.visible
