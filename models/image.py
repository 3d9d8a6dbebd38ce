"""The one way in which pixels travel between rooms: an array that knows its axes, its spacing and its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ImageError
from .geometry import Geometry
from .itk_source import ItkSource
from .memory import check_fits_in_memory
from .nifti_source import NiftiSource
from .units import NO_TIME

AXES = "TZYXC"
"""Axes in their only allowed order: time, plane, row, column, channel."""

PLANE_CALLED = {"Z": "slice", "T": "frame"}
"""What one plane of those along an axis is called, in all that people read."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class MedicalImage:
    """Pixels with axes and spacing.

    Attributes:
        data: the pixels, (..., Y, X) or (..., Y, X, C); integer or floating point, any range. A NumPy array, or a
            dask array for an image that is read as it is needed; `loaded` makes the former of the latter.
        axes: one letter of `AXES` for each axis of `data`, in that order; Y and X always.
        spacing: distance between neighbours along Z, Y, X (those that `axes` has, in that order).
        unit: unit of `spacing`: "mm" for medical formats, the file's own ("um", ...) or "pixel".
        name: what the user calls it; shown, never stored in a ledger.
        geometry: where it lies in the patient, for formats that say so; its spacing is `spacing`, in mm.
        origin: where the middle of the first pixel lies along Z, Y, X (those that `axes` has), in `unit`, for formats
            that say so without a patient; () at 0, or with a geometry.
        time_step: from one frame along T to the next, in `time_unit`; 1 without T.
        time_unit: "s", or "frame" where nobody knows how long the step is.
        header: how the header of a NIfTI, NRRD or MetaImage file says all of this, for masks in such a format; None for
            others.

    Raises:
        ImageError: no pixels, axes that do not fit the array, a spacing that is not positive and finite or not that of
            the geometry, an origin that is not finite, a step of time that is not positive, or values that are not
            numbers.
    """

    data: Array
    axes: str
    spacing: tuple[float, ...] = ()
    unit: str = "pixel"
    name: str = ""
    geometry: Geometry | None = None
    origin: tuple[float, ...] = ()
    time_step: float = 1.0
    time_unit: str = NO_TIME
    header: NiftiSource | ItkSource | None = None

    def __post_init__(self) -> None:
        data = self.data if is_lazy(self.data) else np.asarray(self.data)
        if data.dtype == bool:
            data = data.astype(np.uint8)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "spacing", tuple(float(s) for s in self.spacing) or (1.0,) * self.spatial_ndim)
        origin = tuple(float(at) for at in self.origin)
        object.__setattr__(self, "origin", origin if any(origin) and self.geometry is None else ())
        time = (float(self.time_step), self.time_unit) if "T" in self.axes else (1.0, NO_TIME)
        object.__setattr__(self, "time_step", time[0])
        object.__setattr__(self, "time_unit", time[1])
        self._check()

    def _check(self) -> None:
        called = f"'{self.name}'" if self.name else "The image"
        if "".join(a for a in AXES if a in self.axes) != self.axes or not {"Y", "X"} <= set(self.axes):
            raise ImageError(
                f"{called} has axes {self.axes!r}; allowed are some of {AXES!r}, in that order, with Y and X."
            )
        if self.data.ndim != len(self.axes):
            raise ImageError(
                f"{called} has {self.data.ndim} axes (shape {self.data.shape}), but is said to have {self.axes!r}."
            )
        if self.data.size == 0:
            raise ImageError(f"{called} has no pixels: its shape is {self.data.shape}. Was it written to the end?")
        if self.data.dtype.kind not in "uif":
            raise ImageError(f"{called} holds values of type {self.data.dtype}; whole or real numbers are needed.")
        if len(self.spacing) != self.spatial_ndim:
            raise ImageError(f"{called} has {len(self.spacing)} spacings for {self.spatial_ndim} spatial axes.")
        if not all(np.isfinite(s) and s > 0 for s in self.spacing):
            raise ImageError(f"{called} has spacing {self.spacing}; each must be a positive number.")
        if len(self.origin) not in (0, self.spatial_ndim) or not np.isfinite(self.origin).all():
            raise ImageError(f"{called} begins at {self.origin}; a number for each spatial axis is needed.")
        if not (np.isfinite(self.time_step) and self.time_step > 0) or self.time_unit not in ("s", NO_TIME):
            raise ImageError(
                f"{called} has frames {self.time_step} {self.time_unit} apart; a positive number of 's' is needed."
            )
        if self.geometry is not None:
            placed = self.geometry.spacing[-self.spatial_ndim :]
            if self.unit != "mm" or not np.allclose(self.spacing, placed, rtol=1e-4):
                raise ImageError(
                    f"{called} has spacing {self.spacing} {self.unit}, but lies in space with {placed} mm."
                )

    @property
    def lazy(self) -> bool:
        """Whether the pixels are read only when they are asked for."""
        return is_lazy(self.data)

    def loaded(self) -> MedicalImage:
        """The same image with all of its pixels in memory.

        Raises:
            ImageError: they do not fit, or cannot be read.
        """
        if not self.lazy:
            return self
        check_fits_in_memory(int(np.prod(self.data.shape, dtype=np.int64)) * self.data.dtype.itemsize, self.name)
        return self.with_data(np.asarray(self.data))

    @property
    def spatial_ndim(self) -> int:
        """2 for (Y, X), 3 for (Z, Y, X); time and channels do not count."""
        return sum(axis in "ZYX" for axis in self.axes)

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """Shape of a mask of this image: every axis but the channels."""
        return self.data.shape[:-1] if "C" in self.axes else self.data.shape

    @property
    def frame_seconds(self) -> float | None:
        """Time from one frame to the next, in s; None without frames, or where nobody knows it."""
        return self.time_step if self.time_unit == "s" else None

    @property
    def channels(self) -> int:
        """Number of channels; 1 without a channel axis."""
        return int(self.data.shape[-1]) if "C" in self.axes else 1

    def planes(self) -> Iterator[tuple[tuple[int, ...], Array]]:
        """Each (Y, X, C) plane with its index along the leading axes (T, Z)."""
        data = self.data if "C" in self.axes else self.data[..., np.newaxis]  # (..., Y, X, C)
        for index in np.ndindex(*data.shape[:-3]):
            yield index, data[index]

    def with_data(self, data: Array) -> MedicalImage:
        """The same axes and spacing around other pixels of the same shape."""
        return replace(self, data=data)

    @classmethod
    def from_array(cls, array: Array, *, spacing: tuple[float, ...] = (), name: str = "") -> MedicalImage:
        """Give a bare array axes: the one place where axes are guessed.

        (Y, X); (Y, X, C) if the last axis is 3 or 4 long and the others are longer; (Z, Y, X) else;
        (Z, Y, X, C) for four axes that end in 3 or 4; (T, Z, Y, X) else.
        """
        array = np.asarray(array)
        coloured = array.ndim > 2 and array.shape[-1] in (3, 4) and min(array.shape[-3:-1]) > 4
        axes = {2: "YX", 3: "YXC" if coloured else "ZYX", 4: "ZYXC" if coloured else "TZYX"}.get(array.ndim)
        if axes is None:
            raise ImageError(
                f"An array of {array.ndim} axes (shape {array.shape}) needs its axes named, e.g. axes='TZYXC'."
            )
        return cls(array, axes, spacing, name=name)


