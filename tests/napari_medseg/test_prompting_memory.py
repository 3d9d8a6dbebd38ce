"""What was closed is kept nowhere, what is large is sent in parts, and slices are shown as bright as they are."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import dask.array
import numpy as np

from .prompting_support import FIRST, SECOND, Hand, take_up


def kept_by_the_predictor(panel: Any) -> dict[str, Any]:
    """Of each session: shape of its image, and the intensities that are dark and bright in it."""

    def kept(dask_worker: Any) -> Any:
        from napari_medseg.models.engine import prompter

        if "predictor" not in dask_worker.state.total_resources:
            return {}
        images = prompter._prompter()._images
        return {name: (one.image.data.shape, one.limits.tolist()) for name, one in images.items()}

    client = panel.controller.link._engine._client
    return {name: seen for found in client.run(kept).values() for name, seen in found.items()}


def test_an_image_that_was_closed_is_kept_neither_here_nor_in_the_predictor(
    panel: Any, hand: Hand, press: Any, until: Any
) -> None:
    before = set(kept_by_the_predictor(panel))
    take_up(panel, press, "click")
    hand.click(FIRST)
    hand.click(SECOND)
    masks, image = panel.controller.masks, panel.state.image
    masks.saved(masks.current(), masks.current().changes)
    pixels = [weakref.ref(layer.data) for layer in (image, panel.state.mask)]
    mask, layer = weakref.ref(masks.current()), weakref.ref(image)
    assert set(kept_by_the_predictor(panel)) - before

    del image
    hand.viewer.layers.clear()
    until(lambda: not set(kept_by_the_predictor(panel)) - before)

    objects = panel.controller.prompting._objects
    assert not objects._in_work
    assert not objects._earlier
    assert not objects._highest
    until(lambda: gc.collect() >= 0 and mask() is None)
    assert pixels[1]() is None
    until(lambda: gc.collect() >= 0 and layer() is None)


def test_of_a_slide_only_what_is_around_the_click_is_read_and_sent(
    panel: Any, discs: np.ndarray, press: Any, until: Any
) -> None:
    tile = np.full((500, 500), 12, np.uint8)
    tile[200:296, 200:328] = discs
    read: list[Any] = []

    def block(block_info: Any = None) -> np.ndarray:
        read.append(block_info[None]["chunk-location"])
        return tile

    slide = dask.array.map_blocks(block, chunks=((500,) * 20, (500,) * 20), dtype=np.uint8)
    coarse = np.tile(tile[::20, ::20], (20, 20))
    viewer = panel.controller.viewer
    viewer.add_image([slide, coarse], multiscale=True, contrast_limits=(0, 140), name="slide")
    panel.state.own_labels = True
    middle = (10 * 500 + 200 + FIRST[0], 10 * 500 + 200 + FIRST[1])
    take_up(panel, press, "click")
    hand = Hand(panel, until)
    read.clear()

    viewer.camera.center = (0, *middle)
    viewer.camera.zoom = 2
    hand.click(middle)

    found = panel.state.mask.data
    assert found[middle]
    rows, columns = np.nonzero(found[middle[0] - 100 : middle[0] + 100, middle[1] - 100 : middle[1] + 100])
    assert abs(rows.mean() - 100) < 3
    assert abs(columns.mean() - 100) < 3
    assert np.count_nonzero(found) == len(rows)
    assert len(set(read)) < 120, "of 400 blocks"
    assert all(shape == (2048, 2048) for shape, _ in kept_by_the_predictor(panel).values() if shape != (96, 128))


def test_the_same_brightness_means_the_same_on_each_slice(
    panel: Any, discs: np.ndarray, press: Any, until: Any
) -> None:
    before = set(kept_by_the_predictor(panel))
    volume = np.stack([discs, discs // 6, discs])
    panel.controller.viewer.add_image(volume, name="volume")
    panel.state.own_labels = True
    take_up(panel, press, "click")
    hand = Hand(panel, until)
    for at in (0, 1):
        panel.controller.viewer.dims.set_current_step(0, at)
        hand.click(FIRST)

    limits = [seen for name, (_, seen) in kept_by_the_predictor(panel).items() if name not in before]

    assert len(limits) >= 2
    assert all(one == limits[0] for one in limits)
    assert limits[0][0][1] > 100
