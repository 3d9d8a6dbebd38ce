"""What a ledger keeps of where an image lies, as JSON: its place in the patient or from its origin, its time, and what
its file's header says of both in its own words. Axes, spacing and unit have columns of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_medseg.models.errors import ImageError, LedgerError
from napari_medseg.models.geometry import Geometry
from napari_medseg.models.image import Array, MedicalImage
from napari_medseg.models.itk_source import ItkSource
from napari_medseg.models.nifti_source import FIELDS, NiftiSource
from napari_medseg.models.units import NO_TIME

from .records import CorrectionRecord

_LENGTHS = {"pixdim": (8,), "srow_x": (4,), "srow_y": (4,), "srow_z": (4,)}
"""Shapes of the fields of a NIfTI header that are no single numbers."""


def place_of(image: MedicalImage) -> dict[str, Any]:
    """The place of an image; {} of one that says none, as a picture does."""
    place: dict[str, Any] = {}
    if image.geometry is not None:
        place |= {"affine": image.geometry.affine.tolist(), "flipped": list(image.geometry.flipped)}
    if image.origin:
        place["origin"] = list(image.origin)
    if (image.time_step, image.time_unit) != (1.0, NO_TIME):
        place["time"] = [image.time_step, image.time_unit]
    if image.header is not None:
        place["header"] = _words(image.header)
    return place


def image_of(record: CorrectionRecord, data: Array) -> MedicalImage:
    """Pixels with all that a ledger knows of the image of a correction.

    Raises:
        LedgerError: the place is damaged.
    """
    image = MedicalImage(data, record.axes, record.spacing, record.unit)
    place = record.place or {}
    try:
        step, unit = place.get("time", (1.0, NO_TIME))
        return replace(
            image,
            geometry=_geometry(place) if "affine" in place else None,
            origin=tuple(place.get("origin", ())),
            time_step=step,
            time_unit=unit,
            header=_source(place["header"]) if "header" in place else None,
        )
    except (ImageError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise LedgerError(
            f"Where the image of correction {record.id} lies is damaged in this project's ledger. Its pixels and its "
            "mask are there all the same; accept the image and its mask again, or restore the ledger from a copy."
        ) from error


def on_grid(image: MedicalImage, spacing: Sequence[float] | None, geometry: Geometry | None) -> MedicalImage:
    """An image with a spacing or a place that was given instead of its own.

    Args:
        image: the image.
        spacing: along Z, Y, X (those that the image has). In the patient the first voxel of the file stays where it is.
        geometry: its place in the patient.

    Raises:
        ImageError: a spacing that cannot be.
    """
    if geometry is not None:
        image = replace(image, spacing=geometry.spacing[-image.spatial_ndim :], unit="mm", geometry=geometry)
    if spacing is None:
        return image
    placed = image.geometry
    image = replace(image, spacing=tuple(spacing), unit="mm" if image.unit == "pixel" else image.unit, geometry=None)
    if placed is None:
        return image
    in_mm = (*placed.spacing[: 3 - image.spatial_ndim], *image.spacing)
    lengths = image.mask_shape[-3:] if "Z" in image.axes else (1, *image.mask_shape[-2:])
    return replace(image, geometry=placed.spaced(in_mm, lengths))


def _geometry(place: Mapping[str, Any]) -> Geometry:
    z, y, x = map(bool, place["flipped"])
    return Geometry(place["affine"], (z, y, x))


def _words(header: NiftiSource | ItkSource) -> dict[str, Any]:
    if isinstance(header, ItkSource):
        return {"format": "itk", "unit": header.unit, "begin": _finite(header.begin)}
    fields = {name: [value.dtype.name, _numbers(value)] for name, value in header.fields.items()}
    return {"format": "nifti", "shape": list(header.shape), "version": header.version, "fields": fields}


def _source(words: Mapping[str, Any]) -> NiftiSource | ItkSource:
    if words["format"] == "itk":
        return ItkSource(str(words["unit"]), float(words["begin"]))
    fields = {name: _array(*words["fields"][name]) for name in FIELDS}
    if any(fields[name].shape != _LENGTHS.get(name, ()) for name in FIELDS):
        raise ValueError("a field of the header has another length")
    return NiftiSource(tuple(map(int, words["shape"])), fields, int(words["version"]))


def _numbers(value: Array) -> Any:
    """Plain numbers; those that JSON does not have, which broken headers do, as text."""
    if value.ndim:
        return [_numbers(one) for one in value]
    return _finite(value.item())


def _finite(number: float) -> float | str:
    return number if math.isfinite(number) else str(number)


def _array(kind: str, numbers: Any) -> Array:
    plain = [float(one) if isinstance(one, str) else one for one in np.ravel(np.array(numbers, dtype=object))]
    return np.array(plain, dtype=str(kind)).reshape(np.shape(numbers))
