"""Takes the screenshots of `mask-tools.md` in the real window, with real clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from screenshots import accept, clear, click, drag, in_own_window, settle, shoot, unfold_only, until


def take(viewer, panel, folder: Path) -> None:
    unfold_only(panel, "Correct", "Mask tools")
    _split(viewer, panel)
    accept(panel)
    clear(viewer)
    _volume(viewer, panel)


def _split(viewer, panel) -> None:
    from napari_medseg.samples import samples

    sample = samples("fluorescence")[0]
    viewer.add_image(sample.image().data, name=sample.title)
    viewer.add_labels(_joined(sample.mask()), name="nuclei")
    panel.state.notice = ""
    panel.controller.tools.use("split")
    (first, second), middle = _two_touching(sample.mask())
    viewer.camera.center, viewer.camera.zoom = middle, 5
    settle(2)
    click(viewer, first)
    shoot(viewer, "mask-tools-split-asks")
    click(viewer, second)
    until(lambda: "Split" in panel.state.notice)
    shoot(viewer, "mask-tools-split")
    panel.controller.tools.put_down()


def _volume(viewer, panel) -> None:
    """The liver of the CT phantom, drawn in three slices."""
    from napari_medseg.phantom import ORGANS, ct_phantom, ct_phantom_organs

    volume, liver, tools = ct_phantom(), ct_phantom_organs() == ORGANS["liver"], panel.controller.tools
    settings = {"scale": volume.spacing, "units": (volume.unit,) * 3}
    viewer.add_image(volume.data, name="ct", contrast_limits=(-160, 240), **settings)
    viewer.add_labels(np.zeros(liver.shape, np.uint8), name="ct mask", **settings)
    mask, slices = panel.state.mask, np.flatnonzero(liver.any(axis=(1, 2)))
    for number in (slices[1], slices[len(slices) // 2], slices[-2]):
        mask.data[number] = liver[number]
    mask.refresh()
    viewer.dims.set_current_step(0, int(slices[1]))
    viewer.reset_view()
    tools.use("copy_next")
    until(lambda: "Copied" in panel.state.notice)
    shoot(viewer, "mask-tools-copy")
    panel.controller.editing.undo()
    viewer.dims.set_current_step(0, int(slices[len(slices) // 3]))
    tools.use("interpolate")
    until(lambda: "Filled" in panel.state.notice)
    shoot(viewer, "mask-tools-between-slices")
    tools.values["grow"]["distance"], tools.values["grow"]["unit"] = 3.0, volume.unit
    tools.use("grow")
    until(lambda: "Grew" in panel.state.notice)
    shoot(viewer, "mask-tools-grow")
    tools.use("paint_range")
    low, high = panel.sections["Mask tools"].form[0]
    low.value, high.value = 75, 240
    mask.mode, mask.brush_size = "paint", 30
    panel.state.notice = ""
    drag(viewer, [(50 * volume.spacing[1], column * volume.spacing[2]) for column in (20, 30, 40, 55)])
    shoot(viewer, "mask-tools-brightness")


def _two_touching(mask: np.ndarray) -> tuple[tuple[tuple[int, int], tuple[int, int]], tuple[float, float]]:
    """The middles of two nuclei that touch, and the place between them."""
    one, other = _pair(mask)
    middles = [tuple(np.argwhere(mask == label).mean(axis=0)) for label in (one, other)]
    return tuple(middles), tuple(np.mean(middles, axis=0))


def _joined(mask: np.ndarray) -> np.ndarray:
    """The same mask with two nuclei as one."""
    one, other = _pair(mask)
    return np.where(mask == other, one, mask)


def _pair(mask: np.ndarray) -> tuple[int, int]:
    beside = (mask[:, :-1] != mask[:, 1:]) & (mask[:, :-1] > 0) & (mask[:, 1:] > 0)
    pairs, counts = np.unique(np.stack([mask[:, :-1][beside], mask[:, 1:][beside]]), axis=1, return_counts=True)
    one, other = pairs[:, counts.argmax()]
    return int(one), int(other)


if __name__ == "__main__":
    in_own_window(take)
