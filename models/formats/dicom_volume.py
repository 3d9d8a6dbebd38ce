"""A stack of planes as an image: where it lies, what is missing in it, and its pixels, read when they are asked for.

Slices stand in the order of their positions along the normal of the planes (X cross Y), whatever their files are
called or numbered, and are then turned to be seen as radiologists look at them (`Geometry.as_seen`); the file's own
array, to which `Geometry.stored` leads back, is that order. Slices that are missing are filled with the padding
value, so that all others stay where they are. A stack whose slices are shifted against each other (a tilted gantry)
is put on a grid at right angles: each slice is moved within its plane, by linear interpolation, and the grid is made
large enough to keep all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ImageError
from ..geometry import Geometry
from .dicom_frames import Frame, runs_in_time
from .dicom_order import at_places, slots
from .dicom_shift import Shift, shifts_of

_OBLIQUE_DEGREES = 1.0
_LARGEST_SHIFT = 2.0
"""How many times its own length a plane may be shifted within itself; more is no tilt but a damaged file."""


@dataclass(frozen=True, eq=False)
class Volume:
    """Planes in their order.

    Attributes:
        grid: [time][slice] planes, None where one is missing.
        plane: lengths of Y and X.
        spacing: along Z, Y, X.
        unit: "mm", or "pixel".
        geometry: of the slices in this order, before they are turned; None where the files do not say.
        shifts: how each slice is moved within its plane; () if none is.
        notices: what the user has to know.
    """

    grid: tuple[tuple[Frame | None, ...], ...]
    plane: tuple[int, int]
    spacing: tuple[float, float, float]
    unit: str
    geometry: Geometry | None = None
    shifts: tuple[Shift, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def times(self) -> int:
        """Number of points of time."""
        return len(self.grid)

    @property
    def slices(self) -> int:
        """Number of slices, the missing ones included."""
        return len(self.grid[0])

    @property
    def middle(self) -> Frame:
        """A plane that is there, near the middle of the first time."""
        there = [frame for frame in self.grid[0] if frame is not None]
        return there[len(there) // 2]


def volume_of(frames: Sequence[Frame]) -> Volume:
    """Put the planes of a stack in order.

    Raises:
        ImageError: the slices are unevenly spaced, or shifted against each other beyond reason.
    """
    if any(frame.place is None for frame in frames):
        return _unplaced(frames)
    places = at_places(frames)
    at = slots(places)
    grid: list[list[Frame | None]] = [[None] * (at[-1] + 1) for _ in places[0]]
    for slot, place in zip(at, places, strict=True):
        for time, frame in enumerate(place):
            grid[time][slot] = frame
    return _placed([place[0] for place in places], at, grid)


def _placed(slices: list[Frame], at: list[int], grid: list[list[Frame | None]]) -> Volume:
    first, distance = slices[0].place, slices[0].distance
    assert first is not None
    positions = np.array([frame.place.position for frame in slices if frame.place])
    step, along = _step(slices, at)
    if distance.unit != "mm":
        return Volume(
            _frozen(grid), _plane(slices[0]), (1.0, *distance.yx), distance.unit, notices=_said([distance.notice])
        )
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = step, first.along_y * distance.yx[0], first.along_x * distance.yx[1]
    affine[:3, 3] = first.position
    geometry, plane = Geometry(affine), _plane(slices[0])
    notices = [distance.notice, *_gaps(at, along, first.in_patient and geometry.as_seen()[0])]
    offsets = (positions - first.position) @ affine[:3, 1:3] / np.array(distance.yx) ** 2  # (slices, 2) in pixels
    shifts, start, grown = shifts_of(offsets, at, plane, geometry.shear)
    if shifts:
        if max(g / p for g, p in zip(grown, plane, strict=True)) > 1 + _LARGEST_SHIFT:
            raise ImageError(
                "The slices of this series lie far beside each other, not one above the other, so they are no volume. "
                "Export them as separate series, or open single files."
            )
        affine[:3, 3] += affine[:3, 1:3] @ start
        affine[:3, 0] = first.normal * (step @ first.normal)
        notices.append(_tilted(np.degrees(np.arccos(np.clip(along / np.linalg.norm(step), -1, 1)))))
        geometry, plane = Geometry(affine), grown
    if not first.in_patient:
        return Volume(_frozen(grid), plane, geometry.spacing, "mm", None, shifts, _said(notices))
    notices.append(_oblique(geometry))
    return Volume(_frozen(grid), plane, geometry.spacing, "mm", geometry, shifts, _said(notices))


def _step(slices: list[Frame], at: list[int]) -> tuple[np.ndarray, float]:
    """From one slice to the next: the vector (L, P, S) in mm, and the distance of the planes."""
    first, last = slices[0].place, slices[-1].place
    assert first is not None
    assert last is not None
    if at[-1]:
        step = (last.position - first.position) / at[-1]
        return step, float(step @ first.normal)
    told = next((abs(length) for length in (slices[0].step, slices[0].thickness) if length), 1.0)
    return first.normal * told, told


def _unplaced(frames: Sequence[Frame]) -> Volume:
    """Planes whose files do not say where they lie: by their numbers."""
    distance, header = frames[0].distance, frames[0].header
    ordered = sorted(frames, key=lambda frame: (frame.number, frame.index))
    plane, notices = _plane(frames[0]), [distance.notice]
    if "MOSAIC" in frames[0].kinds:
        notices.append("Each picture holds many slices side by side (a mosaic); export them one by one for a volume.")
    elif "ImageOrientationPatient" in header.dataset and "ImagePositionPatient" in header.dataset:
        notices.append("The position or orientation in the file is damaged, so where the image lies is not known.")
    if len(ordered) == 1 or (header.pixels.frames > 1 and runs_in_time(header)):
        grid: tuple[tuple[Frame | None, ...], ...] = tuple((frame,) for frame in ordered)
        return Volume(grid, plane, (distance.yx[1], *distance.yx), distance.unit, notices=_said(notices))
    step, thickness = frames[0].step, frames[0].thickness
    if header.pixels.frames == 1:
        notices.append("The files do not say where their slices lie; they are in the order of their numbers.")
    if told := next((abs(length) for length in (step, thickness) if length), None):
        source = "the distance that is noted" if step else "the thickness of a slice"
        notices.append(f"The files do not say where their slices lie; their distance is {source}, {told:g} mm.")
    else:
        notices.append("The files do not say how far apart their slices are; taken as the distance of their pixels.")
    depth = told if told and distance.unit == "mm" else distance.yx[1]
    return Volume((tuple(ordered),), plane, (depth, *distance.yx), distance.unit, notices=_said(notices))


def _gaps(at: list[int], step: float, turned: bool) -> list[str]:
    """Which slices are missing, by their numbers on the slider."""
    missing = sorted(at[-1] - slot if turned else slot for slot in set(range(at[-1] + 1)) - set(at))
    if not missing:
        return []
    named = ", ".join(str(number) for number in missing[:8]) + (", ..." if len(missing) > 8 else "")
    one = len(missing) == 1
    count, they = ("A slice is", "It is") if one else (f"{len(missing)} slices are", "They are")
    return [
        f"{count} missing in this series of {at[-1] + 1}, {step:.4g} mm apart: number {named} (counted from 0, as the "
        f"slider does). {they} empty here, so that all others lie where they are in the patient."
    ]


def _tilted(degrees: float) -> str:
    what = f"The scanner was tilted by {degrees:.1f} degrees" if degrees >= 0.1 else "The slices lie beside each other"
    return (
        f"{what}, so each slice was moved within its plane onto a grid at right angles, by interpolation. The mask "
        "lies on this grid, not on the scanner's."
    )


def _oblique(geometry: Geometry) -> str:
    turned = np.degrees(np.arccos(np.clip(np.abs(geometry.direction).max(axis=0), 0, 1))).max()
    if turned <= _OBLIQUE_DEGREES:
        return ""
    return (
        f"The slices stand oblique in the body, turned by {turned:.0f} degrees. They are shown as they were acquired; "
        "spacing, position and measures are right."
    )


def _plane(frame: Frame) -> tuple[int, int]:
    return frame.pixels.shape[0], frame.pixels.shape[1]


def _frozen(grid: Sequence[Sequence[Frame | None]]) -> tuple[tuple[Frame | None, ...], ...]:
    return tuple(tuple(row) for row in grid)


def _said(notices: Sequence[str]) -> tuple[str, ...]:
    return tuple(notice for notice in notices if notice)
