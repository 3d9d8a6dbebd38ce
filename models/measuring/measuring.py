"""Measures of every label of a mask, in the whole image or plane by plane."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from ..cancelling import Cancel, stop_if
from ..image import Array, MedicalImage, as_mask
from .diameters import axial_diameters
from .intensities import Intensities
from .label_boxes import label_boxes
from .label_measures import LabelMeasures
from .surfaces import surfaces

Progress = Callable[[float], object]
Box = tuple[slice, ...]


def measure(
    mask: Array,
    image: MedicalImage,
    *,
    names: Mapping[int, str] | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> tuple[LabelMeasures, ...]:
    """Measure each label as a whole: its area in a plane, its volume in a volume; frame by frame in a series.

    Args:
        mask: labels of the image's `mask_shape`; 0 is background.
        image: whose spacing and values count; may be lazy.
        names: of labels.
        progress: told which share is done, 0 to 1.
        cancel: asked whether to stop.

    Returns:
        One entry for each label there is, by frame and label.

    Raises:
        ImageError: not a mask of this image.
        CancelledError: asked to stop.
    """
    volumes = list(_parts(as_mask(mask, image), image, axes="T"))
    return _measured(volumes, image, names or {}, progress, cancel)


def measure_planes(
    mask: Array,
    image: MedicalImage,
    *,
    names: Mapping[int, str] | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> tuple[LabelMeasures, ...]:
    """Measure each label in each plane of rows and columns that it is in; see `measure`.

    Returns:
        One entry for each label in each plane, by frame, plane and label.
    """
    planes = list(_parts(as_mask(mask, image), image, axes="TZ"))
    return _measured(planes, image, names or {}, progress, cancel)


class _Part:
    """A plane or a volume of a mask, and its place in it.

    Attributes:
        mask: labels, (Y, X) or (Z, Y, X).
        data: its values, with the axes of `mask` and C.
        index: where it lies along the mask's leading axes.
        frame: index along time, if there is such an axis.
        plane: index along Z, if it is one plane of several.
    """

    def __init__(self, mask: Array, data: Any, index: tuple[int, ...], axes: str) -> None:
        at = dict(zip(axes, index, strict=False))
        self.mask, self.data, self.index = mask, data, index
        self.frame, self.plane = at.get("T"), at.get("Z")


def _parts(mask: Array, image: MedicalImage, axes: str) -> Iterator[_Part]:
    """The parts along these of the mask's axes."""
    data = image.data if "C" in image.axes else image.data[..., np.newaxis]
    leading = sum(axis in axes for axis in image.axes.replace("C", ""))
    for index in np.ndindex(*mask.shape[:leading]):
        yield _Part(mask[index], data[index], index, image.axes)


def _measured(
    parts: list[_Part], image: MedicalImage, names: Mapping[int, str], progress: Progress | None, cancel: Cancel | None
) -> tuple[LabelMeasures, ...]:
    found: list[LabelMeasures] = []
    for number, part in enumerate(parts):

        def tell(share: float, number: int = number) -> None:
            stop_if(cancel, "Measuring")
            if progress is not None:
                progress((number + share) / len(parts))

        tell(0.0)
        found += _measured_part(part, image, names, tell)
    if progress is not None:
        progress(1.0)
    return tuple(found)


def _measured_part(
    part: _Part, image: MedicalImage, names: Mapping[int, str], tell: Callable[[float], None]
) -> Iterator[LabelMeasures]:
    where = ndimage.find_objects((part.mask > 0).view(np.uint8))
    if not where:
        return
    around: Box = where[0]
    mask, present = label_boxes(part.mask[around])
    spacing = _spacing(image)[-mask.ndim :]
    borders = surfaces(mask, spacing)
    tell(0.2)
    values = _intensities(mask, part.data[around], present[-1].number + 1, image.channels)
    tell(0.4)
    for done, (label, number, box) in enumerate(present, start=1):
        inside = mask[box] == number
        pixels = int(np.count_nonzero(inside))
        size = pixels * math.prod(spacing)
        longest, shortest, plane = _diameters(inside, spacing)
        starts = [one.start + two.start for one, two in zip(around, box, strict=True)]
        centre = [at + start for at, start in zip(_centre(inside), starts, strict=True)]
        if mask.ndim == 3:
            centre[0] = plane + starts[0]
        flat = mask.ndim == 2
        yield LabelMeasures(
            label=label,
            name=names.get(label, ""),
            unit=image.unit,
            frame=part.frame,
            plane=part.plane if flat else centre[0],
            pixels=pixels,
            pieces=ndimage.label(inside, np.ones((3,) * inside.ndim))[1],
            area=size if flat else None,
            volume=None if flat else size,
            perimeter=borders[number] if flat else None,
            surface=None if flat else borders[number],
            longest_diameter=longest,
            shortest_diameter=shortest,
            mean=values.mean(number),
            sd=values.sd(number),
            box=(
                *((at, at + 1) for at in part.index),
                *((start, start + side) for start, side in zip(starts, inside.shape, strict=True)),
            ),
            centre=(*part.index, *centre),
        )
        tell(0.4 + 0.6 * done / len(present))


def _spacing(image: MedicalImage) -> tuple[float, ...]:
    """Along Z, Y and X; of pixels whose length nobody knows, 1: a mixture would be neither lengths nor pixels."""
    return (1.0,) * image.spatial_ndim if image.unit == "pixel" else image.spacing


def _intensities(mask: Array, data: Any, labels: int, channels: int) -> Intensities:
    values = Intensities(labels, channels)
    for index in np.ndindex(*mask.shape[:-2]):
        values.add(mask[index], data[index])
    return values


def _centre(inside: Array) -> Iterator[int]:
    """Index of the pixel at the centre of mass, from the sums across each axis."""
    for axis, side in enumerate(inside.shape):
        across = np.count_nonzero(inside, axis=tuple(other for other in range(inside.ndim) if other != axis))
        yield round(float(across @ np.arange(side) / across.sum()))


def _diameters(inside: Array, spacing: tuple[float, ...]) -> tuple[float, float, int]:
    """Longest and shortest diameter in a plane, and which plane that is: the first one of the longest."""
    planes = inside.reshape(-1, *inside.shape[-2:])
    found = [(*axial_diameters(plane, spacing[-2:]), number) for number, plane in enumerate(planes) if plane.any()]
    return max(found, key=lambda diameters: (diameters[0], diameters[1]))
