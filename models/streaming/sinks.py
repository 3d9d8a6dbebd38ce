"""Where the answer goes: into arrays in memory, or into a store on disk."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from .blending import Block


class Sink(Protocol):
    """Takes the answer for an image, plane by plane."""

    def begin(self, tile: int) -> tuple[int, int]:
        """The (plane, row) that is wanted first, when tiles have that side; what came before may come again."""

    def put(self, block: Block) -> None:
        """Take a part of the answer: from left to right, then from top to bottom, see `Blender`."""


class ArraySink:
    """Into memory.

    Args:
        shape: of the mask, (..., Y, X).
        probabilities: whether these are kept, too.

    Attributes:
        labels: (..., Y, X) uint8.
        confidence: (..., Y, X) uint8.
        probabilities: (classes, ..., Y, X) float16, if wanted.
    """

    def __init__(self, shape: tuple[int, ...], *, probabilities: bool) -> None:
        self.labels = np.zeros(shape, np.uint8)
        self.confidence = np.zeros(shape, np.uint8)
        self.probabilities: npt.NDArray[np.float16] | None = None
        self._keep, self._shape = probabilities, shape

    def begin(self, tile: int) -> tuple[int, int]:
        """From the beginning."""
        return 0, 0

    def put(self, block: Block) -> None:
        """Take a part of the answer."""
        place = np.unravel_index(block.plane, self._shape[:-2])
        here: tuple[Any, ...] = (*place, slice(block.top, block.bottom), slice(block.left, block.right))
        self.labels[here], self.confidence[here] = labels_of(block)
        if self._keep:
            if self.probabilities is None:
                self.probabilities = np.zeros((block.probability.shape[0], *self._shape), np.float16)
            self.probabilities[(slice(None), *here)] = block.probability.half().cpu().numpy()


def labels_of(block: Block) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Labels and confidence of a block, (rows, columns) uint8: 255 times the probability of the winning class."""
    probability = block.probability
    if probability.shape[0] == 1:
        foreground = probability[0]
        labels = foreground > 0.5
        winner = torch.where(labels, foreground, 1 - foreground)
    else:
        winner, labels = probability.max(0)
    confidence = winner.mul(255).round_().to(torch.uint8)
    return labels.to(torch.uint8).cpu().numpy(), confidence.cpu().numpy()
