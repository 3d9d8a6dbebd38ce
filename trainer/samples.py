"""The random crops of planes that make up a batch.

What a batch holds depends on the cases, the seed and the number of the step alone, so a training that was killed goes
on from its last checkpoint with the very batches it would have seen. Its result is the same to the bit if it ends by
steps; if it ends by time, how many steps it does is up to the machine.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .augmentation import augmentation_of
from .planes import IGNORED, Plane
from .stored_planes import StoredPlanes


class KeptPlanes:
    """The planes of each case, of which those used last are kept; their number may differ by a thousand.

    Args:
        planes: reads the planes of a case.
        limit: bytes to keep at most; a case that is larger by itself is kept alone, since it is drawn from again soon.
    """

    def __init__(self, planes: Callable[[int], Sequence[Plane]], limit: int = 2 * 2**30) -> None:
        self._planes, self._limit = planes, limit
        self._kept: OrderedDict[int, Sequence[Plane]] = OrderedDict()  # the one used last is the last
        self.nbytes = 0

    def __call__(self, case: int) -> Sequence[Plane]:
        """The planes of a case."""
        if case not in self._kept:
            if self.nbytes > self._limit:  # beside one that is too large there is no room to read another
                self._forget()
            planes = self._planes(case)
            self._kept[case] = planes
            self.nbytes += _size(planes)
            while self.nbytes > self._limit and len(self._kept) > 1:
                self._forget()
        self._kept.move_to_end(case)
        return self._kept[case]

    def _forget(self) -> None:
        self.nbytes -= _size(self._kept.popitem(last=False)[1])


def _size(planes: Sequence[Plane]) -> int:
    return sum(plane.nbytes for plane in planes)


class Batches:
    """Batches of random, augmented crops.

    Args:
        planes: gives the planes of one case; called with 0 to `cases` - 1.
        cases: number of cases; each is drawn as often as any other, however many planes it has.
        crop: side of a crop in pixels.
        batch: crops in a batch, of all devices together.
        seed: of the draws.
        augmentation: one of `config.CHOICES["augmentation"]`.
        empty: share of the crops of a volume, whose planes are stored, that are of planes without an object; None: all
            planes are drawn alike.
        rank: number of this device.
        ranks: number of devices; each draws its own share of a batch.
    """

    def __init__(
        self,
        planes: Callable[[int], Sequence[Plane]],
        cases: int,
        *,
        crop: int,
        batch: int,
        seed: int,
        augmentation: str = "full",
        empty: float | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.planes, self.cases = planes, cases
        self.crop, self.batch, self.seed = crop, math.ceil(batch / ranks), seed
        self.empty = empty
        self.entropy = () if ranks == 1 else (rank,)
        self.augment = augmentation_of(augmentation, crop)

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, C, crop, crop) float32 and labels (B, 1, crop, crop) uint8 of a step."""
        draw = np.random.default_rng((self.seed, step, *self.entropy))
        self.augment.set_random_state(seed=int(draw.integers(2**31)))
        crops = [self._crop(draw) for _ in range(self.batch)]
        images, labels = (torch.stack([crop[part] for crop in crops]) for part in ("image", "target"))
        return images, labels.to(torch.uint8)  # turned by MONAI, labels are real numbers, though whole ones

    def _crop(self, draw: np.random.Generator) -> dict[str, torch.Tensor]:
        planes = self.planes(int(draw.integers(self.cases)))
        if isinstance(planes, StoredPlanes):
            plane = planes[planes.drawn(draw, self.empty)]
        else:
            plane = planes[int(draw.integers(len(planes)))]
        corner = _corner(draw, plane.target[0], self.crop)
        cut = {"image": _cut(plane.image, corner, self.crop), "target": _cut(plane.target, corner, self.crop)}
        augmented: dict[str, Any] = self.augment(cut)  # type: ignore[assignment]
        return {key: torch.as_tensor(np.ascontiguousarray(value)) for key, value in augmented.items()}


def _corner(draw: np.random.Generator, target: npt.NDArray[np.uint8], crop: int) -> tuple[int, int]:
    """First row and column of a crop; every other crop is centred on a pixel of the foreground, if there is any."""
    row, column = (int(draw.integers(side)) for side in target.shape)
    foreground = np.flatnonzero((target != 0) & (target != IGNORED))
    if foreground.size and draw.random() < 0.5:
        row, column = divmod(int(foreground[draw.integers(foreground.size)]), target.shape[1])
    rows, columns = (max(0, side - crop) for side in target.shape)
    return int(np.clip(row - crop // 2, 0, rows)), int(np.clip(column - crop // 2, 0, columns))


def _cut(plane: npt.NDArray[Any], corner: tuple[int, int], crop: int) -> npt.NDArray[Any]:
    """A crop x crop piece; what a small plane lacks is mirrored, as in prediction."""
    row, column = corner
    piece = plane[:, row : row + crop, column : column + crop]
    missing = [crop - side for side in piece.shape[1:]]
    return np.pad(piece, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric") if any(missing) else piece
