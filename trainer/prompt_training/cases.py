"""What the network learns from: windows of images with one object in them, from folders and from drawn images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage.io import imread
from torch import Tensor

from napari_medseg.models.prompts.window import SIDE

from .history import guess
from .synthesis import synthetic_case

SMALLEST = 24
"""Pixels of an object in an image made coarser."""

COARSE = 0.3
"""Share of cases that come from an image made coarser, up to `COARSEST` times."""

COARSEST = 4.5

GRAIN = 50
"""Standard deviation of the noise of such images at most, of 255."""

LONG = 0.3
"""Share of cases that are shown as after a long correction, of up to `CLICKS` clicks."""

CLICKS = 20

UNSEEN = 0.4
"""Share of those in which the object's border is one that the image does not show."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """An image with its objects.

    Attributes:
        levels: the image as float32 (1, 3, H, W), 0 to 255, at full size and at 1/2, 1/4, ... of it.
        labels: (1, 1, H, W), float32; 0 is background, every other number an object.
        boxes: bounding box of each object, by number.
    """

    levels: tuple[Tensor, ...]
    labels: Tensor
    boxes: dict[int, tuple[slice, slice]]

    @classmethod
    def of(cls, image: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Labelled:
        """From an image (H, W) or (H, W, 3), 0 to 255, and an integer label image (H, W)."""
        pixels = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image[..., :3]
        full = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
        return cls(_halves(full), torch.from_numpy(labels.astype(np.float32))[None, None], _boxes(labels))

    def coarser(self, factor: float, rng: np.random.Generator) -> Labelled:
        """The same in pixels so much larger, half of the time with noise of their size; tiny objects do not count."""
        size = [max(1, round(length / factor)) for length in self.labels.shape[2:]]
        labels = F.interpolate(self.labels, size, mode="nearest-exact")
        boxes = {
            number: box
            for number, box in _boxes(labels[0, 0].numpy()).items()
            if (labels[0, 0, *box] == number).sum() >= SMALLEST
        }
        pixels = F.adaptive_avg_pool2d(self.levels[0], size)
        if rng.random() < 0.5:
            pixels = pixels + torch.from_numpy(rng.standard_normal(size, np.float32)) * float(rng.uniform(0, GRAIN))
        return Labelled(_halves(pixels.clamp(0, 255)), labels, boxes)


@dataclass(frozen=True, eq=False)
class Case:
    """A window with one object, somewhere between far too narrow and far too wide.

    Attributes:
        image: (3, S, S), 0 to 255.
        inside: (1, S, S), 1 where the image is, 0 beyond its border.
        truth: (S, S), the object.
        others: (S, S), all other objects.
        cells: how many cells the whole object would have, were all of it in the window.
        clicks: that were given already, after the first one; 0 if the correction only begins.
    """

    image: Tensor
    inside: Tensor
    truth: npt.NDArray[np.bool_]
    others: npt.NDArray[np.bool_]
    cells: float
    clicks: int = 0


class Cases:
    """An endless supply.

    Args:
        folders: of images/, masks/ and splits.json; their "train" is used.
        drawn: synthetic images in the pool, which is slowly renewed.
        share: of cases that come from drawn images.
        seed: of everything random.
    """

    def __init__(self, folders: Sequence[Path], drawn: int, share: float, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._share = share if folders else 1.0
        self._packs = [read_pack(folder) for folder in folders]
        self._pool = [self._draw() for _ in range(drawn)]

    def next(self) -> Case:
        """The next one; at least a few cells of its object are in the window."""
        while True:
            if self.rng.random() < self._share:
                if self.rng.random() < 0.1:
                    self._pool[self.rng.integers(len(self._pool))] = self._draw()
                source = self._pool[self.rng.integers(len(self._pool))]
            else:
                pack = self._packs[self.rng.integers(len(self._packs))]
                source = pack[self.rng.integers(len(pack))]
            if self.rng.random() < COARSE and (coarse := self._coarser(source)).boxes:
                source = coarse
            long = self.rng.random() < LONG
            case = cut(source, self.rng, near=long)
            if long:
                case = begun(case, self.rng)
            if case.truth.sum() >= 12:
                return case

    def _coarser(self, source: Labelled) -> Labelled:
        return source.coarser(self.rng.uniform(1.5, COARSEST), self.rng)

    def _draw(self) -> Labelled:
        return Labelled.of(*synthetic_case(self.rng))


def read_pack(folder: Path) -> list[Labelled]:
    """The training images of a folder; those without an object are left out."""
    stems = json.loads((folder / "splits.json").read_text("utf-8"))["train"]
    read = [Labelled.of(*(imread(folder / part / f"{stem}.png") for part in ("images", "masks"))) for stem in stems]
    return [labelled for labelled in read if labelled.boxes]


def begun(case: Case, rng: np.random.Generator) -> Case:
    """A case some clicks later; at times of an object whose border the image does not show."""
    clicks = int(rng.integers(2, CLICKS + 1))
    if rng.random() >= UNSEEN:
        return replace(case, clicks=clicks)
    truth = guess(case.truth, case.others, rng) & (case.inside[0].numpy() > 0)
    cells = case.cells * float(truth.sum()) / max(float(case.truth.sum()), 1)  # what is not in the window grows alike
    return replace(case, truth=truth, others=case.others & ~truth, cells=cells, clicks=clicks)


def cut(source: Labelled, rng: np.random.Generator, side: int = SIDE, *, near: bool = False) -> Case:
    """A window around a random object: turned, mirrored, 0.6 to 8 times as large as the object, and off its middle.

    With `near` it is 1.2 to 2.4 times as large, as it is around an object that is known.
    """
    numbers = list(source.boxes)
    number = numbers[rng.integers(len(numbers))]
    rows, columns = source.boxes[number]
    extent = max(rows.stop - rows.start, columns.stop - columns.start)
    ratio = np.exp(rng.uniform(np.log(0.6), np.log(1.1)) if rng.random() < 0.1 else rng.uniform(*np.log((1.1, 8))))
    ratio = rng.uniform(1.2, 2.4) if near else ratio
    window = float(np.clip(extent * ratio, 24, 1.1 * max(source.labels.shape)))
    off = (0.3 if near else 1) * max(window - extent, 0.3 * extent) * rng.uniform(-0.45, 0.45, 2)
    middle = np.array([(rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2]) + off

    level = min(max(int(np.log2(window / side)), 0), len(source.levels) - 1)
    grid = _grid(middle, window, source.labels.shape[2:], rng, side)
    image = F.grid_sample(source.levels[level], grid, align_corners=False)[0]
    labels = F.grid_sample(source.labels, grid, mode="nearest", align_corners=False)[0, 0].numpy()
    truth = F.grid_sample((source.labels == number).float(), grid, align_corners=False)[0, 0].numpy() > 0.5
    inside = (grid.abs() <= 1).all(-1).float()
    whole = float((source.labels[0, 0, rows, columns] == number).sum()) * (side / window) ** 2
    return Case(
        varied(image, rng) * inside,
        inside,
        truth,
        (labels > 0) & (labels != number) & ~truth,
        max(whole, float(truth.sum())),
    )


def _halves(full: Tensor) -> tuple[Tensor, ...]:
    """An image (1, 3, H, W) and its halves, down to about the size of a window."""
    levels = [full]
    while min(levels[-1].shape[2:]) >= 2 * SIDE:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return tuple(levels)


def _boxes(labels: npt.NDArray[Any]) -> dict[int, tuple[slice, slice]]:
    """Bounding box of each object of a label image, by number."""
    found = ndimage.find_objects(labels.astype(np.int32))
    return {number: box for number, box in enumerate(found, 1) if box is not None}


def _grid(
    middle: npt.NDArray[np.float64], window: float, shape: Sequence[int], rng: np.random.Generator, side: int
) -> Tensor:
    """Where each cell of a turned, slightly squeezed window lies, as `grid_sample` wants it: (1, S, S, 2), x first."""
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.integers(4) * np.pi / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([rng.uniform(0.85, 1.15), rng.choice([-1, 1])])
    steps = (np.arange(side) + 0.5) / side - 0.5
    cells = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1) @ turn.T * window + middle  # (S, S, 2), rows first
    normal = 2 * cells / np.array(shape) - 1
    return torch.from_numpy(normal[..., ::-1].astype(np.float32).copy())[None]


def varied(image: Tensor, rng: np.random.Generator) -> Tensor:
    """An image (3, S, S) with other brightness, contrast, colours, sharpness and noise; 0 to 255 before and after."""
    x = image / 255
    if rng.random() < 0.2:
        x = x.mean(0, keepdim=True).expand(3, -1, -1)
    if rng.random() < 0.25:
        x = 1 - x
    if rng.random() < 0.5:
        x = x.clamp_min(1e-4) ** float(np.exp(rng.uniform(-0.7, 0.7)))
    if rng.random() < 0.4:
        scale, shift = rng.uniform(0.6, 1.4, (3, 1, 1)), rng.uniform(-0.15, 0.15, (3, 1, 1))
        x = x * torch.from_numpy(scale).float() + torch.from_numpy(shift).float()
    if rng.random() < 0.15:
        x = F.avg_pool2d(x[None], 3, 1, 1, count_include_pad=False)[0]
    if rng.random() < 0.3:
        noise = rng.standard_normal(x.shape[1:], np.float32) * np.float32(rng.uniform(0.01, 0.08))
        x = x + torch.from_numpy(noise)
    return (x * 255).clamp(0, 255)
