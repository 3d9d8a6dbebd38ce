"""The standard protocol of interactive segmentation: each click where the error is largest, and what came of it.

The first click lies in the middle of the object, each next one in the middle of the largest region of error: where the
distance to its border is largest, over what is missing and what is too much (Xu et al., CVPR 2016; Sofiiuk et al.,
arXiv:2102.06583). A click never falls on a pixel that was clicked before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from napari_medseg.models.image import MedicalImage
from napari_medseg.models.prompts import Prompts

Mask = npt.NDArray[np.bool_]
"""(Y, X), true in the object."""

THRESHOLDS = (0.80, 0.85, 0.90)
"""IoU that clicks are counted to."""

AFTER = (1, 3, 5)
"""Numbers of clicks after which the IoU is reported."""

MOST = 20
"""Clicks an object; one that needs more counts as so many."""


class Method(Protocol):
    """What turns clicks into a mask.

    Attributes:
        settings: in words; what was found with others is found again.
    """

    settings: str

    def start(self, image: MedicalImage) -> None:
        """Turn to another object, in an image of one plane."""

    def answer(self, clicks: Prompts) -> Mask:
        """The object after these clicks, the newest of which is new."""


@dataclass
class Game:
    """What happened to one object.

    Attributes:
        clicks: row, column, and whether it adds.
        iou: after each click.
        ms: wall-clock time of each answer.
        cpu_ms: processor time of each answer, over all threads; other work on the machine does not count in it.
        start_ms: processor time before the first click.
    """

    clicks: list[tuple[int, int, bool]] = field(default_factory=list)
    iou: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    start_ms: float = 0.0


def play(method: Method, image: MedicalImage, truth: Mask) -> Game:
    """Click until the highest of `THRESHOLDS` and the last of `AFTER` are reached, or `MOST` times."""
    game, prompts = Game(), Prompts()
    mask = np.zeros_like(truth)
    _, _, game.start_ms = timed(lambda: method.start(image))
    while len(game.clicks) < MOST and not (len(game.clicks) >= AFTER[-1] and game.iou[-1] >= THRESHOLDS[-1]):
        click = next_click(mask, truth, [place[:2] for place in game.clicks])
        if click is None:  # without an error there is nothing left to click
            break
        prompts = prompts.click((float(click[0]), float(click[1])), positive=click[2])
        mask, wall, processor = timed(lambda clicks=prompts: method.answer(clicks))
        game.clicks.append(click)
        game.iou.append(iou(mask, truth))
        game.ms.append(wall)
        game.cpu_ms.append(processor)
    return game


def next_click(mask: Mask, truth: Mask, before: list[tuple[int, int]]) -> tuple[int, int, bool] | None:
    """Row and column of the next click, and whether it adds; None if nothing is wrong.

    Args:
        mask: as it is.
        truth: as it should be.
        before: places that were clicked.
    """
    missing, excess = depth(truth & ~mask), depth(mask & ~truth)
    for row, column in before:
        missing[row, column] = excess[row, column] = 0
    adds = bool(missing.max() >= excess.max())
    deepest = missing if adds else excess
    row, column = np.unravel_index(int(deepest.argmax()), deepest.shape)
    return (int(row), int(column), adds) if deepest[row, column] > 0 else None


def depth(region: Mask) -> npt.NDArray[np.float64]:
    """Distance of each pixel of a region from what is outside, in pixels; beyond the frame is outside."""
    return np.asarray(distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1])


def iou(mask: Mask, truth: Mask) -> float:
    """What both have over what either has."""
    return float((mask & truth).sum() / max(1, (mask | truth).sum()))


def dice(mask: Mask, truth: Mask) -> float:
    """Twice what both have over what the two have together."""
    return float(2 * (mask & truth).sum() / max(1, mask.sum() + truth.sum()))


def clicks_to(ious: list[float], threshold: float) -> int:
    """Number of the first click after which the IoU is at least `threshold`; `MOST` if none is."""
    return next((number for number, value in enumerate(ious, start=1) if value >= threshold), MOST)


def iou_after(ious: list[float], clicks: int) -> float:
    """After so many clicks, or after the last if there are fewer, as nothing was wrong any more."""
    return ious[min(clicks, len(ious)) - 1]


def timed(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """What a call gives, its wall-clock time in ms, and its processor time in ms."""
    wall, processor = time.perf_counter(), time.process_time()
    found = run()
    return found, 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - processor)
