"""Where a TIFF says how far apart its pixels are: OME-XML, ImageJ's or tifffile's description, or the tags.

Each source answers with lengths for the letters "Z", "Y", "X" that it knows. What none of them knows is not
made up: the image then has spacing 1 in "pixel".
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from typing import Any

import tifffile

from ..units import in_unit_of_x, known_length

_log = logging.getLogger(__name__)

Lengths = dict[str, tuple[float, str]]

_PRINTING_DPI = 2400
"""Programs write 72, 96, 300, ... 2400 dots per inch for the printer; pixels of 10 um and less are measured."""

_SCREEN_AND_PRINT = (72, 96, 100, 120, 144, 150, 180, 200, 240, 300, 350, 360, 400, 600, 720, 1200, 2400)
"""The same defaults turn up in pixels per centimetre: 28.35 is 72 dpi."""

_PLAUSIBLE_MM = (1e-6, 10.0)
"""A pixel of less than 1 nm or of 1 cm and more is a default (1 pixel per cm), not a measurement."""


def tiff_spacing(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, axes: str, ome: dict[str, Any]
) -> tuple[tuple[float, ...], str]:
    """Spacing along those of Z, Y, X that `axes` has, and its unit ("um", "mm", ..., or "pixel").

    Args:
        tif: an open TIFF.
        series: the image of it that is meant.
        axes: the axes of the image, some of "TZYXC".
        ome: its `ome_pixels`.
    """
    lengths = {axis: length for axis, length in _lengths(tif, series, ome).items() if _measured(length[0])}
    spatial = [axis for axis in axes if axis in "ZYX"]
    if "X" not in lengths and "Y" not in lengths:
        return (1.0,) * len(spatial), "pixel"
    lengths.setdefault("X", lengths.get("Y", (1.0, "pixel")))
    lengths.setdefault("Y", lengths["X"])
    if "Z" in spatial and "Z" not in lengths:
        _log.warning("%s does not say how far apart its planes are; taken as its pixels", tif.filename)
        lengths["Z"] = lengths["X"]
    return in_unit_of_x([lengths[axis] for axis in spatial])


def channel_names(ome: dict[str, Any]) -> tuple[str, ...]:
    """Names of the channels in the `ome_pixels` of an image; empty strings or () where there are none."""
    return tuple(str(channel.get("Name", "")) for channel in listed(ome.get("Channel")))


def _lengths(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, ome: dict[str, Any]) -> Lengths:
    if tif.is_ome:
        return _from_ome(ome)
    if tif.is_imagej:
        return _from_imagej(tif, series)
    if tif.is_svs:
        return _from_svs(tif, series)
    shaped = shaped_of(tif, series)
    return _from_shaped(series, shaped) if "unit" in shaped else _from_tags(series)


def shaped_of(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> dict[str, Any]:
    """What tifffile's description of an image says; {} without one."""
    return dict(_described(tif.shaped_metadata or (), tif, series, {}))


def _described(descriptions: Sequence[Any], tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, none: Any) -> Any:
    """That of several descriptions which is of `series`; the first where they are not one for each."""
    if len(descriptions) == len(tif.series):
        return next(found for found, other in zip(descriptions, tif.series, strict=True) if other is series)
    return descriptions[0] if descriptions else none


