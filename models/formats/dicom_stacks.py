"""Which planes of a folder belong together: series by series, and within one by what cannot stand in one array.

Planes of another size, orientation or spacing are another stack, and so are those of another kind (a localiser,
another echo, phase beside magnitude) where they lie at the same places. What is left at a place, equally often at
each, are points of time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

from .dicom_frames import Frame
from .dicom_order import at_places, is_even

_ALONE = ("US", "CR", "DX", "MG", "IO", "PX", "XA", "RF", "ES", "XC", "GM", "SM", "OP", "IVUS")
"""Modalities whose files are pictures of their own where they do not say where they lie."""

_SAME_DIRECTION = 1e-3


def stacks(frames: Sequence[Frame]) -> tuple[list[list[Frame]], int]:
    """Split planes into stacks.

    Args:
        frames: of any number of files and series, in any order.

    Returns:
        The stacks, and how many planes were left out since they are copies of others.

    Raises:
        ImageError: planes that may be copies cannot be read.
    """
    # the frames of a segmentation are one mask, several at a place where it has several segments
    masks = _grouped([f for f in frames if f.header.is_segmentation], lambda frame: frame.header.path)
    frames = [frame for frame in frames if not frame.header.is_segmentation]
    # the same UID twice is a copy, unless a bad anonymiser gave it to all
    same = _grouped(frames, lambda frame: (frame.header.instance, frame.index, frame.number, frame.pixels.shape))
    once = [frame for twins in same for frame in _distinct(twins)]
    alike = _grouped(once, _AlikeKey())
    kept = [_without_copies(group) for group in alike]
    images = [stack for group in kept for stack in _split(group)]
    return [*images, *masks], len(frames) - sum(map(len, kept))


class _AlikeKey:
    """What planes must share to stand in one array, whatever is at which place."""

    def __init__(self) -> None:
        self._directions: list[np.ndarray] = []
        self._seen: dict[tuple[float, ...], int] = {}

    def __call__(self, frame: Frame) -> Hashable:
        header = frame.header
        alone = header.pixels.frames > 1 or (frame.place is None and header.modality in _ALONE)
        return (
            header.series,
            str(header.path) if alone else "",
            header.pixels.shape,
            frame.stack,
            tuple(round(length, 4) for length in frame.distance.yx),
            self._direction(frame),
        )

    def _direction(self, frame: Frame) -> int:
        """Number of the direction that a plane faces, the same for planes that are parallel."""
        if frame.place is None:
            return -1
        faced = np.concatenate([frame.place.along_x, frame.place.along_y])
        rounded = tuple(np.round(faced, 6))
        if rounded not in self._seen:
            near = (i for i, known in enumerate(self._directions) if np.abs(known - faced).max() < _SAME_DIRECTION)
            self._seen[rounded] = next(near, len(self._directions))
            if self._seen[rounded] == len(self._directions):
                self._directions.append(faced)
        return self._seen[rounded]


def _split(frames: list[Frame]) -> list[list[Frame]]:
    """Planes that are alike into stacks in which every place is filled equally often."""
    if any(frame.place is None for frame in frames) or _is_plain(frames):
        return [frames]
    places = at_places(frames)
    mixed = any(len({frame.kinds for frame in place}) > 1 for place in places)
    kinds = _grouped(frames, lambda frame: frame.kinds)
    if len(kinds) > 1 and (mixed or all(map(_is_plain, kinds))):
        return [stack for kind in kinds for stack in _split(kind)]
    filled = len({len(place) for place in places}) == 1
    acquisitions = _grouped(frames, lambda frame: frame.acquisition)
    if len(acquisitions) > 1 and (len(places[0]) == 1 or not filled) and all(map(_is_plain, acquisitions)):
        return acquisitions
    if filled:
        return [frames]
    moments = _grouped(frames, lambda frame: frame.times[0])
    if len(moments) > 1 and all(len(place) == 1 for moment in moments for place in at_places(moment)):
        return moments
    most = max(map(len, places))
    return [[place[turn] for place in places if turn < len(place)] for turn in range(most)]


def _is_plain(frames: Sequence[Frame]) -> bool:
    """Whether there is one plane at each place, and the places are evenly apart."""
    places = at_places(frames)
    return all(len(place) == 1 for place in places) and is_even(places)


def _without_copies(frames: list[Frame]) -> list[Frame]:
    """Planes but for those that hold the pixels of another at their place, with nothing to tell them apart."""
    if any(frame.place is None for frame in frames):
        return frames
    places = at_places(frames)
    middle = places[len(places) // 2]
    if len({len(place) for place in places}) == 1 and len(_distinct(middle)) == len(middle):
        return frames  # points of time: the pixels of one place are enough to tell
    return [frame for place in places for frame in _distinct(place)]


def _distinct(place: Sequence[Frame]) -> list[Frame]:
    """Planes of one place, each of those that cannot be told apart once."""
    kept: list[Frame] = []
    for frame in place:
        alike = (other for other in kept if (other.kinds, other.times) == (frame.kinds, frame.times))
        if not any(_same_pixels(frame, other) for other in alike):
            kept.append(frame)
    return kept


def _same_pixels(one: Frame, other: Frame) -> bool:
    if (one.values.slope, one.values.intercept) != (other.values.slope, other.values.intercept):
        return False
    if one.place and other.place and np.abs(one.place.position - other.place.position).max() > 0:
        return False
    return np.array_equal(one.pixels.frame(one.index), other.pixels.frame(other.index))


def _grouped(frames: Iterable[Frame], key: Callable[[Frame], Hashable]) -> list[list[Frame]]:
    groups: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return list(groups.values())