def is_lazy(data: Any) -> bool:
    """Whether an array is one of dask's, which reads when it is computed."""
    return hasattr(data, "__dask_graph__")


def as_image(image: MedicalImage | Array) -> MedicalImage:
    """The image itself, or a bare array with guessed axes."""
    return image if isinstance(image, MedicalImage) else MedicalImage.from_array(image)


def as_mask(mask: Array, image: MedicalImage | None = None) -> Array:
    """A label mask in the smallest of uint8, uint16, uint32; 0 is background.

    Args:
        mask: labels; boolean, whole numbers, or real numbers that are whole.
        image: if given, the mask must have its `mask_shape`.

    Raises:
        ImageError: another shape, negative or broken labels, or more labels than uint32 holds.
    """
    mask = np.asarray(mask)
    if image is not None:
        check_mask_shape(mask.shape, image)
    if mask.size == 0:
        raise ImageError(f"The mask has no pixels: its shape is {mask.shape}.")
    if mask.dtype == bool:
        return mask.astype(np.uint8)
    if mask.dtype.kind not in "uif" or (mask.dtype.kind == "f" and not np.array_equal(mask, np.trunc(mask))):
        raise ImageError(
            f"The mask holds values of type {mask.dtype} that are not whole numbers; labels 0, 1, 2, ... are needed."
        )
    low, high = mask.min(), mask.max()
    if low < 0 or high > np.iinfo(np.uint32).max:
        raise ImageError(f"The mask has labels from {low} to {high}; allowed are 0 to {np.iinfo(np.uint32).max}.")
    return mask.astype(np.min_scalar_type(int(high)), copy=False)


def check_mask_shape(shape: tuple[int, ...], image: MedicalImage) -> None:
    """Refuse a mask of another shape than the `mask_shape` of its image; says so if it is one of a smaller copy.

    Raises:
        ImageError: names both shapes.
    """
    if shape != image.mask_shape:
        raise ImageError(
            f"The mask has shape {shape}, but its image needs {image.mask_shape} ({image.axes.replace('C', '')}). "
            f"{_which_copy(shape[-2:], image.mask_shape[-2:])}"
            "Nothing was changed; export or resample the mask on the image's own grid."
        )


def _which_copy(plane: tuple[int, ...], whole: tuple[int, ...]) -> str:
    """A sentence on a mask that was made at another resolution than that of its image; "" for any other."""
    if len(plane) != 2 or 0 in plane or plane == whole:
        return ""
    smaller = max(plane) < max(whole)
    long, short = (whole, plane) if smaller else (plane, whole)
    times = max(long) / max(short)
    if any(abs(a / times - b) > 2 for a, b in zip(long, short, strict=True)):  # pixels that programs round by
        return ""
    if smaller:
        return f"It was made at a smaller copy of the image, {times:.4g} times smaller: make it at the full size. "
    return f"It is {times:.4g} times as large: open the image at its full size, which the mask was made at. "