def _from_svs(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Lengths:
    """Aperio's micrometres per pixel, which are those of the slide and not of its thumbnail; the tags else."""
    said = re.search(r"\bMPP *= *([0-9.]+)", series.keyframe.description) if series is tif.series[0] else None
    microns = number(said[1]) if said else math.nan
    return dict.fromkeys("YX", (microns, "um")) if _measured(microns) else _from_tags(series)


def _from_ome(ome: dict[str, Any]) -> Lengths:
    return {
        axis: known_length(number(ome[f"PhysicalSize{axis}"]), str(ome.get(f"PhysicalSize{axis}Unit", "um")))
        for axis in "ZYX"
        if f"PhysicalSize{axis}" in ome
    }


def ome_pixels(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> dict[str, Any]:
    """Attributes and children of an image's Pixels element; {} if the XML is not what it should be."""
    try:
        images = listed(tifffile.xml2dict(tif.ome_metadata or "")["OME"]["Image"])
        return dict(_described(images, tif, series, {})["Pixels"])
    except Exception:  # XML by anybody's hand fails in any way; the pixels are still good
        if tif.is_ome:
            _log.warning("%s has OME-XML that cannot be read; its spacing is unknown", tif.filename)
        return {}


def listed(element: Any) -> list[Any]:
    """`xml2dict` gives an only child bare and several in a list."""
    return element if isinstance(element, list) else [] if element is None else [element]


def _from_imagej(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Lengths:
    described = tif.imagej_metadata or {}
    unit = str(described.get("unit", ""))
    if known_length(1.0, unit)[1] == "pixel" or unit.casefold() in ("inch", "inches", "in"):
        return _from_tags(series)  # ImageJ calls the printer's dots per inch "inch", too
    lengths = {
        axis: known_length(1 / _resolution(series, axis), str(described.get(f"{axis.lower()}unit", unit)))
        for axis in "YX"
        if _resolution(series, axis) > 0
    }
    # ImageJ writes no spacing where it is 1
    depth = abs(number(described.get("spacing", 1.0)))
    return {"Z": known_length(depth, str(described.get("zunit", unit))), **lengths}


def _from_shaped(series: tifffile.TiffPageSeries, described: dict[str, Any]) -> Lengths:
    """JSON of tifffile: {"axes", "unit", "spacing" (of planes), "PhysicalSizeX", ...}, or the tags in that unit."""
    unit = str(described["unit"])
    lengths: Lengths = {}
    if "spacing" in described:
        lengths["Z"] = known_length(number(described["spacing"]), unit)
    for axis in "YX":
        if f"PhysicalSize{axis}" in described:
            lengths[axis] = known_length(number(described[f"PhysicalSize{axis}"]), unit)
        elif resolution_unit(series) == tifffile.RESUNIT.CENTIMETER and _resolution(series, axis) > 0:
            lengths[axis] = 10 / _resolution(series, axis), "mm"
        elif _resolution(series, axis) not in (0.0, 1.0) and known_length(1.0, unit)[1] != "pixel":
            lengths[axis] = known_length(1 / _resolution(series, axis), unit)
    return lengths


def _from_tags(series: tifffile.TiffPageSeries) -> Lengths:
    lengths: Lengths = {}
    for axis in "YX":
        pixels_per_mm = _resolution(series, axis) / {
            tifffile.RESUNIT.INCH: 25.4,
            tifffile.RESUNIT.CENTIMETER: 10.0,
        }.get(resolution_unit(series), math.inf)
        if pixels_per_mm > 0 and not _is_for_printing(pixels_per_mm, resolution_unit(series)):
            lengths[axis] = 1 / pixels_per_mm, "mm"
    return {axis: length for axis, length in lengths.items() if _PLAUSIBLE_MM[0] <= length[0] < _PLAUSIBLE_MM[1]}


def _is_for_printing(pixels_per_mm: float, unit: int) -> bool:
    dpi = pixels_per_mm * 25.4
    if unit == tifffile.RESUNIT.INCH:
        return dpi <= _PRINTING_DPI
    return any(abs(dpi - default) < 0.005 * default for default in _SCREEN_AND_PRINT)


def _resolution(series: tifffile.TiffPageSeries, axis: str) -> float:
    """Pixels per unit along "X" or "Y" as the tag says; 0 where it says nothing sensible."""
    tag = series.keyframe.tags.get(f"{axis}Resolution")
    try:
        numerator, denominator = tag.value
        return float(numerator / denominator)
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return 0.0


def resolution_unit(series: tifffile.TiffPageSeries) -> int:
    """Of the tags, inches by default."""
    tag = series.keyframe.tags.get("ResolutionUnit")
    return int(tag.value) if tag is not None and isinstance(tag.value, int) else int(tifffile.RESUNIT.INCH)


def number(value: Any) -> float:
    """The number that stands in a description; NaN for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _measured(length: float) -> bool:
    return math.isfinite(length) and length > 0
