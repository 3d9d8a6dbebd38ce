"""Slices in the order in which they lie in the patient, by their positions and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ImageError
from .dicom_frames import Frame

_SAME_PLACE = 0.01
"""mm; planes nearer to each other than that are at the same place, or nearer than `_THIN` of a pixel's side."""

_THIN = 0.1

_JITTER = 0.03
"""Share of the spacing by which a slice may lie beside its place; positions are written with few digits."""

_MISSING = 1 / 3
"""Largest share of the steps between slices that may be longer than the others."""


def at_places(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Planes that are parallel, by where they lie along their normal, upwards; those at one place in order of time.

    Args:
        frames: each with a place.
    """
    along, same = _along(frames), _same_place(frames[0])
    places: list[list[Frame]] = []
    last = -np.inf
    for at in np.argsort(along, kind="stable"):
        if along[at] - last > same:
            places.append([])
            last = along[at]
        places[-1].append(frames[at])
    return [
        sorted(place, key=lambda frame: (frame.times, frame.acquisition, frame.number, frame.index)) for place in places
    ]


def is_even(places: Sequence[Sequence[Frame]]) -> bool:
    """Whether neighbouring places are equally far apart."""
    steps = _steps(places)
    return bool(len(steps) == 0 or np.ptp(steps) <= max(_JITTER * steps.min(), _same_place(places[0][0])))


def slots(places: Sequence[Sequence[Frame]]) -> list[int]:
    """Number of each place in an evenly spaced stack, from 0; numbers that do not occur are missing slices.

    Raises:
        ImageError: no even spacing fits; the text names those that there are.
    """
    if len(places) == 1 or is_even(places):
        return list(range(len(places)))
    steps = _steps(places)
    once = steps[steps < 1.5 * steps.min()].mean()
    counts = np.rint(steps / once).astype(int)
    fits = np.abs(steps - counts * once) <= max(_JITTER * once, _same_place(places[0][0]))
    missing = int((counts - 1).sum())
    if not fits.all() or (counts > 1).mean() > _MISSING or missing > len(places):
        raise ImageError(
            f"The slices of this series are unevenly spaced: {_named(steps)} mm apart. A volume needs one distance; "
            "export the parts of the series on their own, or have it reconstructed with even spacing."
        )
    return [0, *np.cumsum(counts).tolist()]


def _same_place(frame: Frame) -> float:
    """How near, in mm, planes are that are at one place: less where pixels are as small as in micro-CT."""
    distance = frame.distance
    return min(_SAME_PLACE, _THIN * min(distance.yx)) if distance.unit == "mm" else _SAME_PLACE


def _along(frames: Sequence[Frame]) -> np.ndarray:
    """Where planes lie along the normal of the first, in mm."""
    normal = frames[0].place.normal if frames[0].place else np.zeros(3)
    return np.array([frame.place.position @ normal if frame.place else 0.0 for frame in frames])


def _steps(places: Sequence[Sequence[Frame]]) -> np.ndarray:
    return np.diff(_along([place[0] for place in places]))


def _named(steps: np.ndarray) -> str:
    """The different distances, the most frequent first, at most four."""
    values, counts = np.unique(np.round(steps, 2), return_counts=True)
    often = [f"{value:g}" for value in values[np.argsort(-counts, kind="stable")]]
    return ", ".join(often[:3]) + (
        f" and {len(often) - 3} other distances" if len(often) > 4 else "".join(f", {v}" for v in often[3:4])
    )
