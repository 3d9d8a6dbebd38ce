"""Takes the screenshots of `prompts.md` and `checking.md` in the real window, with real clicks.

Everything runs in folders of its own, so no project of yours is touched.
"""

from __future__ import annotations

import os
import tempfile

import numpy as np
from screenshots import _settle, _shoot, _until
from screenshots_mask_tools import _click, _drag, _fold


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="medseg") as folder:
        os.environ |= {"MEDSEG_RUNTIME": f"{folder}/run", "MEDSEG_PROJECT": f"{folder}/project", "MEDSEG_IDLE": "5"}
        _take()


def _take() -> None:
    from napari_medseg.window import make_window

    viewer, panel = make_window()
    viewer.window.resize(1480, 1000)
    panel.setMinimumWidth(390)
    _until(lambda: panel.state.engine_ready)
    _fold(panel, "Prompts", "Correct")
    _prompts(viewer, panel)
    _fold(panel, "Segment", "Look here", "Correct")
    _doubtful_places(viewer, panel)
    _fold(panel, "Prompts", "Propagate", "Correct")
    _propagation(viewer, panel)
    panel.let_go(lose=True)
    viewer.close()


def _prompts(viewer, panel) -> None:
    """A picture for most tools; the head in ultrasound is of a kind that the network knows, the nuclei are, too."""
    from napari_medseg.samples import samples

    sample = samples("fluorescence")[0]
    layer = viewer.add_image(sample.image().data, name=sample.title)
    _until(lambda: panel.state.image is layer)
    prompting, mask = panel.controller.prompting, sample.mask()
    prompting.take_up("click")
    for label in np.argsort(np.bincount(mask.ravel())[1:])[-3:] + 1:
        _click(viewer, _middle(mask == label))
        _until(lambda: prompting.idle)
        prompting.next_object()
    _until(lambda: prompting.idle)
    _shoot(viewer, "prompts")
    prompting.put_down()

    viewer.layers.clear()
    _settle(1)
    sample = samples("ultrasound")[0]
    layer = viewer.add_image(sample.image().data, name=sample.title)
    _until(lambda: panel.state.image is layer)
    rows, columns = np.nonzero(sample.mask())
    low, high = (rows.min() - 4, columns.min() - 4), (rows.max() + 4, columns.max() + 4)
    prompting.take_up("box")
    _drag(viewer, [low, _middle(sample.mask() > 0), high])
    _until(lambda: prompting.idle)
    _shoot(viewer, "prompts-box")
    prompting.take_up("scribble")
    _drag(
        viewer, [(low[0] + 20, columns.mean() - 40), (low[0] + 12, columns.mean()), (low[0] + 20, columns.mean() + 40)]
    )
    _until(lambda: prompting.idle)
    _shoot(viewer, "prompts-scribble")
    prompting.put_down()
    viewer.layers.clear()
    _settle(1)


def _doubtful_places(viewer, panel) -> None:
    from napari_medseg.samples import samples

    sample = samples("fluorescence")[0]
    layer = viewer.add_image(sample.image().data, name=sample.title)
    _until(lambda: panel.state.image is layer)
    panel.controller.segmenting.start()
    _until(lambda: panel.state.segmenting is None and panel.state.mask is not None)
    _settle(2)
    panel.controller.looking.next()
    _settle(2)
    _shoot(viewer, "look-here")
    viewer.layers.clear()
    _settle(1)


def _propagation(viewer, panel) -> None:
    from napari_medseg.phantom import ORGANS, ct_phantom, ct_phantom_organs

    volume, organs = ct_phantom(), ct_phantom_organs()
    settings = {"scale": volume.spacing, "units": (volume.unit,) * 3}
    layer = viewer.add_image(volume.data, name="ct", contrast_limits=(-160, 240), **settings)
    _until(lambda: panel.state.image is layer)
    viewer.add_labels(np.zeros(organs.shape, np.uint8), name="ct mask", **settings)
    liver = organs == ORGANS["liver"]
    middle = int(np.median(np.flatnonzero(liver.any(axis=(1, 2)))))
    panel.state.mask.data[middle] = liver[middle]
    panel.state.mask.refresh()
    viewer.dims.set_current_step(0, middle)
    viewer.reset_view()
    _settle(1)
    panel.state.propagate_most = 3
    panel.controller.propagating.start((1,))
    _until(lambda: not panel.state.propagating)
    _shoot(viewer, "propagate")


def _middle(mask: np.ndarray) -> tuple[float, float]:
    """The pixel of an object that is farthest from its border."""
    from scipy.ndimage import distance_transform_edt

    row, column = np.unravel_index(distance_transform_edt(mask).argmax(), mask.shape)
    return float(row), float(column)


if __name__ == "__main__":
    main()
