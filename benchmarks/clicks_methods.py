"""Ways to turn clicks into a mask: ours, and two that need no training, OpenCV's GrabCut and skimage's random walker.

The rivals' settings are those that did best on a few training images of the packs that we measured with; both keep only
the pieces that were clicked, which an object is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from clicks_protocol import Mask, Method
from skimage.measure import label
from skimage.segmentation import random_walker
from skimage.transform import resize

from napari_medseg.models.image import MedicalImage
from napari_medseg.models.prompts import Prompts
from napari_medseg.models.prompts.prompts import Sizes

METHODS = ("medseg", "grabcut", "random-walker")


def method(name: str, *, weights: Path | None = None, device: str = "auto", threads: int = 1) -> Method:
    """One of `METHODS`; `weights`, `device` and `threads` are for ours, the others use one thread."""
    makers = {"medseg": lambda: MedSeg(weights, device, threads), "grabcut": GrabCut, "random-walker": RandomWalker}
    return makers[name]()


class MedSeg:
    """The prompt network of this package.

    Args:
        weights: a file; None for those that come with the package.
        device: "auto", "cpu", "cuda".
        threads: of the processor.

    Attributes:
        sizes: of objects of the same kind that are done, the smallest and the largest; None if that is not told.
    """

    sizes: Sizes | None = None

    def __init__(self, weights: Path | None, device: str, threads: int) -> None:
        import torch

        from napari_medseg.models.prompts import PromptSegmenter
        from napari_medseg.models.prompts.shipped import SHIPPED

        torch.set_num_threads(threads)
        self._segmenter = PromptSegmenter.load(weights, device=device, threads=threads)
        self.settings = f"weights {hashlib.sha256((weights or SHIPPED).read_bytes()).hexdigest()[:12]}"

    def start(self, image: MedicalImage) -> None:
        self._segmenter.start(image)

    def answer(self, clicks: Prompts) -> Mask:
        return self._segmenter.update(clicks.expecting(self.sizes))


class GrabCut:
    """GrabCut (Rother et al., 2004) with sure discs around the clicks and probable background elsewhere.

    Args:
        radius: of a disc, as a share of the longer side of the image.
        probable: radius of the disc around each adding click that is probably the object, likewise.
        rounds: of its two steps, a click.
        side: pixels that a longer side is brought down to before, so that an answer takes less than a second.
    """

    def __init__(self, radius: float = 0.015, probable: float = 0.06, rounds: int = 5, side: int = 256) -> None:
        self.radius, self.probable, self.rounds, self.side = radius, probable, rounds, side
        self.settings = f"radius {radius}, probable {probable}, rounds {rounds}, side {side}"

    def start(self, image: MedicalImage) -> None:
        self._view = Reduced.of(image, self.side)

    def answer(self, clicks: Prompts) -> Mask:
        import cv2

        cv2.setNumThreads(1)
        cv2.setRNGSeed(0)
        marks = np.full(self._view.pixels.shape[:2], cv2.GC_PR_BGD, np.uint8)
        marks[self._view.discs(clicks, self.probable, positive=True)] = cv2.GC_PR_FGD
        marks[self._view.discs(clicks, self.radius, positive=True)] = cv2.GC_FGD
        marks[self._view.discs(clicks, self.radius, positive=False)] = cv2.GC_BGD
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(self._view.pixels, marks, None, *models, self.rounds, cv2.GC_INIT_WITH_MASK)
        return clicked_pieces(self._view.enlarged((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)), clicks)


class RandomWalker:
    """The random walker (Grady, 2006) from discs around the clicks; the frame is background unless it is clicked.

    Args:
        radius: of a disc, as a share of the longer side of the image.
        beta: how much an edge holds the walker up.
        side: pixels that a longer side is brought down to before, so that an answer takes less than a second.
    """

    def __init__(self, radius: float = 0.01, beta: float = 130, side: int = 256) -> None:
        self.radius, self.beta, self.side = radius, beta, side
        self.settings = f"radius {radius}, beta {beta}, side {side}"

    def start(self, image: MedicalImage) -> None:
        self._view = Reduced.of(image, self.side)

    def answer(self, clicks: Prompts) -> Mask:
        seeds = np.zeros(self._view.pixels.shape[:2], np.uint8)
        seeds[[0, -1]] = seeds[:, [0, -1]] = 2
        for value, positive in ((1, True), (2, False)):
            seeds[self._view.discs(clicks, self.radius, positive=positive)] = value
        chance = random_walker(
            self._view.pixels / 255.0,
            seeds,
            beta=self.beta,
            mode="cg_j",
            tol=1e-3,
            channel_axis=-1,
            return_full_prob=True,
        )
        return clicked_pieces(self._view.enlarged(chance[0]), clicks)


@dataclass(frozen=True)
class Reduced:
    """An image as the rivals see it.

    Attributes:
        pixels: uint8 (y, x, 3), the lowest and highest half per cent of values cut off.
        shape: of the image itself (Y, X).
    """

    pixels: npt.NDArray[np.uint8]
    shape: tuple[int, int]

    @classmethod
    def of(cls, image: MedicalImage, side: int) -> Reduced:
        """With a longer side of `side` pixels, unless the image is smaller."""
        low, high = np.percentile(image.data, (0.5, 99.5))
        scaled = np.clip((image.data.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
        colours = scaled[..., :3] if image.channels >= 3 else np.dstack([scaled.reshape(image.mask_shape)] * 3)
        height, width = image.mask_shape
        scale = min(1.0, side / max(height, width))
        small = (max(2, round(scale * height)), max(2, round(scale * width)))
        pixels = resize(colours, small, anti_aliasing=scale < 1) if scale < 1 else colours
        return cls(np.ascontiguousarray(255 * np.clip(pixels, 0, 1), np.uint8), (height, width))

    def discs(self, clicks: Prompts, radius: float, *, positive: bool) -> Mask:
        """Pixels no further from a click of one kind than so much of the longer side, and than one pixel."""
        height, width = self.pixels.shape[:2]
        rows, columns = np.ogrid[:height, :width]
        reach = max(1.0, radius * max(height, width)) if radius else -1.0
        found = np.zeros((height, width), bool)
        for row, column in (prompt.path[0] for prompt in clicks if prompt.positive == positive):
            down = rows + 0.5 - (row + 0.5) * height / self.shape[0]
            across = columns + 0.5 - (column + 0.5) * width / self.shape[1]
            found |= np.hypot(down, across) <= reach
        return found

    def enlarged(self, chance: npt.NDArray[Any]) -> Mask:
        """Where something (y, x) is above one half, in the image itself."""
        return np.asarray(resize(chance.astype(np.float32), self.shape, order=1) > 0.5)


def clicked_pieces(mask: npt.NDArray[Any], clicks: Prompts) -> Mask:
    """The pieces of a mask that an adding click lies in."""
    pieces = label(mask)
    places = [prompt.path[0] for prompt in clicks if prompt.positive]
    clicked = {int(pieces[round(row), round(column)]) for row, column in places} - {0}
    return np.isin(pieces, list(clicked))
