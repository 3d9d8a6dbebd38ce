"""Which part of a mask a tool works on, as the user sees it now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.image import PLANE_CALLED
from napari_medseg.models.mask_tools import Change, MaskToolError, Region

from ..image_layers import axes_of, spacing_of
from ..masks import Mask

PIXELS = "px"
"""The unit of distances that are counted in pixels."""


@dataclass(frozen=True, eq=False)
class Place:
    """A plane, a volume or a stack of frames in a mask.

    Attributes:
        mask: which.
        data: its array; another one later means that the layer was given other pixels.
        index: for each axis of the mask the number of what is shown, or all of it.
        spacing: between neighbours along the axes that are left.
        unit: of `spacing`; "pixel" if nobody knows a length.
        across: the axis of `pixels` across slices; None for a plane.
        shown: number of the slice that is shown; 0 for a plane.
        called: what people call one of its slices: "slice" or "frame".
    """

    mask: Mask
    data: npt.NDArray[Any]
    index: tuple[int | slice, ...]
    spacing: tuple[float, ...]
    unit: str
    across: int | None
    shown: int
    called: str = PLANE_CALLED["Z"]

    @property
    def pixels(self) -> npt.NDArray[Any]:
        """The labels, (Y, X) or (Z, Y, X); the mask's own, not a copy."""
        return self.data[self.index]

    @property
    def frame(self) -> tuple[int, ...]:
        """Numbers of the fixed axes."""
        return tuple(at for at in self.index if isinstance(at, int))

    @property
    def is_all(self) -> bool:
        """Whether it is the whole mask."""
        return not self.frame

    def region(self, change: Change) -> Region:
        """Where a change of `pixels` lies in the mask."""
        sides = iter(change.region)
        return tuple(slice(at, at + 1) if isinstance(at, int) else next(sides) for at in self.index)

    def in_mask(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Pixels of this place with all axes of the mask."""
        fixed = tuple(axis for axis, at in enumerate(self.index) if isinstance(at, int))
        return np.expand_dims(pixels, fixed)

    def reach(self, region: Region) -> Region | None:
        """What of a region of the mask lies in this place, in its axes; None if nothing does."""
        left = []
        for at, side in zip(self.index, region, strict=True):
            if isinstance(at, slice):
                left.append(side)
            elif not side.start <= at < side.stop:
                return None
        return tuple(left)

    def position(self, at: Sequence[float]) -> tuple[int, ...]:
        """A position in the mask, in pixels, as an index of `pixels`; it may lie outside."""
        rounded = [int(np.floor(number + 0.5)) for number in at]
        return tuple(number for number, fixed in zip(rounded, self.index, strict=True) if isinstance(fixed, slice))

    def steps(self, unit: str) -> tuple[float, ...]:
        """The spacing to measure with in a unit; () for pixels.

        Raises:
            MaskToolError: the image has no such unit.
        """
        if unit == PIXELS:
            return ()
        if unit != self.unit or unit == "pixel":
            has = "no spacing" if self.unit == "pixel" else f"its spacing in {self.unit}"
            raise MaskToolError(f"This image has {has}; give the distance in pixels{_or(self.unit)} instead of {unit}.")
        return self.spacing


def volume(mask: Mask, viewer: Any) -> Place:
    """All planes of the frame that is shown; the plane itself, if a frame is one.

    Raises:
        ImageError, MaskToolError: the mask is shown obliquely, is not in memory, or none of it is shown.
    """
    axes, at = _shown(mask, viewer)
    index = tuple(slice(None) if axis in "ZYX" else number for axis, number in zip(axes, at, strict=True))
    spacing, unit = spacing_of(mask.image, axes)
    if "Z" not in axes:
        return Place(mask, mask.layer.data, index, spacing, unit, None, 0)
    cut = _cut(axes, mask, viewer)
    return Place(mask, mask.layer.data, index, spacing, unit, "ZYX".index(axes[cut]), at[cut])


def plane(mask: Mask, viewer: Any) -> Place:
    """The plane that is shown.

    Raises:
        ImageError, MaskToolError: as `volume` does.
    """
    whole = volume(mask, viewer)
    if whole.across is None:
        return whole
    free = [axis for axis, at in enumerate(whole.index) if isinstance(at, slice)]
    index = list(whole.index)
    index[free[whole.across]] = whole.shown
    spacing = (*whole.spacing[: whole.across], *whole.spacing[whole.across + 1 :])
    return Place(mask, whole.data, tuple(index), spacing, whole.unit, None, 0)


def stack(mask: Mask, viewer: Any) -> Place:
    """The slices of the volume that is shown; of a film of planes, its frames.

    Raises:
        ImageError, MaskToolError: as `volume` does; or the mask is a single plane.
    """
    whole = volume(mask, viewer)
    if whole.across is not None:
        return whole
    axes, at = _shown(mask, viewer)
    if "T" not in axes:
        raise MaskToolError("This mask is a single plane; there are no other slices or frames.")
    time = axes.index("T")
    index = tuple(slice(None) if axis == time else number for axis, number in enumerate(whole.index))
    return Place(mask, whole.data, index, (1.0, *whole.spacing), whole.unit, 0, at[time], PLANE_CALLED["T"])


def _shown(mask: Mask, viewer: Any) -> tuple[str, tuple[int, ...]]:
    """Axes of a mask, and the index of what the sliders point to."""
    layer = mask.layer
    if not isinstance(layer.data, np.ndarray):
        raise MaskToolError(f"The mask '{layer.name}' is not in memory; duplicate its layer to work on it.")
    axes = axes_of(mask.image)
    if len(axes) != layer.ndim:
        raise MaskToolError(
            f"The mask '{layer.name}' has {layer.ndim} axes, but its image '{mask.image.name}' has {len(axes)} now. "
            "Give the image its pixels back, or make a new mask."
        )
    at = tuple(int(np.floor(number + 0.5)) for number in layer.world_to_data(viewer.dims.point))
    for axis, number, side in zip(axes, at, layer.data.shape, strict=True):
        if axis in "TZ" and not 0 <= number < side:
            raise MaskToolError("The sliders are beyond the mask; move them to where it is.")
    return axes, at


def _cut(axes: str, mask: Mask, viewer: Any) -> int:
    """The axis of a mask that the shown slice is cut across: that one of Z, Y, X which is not on the screen."""
    beyond = viewer.dims.ndim - mask.layer.ndim
    on_screen = {shown - beyond for shown in viewer.dims.displayed[-2:]}
    across = [axis for axis, name in enumerate(axes) if name in "ZYX" and axis not in on_screen]
    if len(across) != 1:
        raise MaskToolError("The view mixes time and space; show two of the axes Z, Y and X.")
    if not 0 <= (at := _shown(mask, viewer)[1][across[0]]) < mask.layer.data.shape[across[0]]:
        raise MaskToolError(f"Slice {at} is beyond the mask; move the slider to where it is.")
    return across[0]


def _or(unit: str) -> str:
    return "" if unit == "pixel" else f" or {unit}"
