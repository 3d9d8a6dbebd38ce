"""Takes the pictures of `mask-tools.md` that show each tool's work: before and after, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from screenshots import click, in_own_window, place, settle, unfold_only, until

CROP = 110
"""Pixels of the sample along a side of what is shown."""

LABELS = 3, 2
"""Of a nucleus, and of its neighbour; napari's colours for them are bright."""

SIDE = 420
"""Pixels of each picture's side."""


def take(viewer, panel, folder: Path) -> None:
    unfold_only(panel, "Mask tools")
    from napari_medseg.samples import samples

    sample = samples("fluorescence")[0]
    truth = sample.mask()
    one, other, middle = _neighbours(truth)
    viewer.add_image(sample.image().data, name=sample.title)
    viewer.add_labels(np.zeros(truth.shape, np.uint16), name="nuclei")
    mask, tools = panel.state.mask, panel.controller.tools
    tools.label_only = False
    nucleus, rows, columns = truth == one, *np.nonzero(truth == one)
    inside = (int(rows.mean()), int(columns.mean()))
    flawed = {
        "smooth": _ragged(nucleus),
        "fill_holes": nucleus & ~_disc(truth.shape, inside, 6),
        "remove_small": nucleus | _specks(truth),
        "keep_largest": nucleus | _disc(truth.shape, (inside[0] - 38, inside[1] + 8), 7),
        "shrink": nucleus,
        "merge": nucleus,
    }
    tools.values["smooth"]["distance"], tools.values["shrink"]["distance"] = 4.0, 5.0
    for name, shape in flawed.items():
        mask.data = np.where(shape, LABELS[0], 0).astype(np.uint16)
        viewer.camera.center, viewer.camera.zoom = inside, SIDE / CROP
        if name == "merge":
            mask.data = np.where(truth == other, LABELS[1], mask.data).astype(np.uint16)
            viewer.camera.center = middle
        panel.state.notice = ""
        before = _seen(viewer)
        tools.use(name)
        if name == "merge":
            for label in (one, other):
                click(viewer, tuple(np.argwhere(truth == label).mean(axis=0)))
        until(lambda: panel.state.notice)
        _beside(before, _seen(viewer)).save(place(f"mask-tools-{name.replace('_', '-')}"))
        tools.put_down()


def _neighbours(truth: np.ndarray) -> tuple[int, int, tuple[float, float]]:
    """Two nuclei that touch, and the place between them."""
    beside = (truth[:, :-1] != truth[:, 1:]) & (truth[:, :-1] > 0) & (truth[:, 1:] > 0)
    pairs, counts = np.unique(np.stack([truth[:, :-1][beside], truth[:, 1:][beside]]), axis=1, return_counts=True)
    one, other = (int(label) for label in pairs[:, counts.argmax()])
    return one, other, tuple(np.mean([np.argwhere(truth == label).mean(axis=0) for label in (one, other)], axis=0))


def _ragged(shape: np.ndarray) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape.shape), 1.3)
    away = ndimage.distance_transform_edt(shape) - ndimage.distance_transform_edt(~shape)
    return away + 14 * noise > 0


def _specks(truth: np.ndarray) -> np.ndarray:
    spots = np.random.default_rng(1).random(truth.shape) > 0.996
    return ndimage.binary_dilation(spots) & (truth == 0)


def _disc(shape: tuple[int, ...], middle: tuple[int, int], radius: float) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < radius**2


def _seen(viewer) -> np.ndarray:
    """The middle of the canvas."""
    settle(1)
    seen = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    top, left = (seen.shape[0] - SIDE) // 2, (seen.shape[1] - SIDE) // 2
    return seen[top : top + SIDE, left : left + SIDE]


def _beside(before: np.ndarray, after: np.ndarray) -> Image.Image:
    gap = np.full((SIDE, 8, 3), 255, np.uint8)
    return Image.fromarray(np.concatenate([before, gap, after], axis=1))


if __name__ == "__main__":
    in_own_window(take)
