"""Where a TIFF says that its first pixel lies, and how long its frames are apart.

OME-XML has both in its Pixels and Planes, ImageJ and tifffile in their descriptions, and the tags have the place. What
none of them says is not made up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tifffile

from ..units import METRES, NO_TIME, known_length, known_time
from .tiff_spacing import listed, number, resolution_unit, shaped_of

_UNEVEN = 0.1
"""Share by which the time between frames may vary before the user is told."""

_VARIES = "The time between frames varies; the mean is taken."

_MM = {tifffile.RESUNIT.INCH: 25.4, tifffile.RESUNIT.CENTIMETER: 10.0}


def tiff_origin(
    tif: tifffile.TiffFile,
    series: tifffile.TiffPageSeries,
    axes: str,
    spacing: tuple[float, ...],
    unit: str,
    ome: dict[str, Any],
) -> tuple[float, ...]:
    """Where the first pixel lies, see `MedicalImage.origin`; 0 along an axis of which the file does not say it.

    Args:
        tif: an open TIFF.
        series: the image of it that is meant.
        axes: its axes, some of "TZYXC".
        spacing: its spacing.
        unit: unit of that.
        ome: its `ome_pixels`.
    """
    along = dict(zip([axis for axis in axes if axis in "ZYX"], spacing, strict=True))
    if tif.is_ome:
        plane = _first_plane(ome)
        said = {
            axis: (number(plane.get(f"Position{axis}")), str(plane.get(f"Position{axis}Unit", ""))) for axis in along
        }
    elif tif.is_imagej:  # counts pixels from the place that it calls 0
        found = tif.imagej_metadata or {}
        said = {axis: (-number(found.get(f"{axis.lower()}origin")) * step, unit) for axis, step in along.items()}
    elif "PositionX" in (shaped := shaped_of(tif, series)):
        said = {axis: (number(shaped.get(f"Position{axis}")), unit) for axis in along}
    else:
        in_mm = _MM.get(resolution_unit(series), math.nan)
        said = {axis: (_tag(series, f"{axis}Position") * in_mm, "mm") for axis in along}
    return tuple(_in_unit(*lies, unit) for lies in said.values())


def tiff_time(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, ome: dict[str, Any]
) -> tuple[tuple[float, str], tuple[str, ...]]:
    """Step from frame to frame and its unit, see `MedicalImage`, and what the user has to know of it.

    Args:
        tif: an open TIFF.
        series: the image of it that is meant.
        ome: its `ome_pixels`.
    """
    if tif.is_ome:
        step = known_time(number(ome.get("TimeIncrement")), str(ome.get("TimeIncrementUnit", "s")))
        return (step, ()) if step[1] != NO_TIME else _between_planes(ome)
    if tif.is_imagej:
        found = tif.imagej_metadata or {}
        return known_time(number(found.get("finterval")), str(found.get("tunit", "s"))), ()
    shaped = shaped_of(tif, series)
    return known_time(number(shaped.get("TimeIncrement")), str(shaped.get("TimeIncrementUnit", ""))), ()


def _first_plane(ome: dict[str, Any]) -> dict[str, Any]:
    planes = listed(ome.get("Plane"))
    return min(planes, key=lambda plane: [number(plane.get(f"The{axis}", 0)) for axis in "TZC"], default={})


def _between_planes(ome: dict[str, Any]) -> tuple[tuple[float, str], tuple[str, ...]]:
    """The mean time from frame to frame, of the first plane and channel of each."""
    firsts = [plane for plane in listed(ome.get("Plane")) if not number(plane.get("TheZ")) + number(plane.get("TheC"))]
    times = {number(plane.get("TheT")): number(plane.get("DeltaT")) for plane in firsts if "DeltaT" in plane}
    steps = np.diff([times[frame] for frame in sorted(times)])
    if len(times) < 2 or len(times) != number(ome.get("SizeT")) or not (steps > 0).all():
        return (1.0, NO_TIME), ()
    mean = float(steps.mean())
    uneven = bool((np.abs(steps - mean) > _UNEVEN * mean).any())
    return known_time(mean, str(firsts[0].get("DeltaTUnit", "s"))), (_VARIES,) * uneven


def _tag(series: tifffile.TiffPageSeries, name: str) -> float:
    tag = series.keyframe.tags.get(name)
    try:
        numerator, denominator = tag.value
        return float(numerator / denominator)
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return math.nan


def _in_unit(value: float, spelled: str, unit: str) -> float:
    """A place in the unit of the image; 0 for one that is not known, or in a unit that is not."""
    length, known = known_length(value, spelled)
    if unit in METRES and known in METRES:
        length *= METRES[known] / METRES[unit]
    elif spelled != unit:
        return 0.0
    return length if math.isfinite(length) else 0.0
