"""The planes of an image as a network reads them, a tile at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..image import MedicalImage, is_lazy
from ..intensity import match_channels, normalise
from ..scaling import Resampling
from .lazy_rows import LazyRows

Array = npt.NDArray[Any]


@dataclass(eq=False)
class Planes:
    """The planes of an image, intensities scaled over the whole of it.

    Attributes:
        data: (..., Y, X, C), NumPy or dask, any type.
        stacks: for each plane, the first and the last plane of the stack that it belongs to.
        limits: (C, 2), intensities that become 0 and 1, or (1, 2) for all channels.
        in_channels: channels that the network reads.
        context: neighbours on each side that the network reads as channels, too; at the ends of a stack the last one
            stands in for those that are missing.
        rows: from the image's rows to those that the network sees.
        columns: the same for columns.
        name: what the user calls the image.
    """

    data: Any
    stacks: Array
    limits: Array
    in_channels: int
    context: int
    rows: Resampling
    columns: Resampling
    name: str = ""

    def __post_init__(self) -> None:
        self._lazy = None
        if is_lazy(self.data):
            self._lazy = LazyRows(self.data.reshape(-1, *self.data.shape[-3:]), 2 * self.context + 1, self.name)

    @classmethod
    def of(
        cls, image: MedicalImage, limits: Array, in_channels: int, context: int, scales: tuple[float, float] = (1, 1)
    ) -> Planes:
        """The planes of an image along its last two axes, seen larger or smaller by `scales` along Y and X."""
        data = image.data if "C" in image.axes else image.data[..., np.newaxis]
        *leading, height, width, _ = data.shape
        a_stack = leading[-1] if "Z" in image.axes else 1
        count = int(np.prod(leading, dtype=int))
        first = np.arange(count) // a_stack * a_stack
        return cls(
            data,
            np.stack([first, first + a_stack - 1], axis=1),
            limits,
            in_channels,
            context,
            Resampling(height, max(1, round(height * scales[0]))),
            Resampling(width, max(1, round(width * scales[1]))),
            image.name,
        )

    def __len__(self) -> int:
        return len(self.stacks)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a plane as the network sees it."""
        return self.rows.new, self.columns.new

    def read(self, plane: int, top: int, left: int, sides: tuple[int, int]) -> npt.NDArray[np.float32]:
        """A tile (in_channels, *sides) whose first pixel is (top, left) as the network sees the plane.

        A plane that is shorter than a tile is mirrored at its end.
        """
        ends = min(top + sides[0], self.rows.new), min(left + sides[1], self.columns.new)
        rows, columns = self.rows.sources(top, ends[0]), self.columns.sources(left, ends[1])
        first, last = self.stacks[plane]
        wanted = [int(np.clip(plane + step, first, last)) for step in range(-self.context, self.context + 1)]
        parts = []
        for number in wanted:
            part = self._normalised(number, rows, columns)
            part = self.columns.apply(self.rows.apply(part, 1, top, ends[0]), 2, left, ends[1])
            parts.append(part if len(part) == self._channels else np.repeat(part, self._channels, 0))
        seen = np.concatenate(parts) if len(parts) > 1 else parts[0]
        missing = [side - seen.shape[axis] for axis, side in enumerate(sides, start=1)]
        return np.pad(seen, ((0, 0), *((0, n) for n in missing)), mode="symmetric") if any(missing) else seen

    def _normalised(self, plane: int, rows: tuple[int, int], columns: tuple[int, int]) -> npt.NDArray[np.float32]:
        """(C, h, w) of pixels of the image itself; one channel where all would be the same."""
        if self._lazy is None:
            index = np.unravel_index(plane, self.data.shape[:-3])
            pixels = self.data[(*index, slice(*rows), slice(*columns))]
        else:
            pixels = self._lazy.read(plane, *rows)[:, slice(*columns)]
        if pixels.shape[-1] > 1:
            pixels = match_channels(pixels, self._channels)
        return normalise(pixels, self.limits[: pixels.shape[-1]])

    @property
    def _channels(self) -> int:
        """Of each plane, which its neighbours have, too."""
        return self.in_channels // (2 * self.context + 1)
