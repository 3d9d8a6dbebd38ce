"""The names that files give to lengths and times, and the ones this project uses.

Known here are "nm", "um", "mm", "cm" and "m"; "pixel" stands for a distance whose length nobody knows. Times are in
"s"; "frame" stands for a step of time of which nobody knows how long it takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_POWERS = {"nm": -9, "um": -6, "mm": -3, "cm": -2, "m": 0}

METRES = {unit: 10.0**power for unit, power in _POWERS.items()}
"""Length of each known unit in metres."""

_STEMS = {
    "nm": ("nm", "nanometer", "nanometre"),
    "um": ("um", "micron", "micrometer", "micrometre"),
    "mm": ("mm", "millimeter", "millimetre"),
    "cm": ("cm", "centimeter", "centimetre"),
    "m": ("m", "meter", "metre"),
}
_KNOWN = {spelling: unit for unit, stems in _STEMS.items() for stem in stems for spelling in (stem, f"{stem}s")}

# units that are read but not kept: the kept one and how many of it they are
_CONVERTED = {
    "pm": ("nm", 1e-3),
    "picometer": ("nm", 1e-3),
    "angstrom": ("nm", 0.1),
    "å": ("nm", 0.1),
    "inch": ("mm", 25.4),
    "inches": ("mm", 25.4),
    "in": ("mm", 25.4),
}


def known_length(value: float, unit: str) -> tuple[float, str]:
    """A length as (value, unit) with one of this project's unit names.

    Args:
        value: the number that stands in the file.
        unit: the file's spelling, e.g. "µm", "micron", "Millimeter", "inch".

    Returns:
        The same length; (value, "pixel") if the unit is none that is known here.
    """
    spelling = _plain(unit)
    if spelling in _CONVERTED:
        kept, factor = _CONVERTED[spelling]
        return value * factor, kept
    return value, _KNOWN.get(spelling, "pixel")


NO_TIME = "frame"
"""Unit of a step of time of which nobody knows how long it takes."""

_TIMES = {
    **dict.fromkeys(("ns", "nsec", "nanosecond"), 1e-9),
    **dict.fromkeys(("us", "usec", "microsecond"), 1e-6),
    **dict.fromkeys(("ms", "msec", "millisecond"), 1e-3),
    **dict.fromkeys(("s", "sec", "second"), 1.0),
    **dict.fromkeys(("min", "minute"), 60.0),
    **dict.fromkeys(("h", "hr", "hour"), 3600.0),
    **dict.fromkeys(("d", "day"), 86400.0),
}


def known_time(value: float, unit: str) -> tuple[float, str]:
    """A step of time as (value, "s"), or as (value, "frame") if the unit is none that is known here.

    Args:
        value: the number that stands in the file; what is no positive number is no step, but (1, "frame").
        unit: the file's spelling, e.g. "ms", "sec", "Minute".
    """
    if not (math.isfinite(value) and value > 0):
        return 1.0, NO_TIME
    spelling = _plain(unit)
    seconds = _TIMES.get(spelling) or _TIMES.get(spelling.removesuffix("s"))
    if seconds is None:
        return value, NO_TIME
    return (value * seconds if seconds >= 1 else value / round(1 / seconds)), "s"  # 40 ms are 0.04 s


def in_unit_of_x(lengths: Sequence[tuple[float, str]]) -> tuple[tuple[float, ...], str]:
    """Spacings along Z, Y, X in one unit: that of X, the last.

    Args:
        lengths: (value, unit) for each spatial axis, as `known_length` gives them.

    Returns:
        The values and their unit. A mixture of lengths and pixels cannot be put in one unit: the values stay
        as they are, in "pixel".
    """
    unit = lengths[-1][1]
    if all(other == unit for _, other in lengths):
        return tuple(value for value, _ in lengths), unit
    if not all(other in METRES for _, other in lengths):
        return tuple(value for value, _ in lengths), "pixel"
    return tuple(_shifted(value, _POWERS[other] - _POWERS[unit]) for value, other in lengths), unit


def _plain(unit: str) -> str:
    """A unit's spelling in small letters, with "u" for micro."""
    spelling = unit.strip().replace("\\u00B5", "u")  # ImageJ writes the micro sign as a Java escape
    return spelling.replace("\u00b5", "u").replace("\u03bc", "u").casefold()


def _shifted(value: float, power: int) -> float:
    """`value` times ten to the `power`, rounded once: 0.005 mm are 5 um and not 5.000000000000001."""
    return value * 10.0**power if power >= 0 else value / 10.0**-power
