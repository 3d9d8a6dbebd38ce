"""Which Labels layer is the mask of an image, and what is said of one that is not."""

from __future__ import annotations

import numpy as np

from .editing_support import Desk


def test_a_second_mask_of_an_image_is_said_not_to_be_kept(desk: Desk) -> None:
    mask = desk.mask

    desk.viewer.add_labels(np.zeros((40, 50), np.uint8), name="second")

    assert desk.mask is mask
    assert "'second' is not taken as a mask, since 'image' has one, 'mask'" in desk.state.notice
    assert "Accept does not take it" in desk.state.notice


def test_a_mask_of_another_size_is_said_not_to_be_that_of_the_image(desk: Desk) -> None:
    desk.viewer.layers.remove(desk.mask.layer)

    desk.viewer.add_labels(np.zeros((4, 5), np.uint8), name="small")

    assert desk.state.mask is None
    assert "'small' (4 x 5) does not lie on 'image' (40 x 50)" in desk.state.notice


def test_a_mask_that_is_put_back_is_no_second_one(desk: Desk) -> None:
    mask = desk.mask
    mask.layer.paint((5, 5), 1)
    desk.viewer.layers.remove(mask.layer)
    desk.state.notice = ""

    desk.masks.put_back()

    assert desk.mask is mask
    assert desk.state.notice == ""


def test_a_corrected_mask_that_another_takes_the_place_of_is_said_to_be_kept_and_comes_back_when_that_is_deleted(
    desk: Desk,
) -> None:
    corrected = desk.mask
    corrected.layer.paint((5, 5), 1)
    proposed = np.ones((40, 50), np.uint8)

    desk.masks.propose(desk.image, proposed, proposed.copy(), "nuclei")

    assert not corrected.layer.visible
    assert desk.state.notice.startswith("'mask' is kept: it is hidden in the layer list")

    desk.viewer.layers.remove(desk.mask.layer)

    assert desk.state.mask is corrected.layer
    assert corrected.layer.visible
    assert desk.state.notice == "'mask' is the mask of 'image' again."


def test_a_mask_does_not_come_back_for_an_image_that_is_closed(desk: Desk) -> None:
    desk.mask.layer.paint((5, 5), 1)
    proposed = np.ones((40, 50), np.uint8)
    desk.masks.propose(desk.image, proposed, proposed.copy(), "nuclei")

    desk.viewer.layers.remove(desk.image)
    desk.viewer.layers.clear()

    assert desk.state.mask is None
    assert [layer.name for layer in (desk.state.deleted_mask,)] == ["mask"]
