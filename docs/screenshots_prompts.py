"""Takes the screenshots of `prompts.md` and `checking.md` in the real window, with real clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from screenshots import (
    accept,
    clear,
    click,
    drag,
    in_own_window,
    pull,
    release,
    rest,
    settle,
    shoot,
    shoot_now,
    unfold_only,
    until,
)


def take(viewer, panel, folder: Path) -> None:
    unfold_only(panel, "Prompts", "Correct")
    _nuclei(viewer, panel)
    _head(viewer, panel)
    unfold_only(panel, "Segment", "Look here", "Correct")
    _doubtful_places(viewer, panel)
    unfold_only(panel, "Prompts", "Propagate", "Correct")
    _propagation(viewer, panel)


def _nuclei(viewer, panel) -> None:
    """Three with a click each, and one more with a loop that is still being drawn."""
    from napari_medseg.samples import samples

    sample = samples("fluorescence")[0]
    layer = viewer.add_image(sample.image().data, name=sample.title)
    until(lambda: panel.state.image is layer)
    prompting, mask = panel.controller.prompting, sample.mask()
    *clicked, lassoed = np.argsort(np.bincount(mask.ravel())[1:])[-4:] + 1
    prompting.take_up("click")
    for label in clicked:
        prompting.next_object()
        until(lambda: prompting.idle)
        click(viewer, _middle(mask == label))
        until(lambda: prompting.idle)
    shoot(viewer, "prompts")
    prompting.next_object()
    until(lambda: prompting.idle)
    prompting.take_up("lasso")
    loop = _loop_around(mask == lassoed)
    pull(viewer, loop)
    until(lambda: prompting.idle)
    shoot(viewer, "prompts-lasso")
    release(viewer, loop[-1])
    until(lambda: prompting.idle)
    prompting.put_down()
    accept(panel)
    clear(viewer)


def _head(viewer, panel) -> None:
    """A head in ultrasound with a box, and a scribble that adds what the answer lacks."""
    from napari_medseg.samples import samples

    sample = samples("ultrasound")[0]
    layer = viewer.add_image(sample.image().data, name=sample.title)
    until(lambda: panel.state.image is layer)
    prompting = panel.controller.prompting
    rows, columns = np.nonzero(sample.mask())
    low, high = (rows.min() - 4, columns.min() - 4), (rows.max() + 4, columns.max() + 4)
    prompting.take_up("box")
    drag(viewer, [low, _middle(sample.mask() > 0), high])
    until(lambda: prompting.idle)
    shoot(viewer, "prompts-box")
    prompting.take_up("scribble")
    drag(
        viewer, [(low[0] + 20, columns.mean() - 40), (low[0] + 12, columns.mean()), (low[0] + 20, columns.mean() + 40)]
    )
    until(lambda: prompting.idle)
    shoot(viewer, "prompts-scribble")
    prompting.put_down()
    accept(panel)
    clear(viewer)


def _doubtful_places(viewer, panel) -> None:
    from napari_medseg.samples import samples

    sample = samples("fluorescence")[0]
    layer = viewer.add_image(sample.image().data, name=sample.title)
    until(lambda: panel.state.image is layer)
    panel.controller.segmenting.start()
    until(lambda: panel.state.segmenting is None and panel.state.mask is not None)
    rest()
    looking = panel.controller.looking
    until(lambda: "border" in panel.state.looking or looking.next())
    until(lambda: looking.frame.shown)
    shoot_now(viewer, "look-here")
    clear(viewer)


def _propagation(viewer, panel) -> None:
    from napari_medseg.phantom import ORGANS, ct_phantom, ct_phantom_organs

    volume, organs = ct_phantom(), ct_phantom_organs()
    settings = {"scale": volume.spacing, "units": (volume.unit,) * 3}
    layer = viewer.add_image(volume.data, name="ct", contrast_limits=(-160, 240), **settings)
    until(lambda: panel.state.image is layer)
    viewer.add_labels(np.zeros(organs.shape, np.uint8), name="ct mask", **settings)
    liver = organs == ORGANS["liver"]
    middle = int(np.median(np.flatnonzero(liver.any(axis=(1, 2)))))
    panel.state.mask.data[middle] = liver[middle]
    panel.state.mask.refresh()
    viewer.dims.set_current_step(0, middle)
    viewer.reset_view()
    settle(1)
    panel.state.propagate_most = 3
    panel.controller.propagating.start((1,))
    until(lambda: not panel.state.propagating)
    shoot(viewer, "propagate")


def _middle(mask: np.ndarray) -> tuple[float, float]:
    """The pixel of an object that is farthest from its border."""
    from scipy.ndimage import distance_transform_edt

    row, column = np.unravel_index(distance_transform_edt(mask).argmax(), mask.shape)
    return float(row), float(column)


def _loop_around(mask: np.ndarray) -> list[tuple[float, float]]:
    """Most of a loop some pixels outside an object."""
    rows, columns = np.nonzero(mask)
    angles = np.radians(np.arange(0, 300, 15))
    high, wide = np.ptp(rows) / 2 + 8, np.ptp(columns) / 2 + 8
    loop = np.stack([rows.mean() - high * np.cos(angles), columns.mean() + wide * np.sin(angles)], axis=1)
    return [(float(row), float(column)) for row, column in loop]


if __name__ == "__main__":
    in_own_window(take)
