"""Frames that are missing in a Matroska file (MKV, WebM), found by the times of the others.

A reader that meets damage goes on at the next cluster, and says nothing of the frames that it has passed over; a copy
of such a file has not even the damage any more. Matroska has no table of its frames. But each has a time, so where all
stand on the grid of a constant rate, an empty place in it is a frame that is missing. Bytes that belong to no frame
tell damage from a rate that varies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from .video_avi import Packets

_FEW = Fraction(1, 20)
"""Share of frames that may be missing without a trace; with more, the rate is taken for one that varies."""

_ROUNDED = 1
"""Ticks of the file's clock by which a time may be beside the grid: that of the first frame is rounded, too."""

_FINEST = 4
"""Ticks from frame to frame at least; on a finer grid, any time is near some place."""

_LONGER = 1.5
"""Times the usual step from which on there is room for a frame that is missing."""

_FEWEST = 8
"""Frames that a film has at least, for its rate to be told."""

_REORDERED = 16
"""Places by which decoders put frames in another order, at most."""

_OVERHEAD = 64
"""Bytes between two frames that are more than the heads of blocks and clusters take."""


@dataclass(frozen=True)
class Missing:
    """What is missing in a film.

    Attributes:
        times: at which a frame is missing.
        after: positions in the file of the packets before which there is damage.
        untrue: positions of the packets that have another frame's time, or none that can be: it is damaged.
        unplaced: whether there is damage, but a rate that varies, so that nobody can tell which frames are missing.
    """

    times: frozenset[int] = frozenset()
    after: frozenset[int] = frozenset()
    untrue: frozenset[int] = frozenset()
    unplaced: bool = False


NOTHING_MISSING = Missing()


class MatroskaBlocks:
    """Where the frames of a Matroska file stand in it; of other containers nothing is noted.

    Args:
        container: an open file.
        stream: its film.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self.looked_at: tuple[Any, ...] = (stream,)
        self._on = "matroska" in container.format.name
        if self._on:
            self.looked_at = tuple(container.streams)
        self._stream = stream
        self._positions: list[int] = []  # of the film's packets
        self._between: list[tuple[int, int]] = []  # number of the next packet of the film, bytes that are no packet's
        self._last, self._end = -1, 0

    def is_of_film(self, packet: Any) -> bool:
        """Whether a packet is the film's, and no sound; notes where it stands."""
        film = packet.stream.index == self._stream.index
        if not self._on or packet.pos is None or packet.pos < 0 or not packet.size:
            return bool(film)
        if packet.pos == self._last:  # of one block with the one before
            self._end += packet.size
        else:
            if self._end:
                self._between.append((len(self._positions), packet.pos - self._end))
            self._last, self._end = packet.pos, packet.pos + packet.size
        if film:
            self._positions.append(packet.pos)
        return bool(film)

    def with_missing(self, packets: Packets) -> tuple[Packets, Missing]:
        """The packets whose times are true, and those that are missing, which cannot be decoded; and what these are.

        Args:
            packets: all of the film, in the order of the file.
        """
        times = [pts for pts, _, _ in packets if pts is not None]
        if not self._on or len(packets) < _FEWEST or not len(times) == len(packets) == len(self._positions):
            return packets, Missing()
        damaged = self._damaged()
        for rate in dict.fromkeys((self._stream.average_rate, self._stream.base_rate)):
            step = 1 / (Fraction(rate) * Fraction(self._stream.time_base)) if rate else Fraction(0)
            found = _on_grid(times, step, damaged) if step >= _FINEST else None
            if found is not None:
                lost, after, untrue = found
                true = [packet for number, packet in enumerate(packets) if number not in untrue]
                missing = Missing(lost, self._where(after), self._where(untrue))
                return [*true, *((time, None, False) for time in sorted(lost))], missing
        return packets, Missing(unplaced=_is_longer_at(damaged, times))

    def _damaged(self) -> frozenset[int]:
        """Numbers of the film's packets before which there are bytes that belong to nothing."""
        usual = median(length for _, length in self._between) if self._between else 0
        longest = max(_OVERHEAD, 4 * usual)
        return frozenset(n for n, length in self._between if length > longest and 0 < n < len(self._positions))

    def _where(self, numbers: Iterable[int]) -> frozenset[int]:
        return frozenset(self._positions[number] for number in numbers)


def _on_grid(times: list[int], step: Fraction, damaged: frozenset[int]) -> tuple[frozenset[int], ...] | None:
    """Times that are missing, numbers of the packets after damage, and of those whose time is not true.

    Args:
        times: of all packets, in the order of the file.
        step: from one frame to the next.
        damaged: numbers of the packets before which there is damage.

    Returns:
        None where the rate varies, or more is missing than can be believed.
    """
    places, untrue = _places(times, step)
    span = max(places) - min(places) + 1
    if len(untrue) > span - len(places) or len(untrue) > _FEW * len(times):
        return None  # also of hidden frames, which have the time of a shown one
    if span > 2 * len(times):
        return None
    after: set[int] = set()
    without_trace = 0
    for first, last in _empty(places):
        around = [places[near] for near in range(first - _REORDERED, last + _REORDERED + 1) if near in places]
        traces = {number for number in damaged | untrue if min(around) < number <= max(around)}
        after |= traces & damaged
        without_trace += 0 if traces else last - first + 1
    if without_trace > _FEW * span:
        return None
    lost = (place for first, last in _empty(places) for place in range(first, last + 1))
    return frozenset(round(times[0] + place * step) for place in lost), frozenset(after), untrue


def _is_longer_at(damaged: frozenset[int], times: list[int]) -> bool:
    """Whether there is more time than usual between the frames before and after damage; odd bytes alone are none."""
    steps = [after - before for before, after in pairwise(sorted(times))]
    latest, earliest = np.maximum.accumulate(times), np.minimum.accumulate(times[::-1])[::-1]
    return any(earliest[number] - latest[number - 1] > _LONGER * median(steps) for number in damaged)


def _places(times: list[int], step: Fraction) -> tuple[dict[int, int], frozenset[int]]:
    """Places on the grid with the number of the packet there, and the numbers of packets that have none.

    Of two packets that claim one place, it is the one's whose neighbours in the file have places nearer to it.
    """
    claimed = [round((time - times[0]) / step) for time in times]

    def astray(number: int) -> float:
        beside = claimed[max(0, number - 3) : number] + claimed[number + 1 : number + 4]
        return float(abs(claimed[number] - median(beside)))

    places: dict[int, int] = {}
    for number, (time, place) in enumerate(zip(times, claimed, strict=True)):
        beside_grid = abs(time - times[0] - place * step) > _ROUNDED
        if not beside_grid and (place not in places or astray(number) < astray(places[place])):
            places[place] = number
    return places, frozenset(range(len(times))) - frozenset(places.values())


def _empty(places: dict[int, int]) -> list[tuple[int, int]]:
    """First and last of each run of places without a packet."""
    taken = sorted(places)
    return [(before + 1, after - 1) for before, after in pairwise(taken) if after > before + 1]
