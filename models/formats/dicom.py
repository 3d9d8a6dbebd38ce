"""DICOM: a file, a folder with any number of series, a film, an enhanced file, a segmentation.

Slices come from their files one by one when they are asked for; all that is read of a folder at first are headers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ImageError
from ..geometry import turn
from ..image import MedicalImage
from ..units import known_time
from .dicom_folder import Found, found_in
from .dicom_frames import Frame
from .dicom_naming import name_of, patient_of, titles_of
from .dicom_reading import lazy_planes
from .dicom_seg import read_segmentation
from .dicom_spacing import frame_seconds
from .dicom_tags import number
from .dicom_tolerance import as_it_is
from .dicom_volume import Volume, volume_of
from .opened import OpenedImage, Part

_REGULAR = 0.1
"""Share by which the times between time points may differ to be told as one."""


def parts(path: Path) -> tuple[Part, ...]:
    """The images in a file, in a folder and all below it, or on the medium of a DICOMDIR, in order of their series.

    A series has several where its planes cannot stand in one array: localisers, echoes, films.
    """
    stacks = found_in(path).stacks
    with as_it_is():
        ordered = dict(sorted(stacks.items(), key=_by_series))
        return tuple(map(Part, ordered, titles_of(list(ordered.values()))))


def open_part(path: Path, key: str) -> OpenedImage:
    """One of the `parts`; where none is named the one with the most pixels, images before segmentations.

    Axes are those of (T, Z, Y, X, C) that it has. Grey values are rescaled (to int16 where that is exact), colours are
    RGB. Labels of a segmentation are the numbers of its segments.

    Raises:
        ImageError: no such part, no image, or one that cannot stand in an array; the text says why.
    """
    found = found_in(path)
    key, stack, notices = _chosen(path, found, key)
    header = stack[0].header
    if header.is_segmentation:
        image, more = read_segmentation(header, name_of(path, header, key))
        return OpenedImage(image, str(path), key, patient=patient_of(header), notices=(*notices, *more))
    volume = volume_of(stack)
    return OpenedImage(
        _image(volume, name_of(path, header, key)),
        str(path),
        key,
        coloured=volume.middle.pixels.coloured,
        window=volume.middle.window,
        patient=patient_of(header),
        notices=(*notices, *volume.notices, *_turned(volume.middle)),
    )


def _chosen(path: Path, found: Found, key: str) -> tuple[str, list[Frame], tuple[str, ...]]:
    if key:
        if key not in found.stacks:
            raise ImageError(
                f"'{path.name}' no longer holds the image that was chosen in it. Open it again and choose."
            )
        return key, found.stacks[key], found.notices
    key, stack = max(found.stacks.items(), key=lambda part: _importance(part[1]))
    if len(found.stacks) == 1:
        return key, stack, found.notices
    return key, stack, (*found.notices, f"{len(found.stacks)} images were found; this is the largest of them.")


def _importance(stack: list[Frame]) -> tuple[bool, int]:
    return not stack[0].header.is_segmentation, len(stack) * int(np.prod(stack[0].pixels.shape))


def _by_series(part: tuple[str, list[Frame]]) -> tuple[float, float, str]:
    key, stack = part
    return number(stack[0].header.dataset, "SeriesNumber") or 0.0, min(frame.number for frame in stack), key


def _image(volume: Volume, name: str) -> MedicalImage:
    """The volume, turned to be seen as radiologists look at it, without axes that are one long."""
    data, geometry = lazy_planes(volume), volume.geometry
    if geometry is not None:
        axes = geometry.as_seen()
        data = turn(data, (*axes, False) if data.ndim == 5 else axes)
        geometry = geometry.flip(axes, (volume.slices, *volume.plane))
    lengths = {"T": volume.times, "Z": volume.slices}
    stored = "TZYXC"[: data.ndim]
    data = data[tuple(0 if lengths.get(axis) == 1 else slice(None) for axis in stored)]
    left = "".join(axis for axis in stored if lengths.get(axis) != 1)
    # positions are written with few digits: 1 mm and not 0.99999
    spacing = tuple(round(length, 6) or length for length in volume.spacing[-3 if volume.slices > 1 else -2 :])
    time = known_time(_seconds_between(volume) or 0.0, "s")
    return MedicalImage(data, left, spacing, volume.unit, name, geometry, (), *time)


def _seconds_between(volume: Volume) -> float | None:
    """From one point of time to the next, if the files say so and it stays about the same."""
    if volume.times == 1:
        return None
    if volume.middle.pixels.frames > 1 and (told := frame_seconds(volume.middle.header.dataset)):
        return told
    column = [row[volume.slices // 2] for row in volume.grid]
    moments = [frame.time for frame in column if frame is not None and frame.time is not None]
    steps = np.diff(moments)
    if len(moments) < len(column) or (steps <= 0).any() or np.ptp(steps) > _REGULAR * steps.mean():
        return None
    return float(steps.mean())


def _turned(frame: Frame) -> tuple[str, ...]:
    if not frame.values.turned:
        return ()
    return (
        "The file shows large values dark (MONOCHROME1). They were turned round, bright for dark, as networks know "
        "such images; so its numbers are not those of the file.",
    )
