"""What stands beside the labels of a store: OME-NGFF 0.5 metadata, and where they lie in the patient."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ImageError
from .geometry import Geometry
from .units import NO_TIME

_UNITS = {"nm": "nanometer", "um": "micrometer", "mm": "millimeter", "cm": "centimeter", "m": "meter"}
"""What NGFF calls this project's units; "pixel" is none."""

_OWN = "medseg"
"""Name of the attribute that NGFF has no word for: the affine."""


def described(
    axes: str,
    spacing: tuple[float, ...],
    unit: str,
    levels: int,
    origin: tuple[float, ...] = (),
    time: tuple[float, str] = (1.0, NO_TIME),
) -> dict[str, Any]:
    """The attributes of a group of labels whose levels are called "0", "1", ..., each half of the last along Y and X.

    A pixel of a level stands in the middle of the pixels that it comes from, hence the translations; those of the full
    size are the `origin`, and `time` is the step from frame to frame and its unit (see `MedicalImage`).

    Raises:
        ImageError: axes or a spacing that cannot be.
    """
    spatial = [axis for axis in axes if axis in "ZYX"]
    if "".join(axis for axis in "TZYX" if axis in axes) != axes or len(spacing) != len(spatial):
        raise ImageError(f"Labels cannot be kept with the axes {axes!r} and the spacing {spacing}.")
    if not all(np.isfinite(length) and length > 0 for length in spacing):
        raise ImageError(f"Labels cannot be kept with the spacing {spacing}; each must be a positive number.")
    along = dict(zip(spatial, map(float, spacing), strict=True)) | {"T": float(time[0])}
    begin = dict(zip(spatial, map(float, origin), strict=True)) if origin else {}
    datasets = []
    for level in range(levels):
        factor = {axis: 2.0**level if axis in "YX" else 1.0 for axis in axes}
        scale = [along[axis] * factor[axis] for axis in axes]
        translation = [begin.get(axis, 0.0) + along[axis] * (factor[axis] - 1) / 2 for axis in axes]
        transforms = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    multiscale = {"axes": [_axis(axis, unit, time[1]) for axis in axes], "datasets": datasets, "type": "mode"}
    return {"ome": {"version": "0.5", "multiscales": [multiscale], "image-label": {"version": "0.5"}}}


def described_geometry(geometry: Geometry | None) -> dict[str, Any]:
    """Where the labels lie, for `read_geometry`; nothing without a geometry."""
    if geometry is None:
        return {}
    return {_OWN: {"affine": geometry.affine.tolist(), "flipped": list(geometry.flipped)}}


def read_axes(attributes: dict[str, Any]) -> tuple[str, tuple[float, ...], str, list[str]]:
    """Axes, spacing, unit and the levels' names out of a group's attributes.

    Raises:
        ImageError: axes or a spacing that labels do not have.
        KeyError, TypeError, ...: these are not the attributes of an image.
    """
    multiscale = attributes["ome"]["multiscales"][0]
    axes = "".join(axis["name"] for axis in multiscale["axes"]).upper()
    scale = multiscale["datasets"][0]["coordinateTransformations"][0]["scale"]
    along = {axis: float(length) for axis, length in zip(axes, scale, strict=True)}
    units = {axis["name"].upper(): axis.get("unit", "") for axis in multiscale["axes"]}
    unit = next((short for short, long in _UNITS.items() if long == units.get("X")), "pixel")
    spacing = tuple(along[axis] for axis in axes if axis in "ZYX")
    described(axes, spacing, unit, 1)
    return axes, spacing, unit, [dataset["path"] for dataset in multiscale["datasets"]]


def read_geometry(attributes: dict[str, Any]) -> Geometry | None:
    """Where the labels lie; None if nobody knows.

    Raises:
        ImageError: an affine that cannot be.
    """
    if _OWN not in attributes:
        return None
    z, y, x = attributes[_OWN]["flipped"]
    return Geometry(np.array(attributes[_OWN]["affine"], np.float64), (bool(z), bool(y), bool(x)))


def _axis(axis: str, unit: str, time_unit: str) -> dict[str, str]:
    if axis == "T":
        return {"name": "t", "type": "time"} | ({"unit": "second"} if time_unit == "s" else {})
    named = {"name": axis.lower(), "type": "space"}
    return named | ({"unit": _UNITS[unit]} if unit in _UNITS else {})
