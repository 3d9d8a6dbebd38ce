"""Which frames a video holds, in the order in which they are shown, and from which of them decoding can begin.

The packets are looked through without decoding them. What a header says about the number of frames is not relied upon.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av

from ..errors import ImageError
from .video_avi import AviTable, Packets
from .video_matroska import NOTHING_MISSING, MatroskaBlocks, Missing

_log = logging.getLogger(__name__)

_CHUNK_HEADER = 16
"""Bytes around a packet in an AVI."""


@dataclass(frozen=True)
class VideoIndex:
    """The frames of a video.

    Attributes:
        times: of each frame, when it is shown, in units of `time_base`; frames are told apart by it. None for each
            where the file does not say it, or says it twice: then frames are counted from the beginning.
        keys: numbers of the frames from which decoding can begin, in order, 0 first.
        seeks: for each of `keys`, the time to look for in the file.
        time_base: seconds.
        said: frames according to the header; 0 if it does not say.
        broken: whether the packets end before the film does.
        missing: what is missing in a Matroska file; at its times there are frames, too.
    """

    times: tuple[int | None, ...]
    keys: tuple[int, ...]
    seeks: tuple[int, ...]
    time_base: Fraction
    said: int
    broken: bool
    missing: Missing = NOTHING_MISSING

    @cached_property
    def lost(self) -> frozenset[int]:
        """Numbers of the frames that are not in the file."""
        return frozenset(number for number, time in enumerate(self.times) if time in self.missing.times)

    @property
    def counted(self) -> bool:
        """Whether frames are known only by counting them."""
        return not self.times or self.times[0] is None

    def ordered_by(self, times: list[int | None]) -> VideoIndex:
        """The same packets, whose frames come in another order than their times say."""
        known = {time for time in times if time is not None}
        if None in times or len(known) < len(times):
            return replace(self, times=(None,) * len(times), keys=(0,), seeks=(0,), missing=NOTHING_MISSING)
        number = {time: at for at, time in enumerate(times)}
        begins = zip(self.keys, self.seeks, strict=True)
        found = sorted({number[t]: seek for k, seek in begins if (t := self.times[k]) in number}.items())
        found = found if found and found[0][0] == 0 else [(0, self.seeks[0]), *found]
        keys, seeks = zip(*found, strict=True)
        return replace(self, times=tuple(times), keys=keys, seeks=seeks, missing=NOTHING_MISSING)

    def cut(self, count: int) -> VideoIndex:
        """Only the first frames."""
        kept = sum(key < count for key in self.keys)
        return replace(self, times=self.times[:count], keys=self.keys[:kept], seeks=self.seeks[:kept])


_DAMAGED = (
    "'{}' cannot be opened as a video: its beginning or its table of contents is missing or damaged. Copy or record it "
    "again."
)


def film(container: Any, path: Path) -> Any:
    """The stream of a container that is the film, and not a cover picture.

    Raises:
        ImageError: there is none.
    """
    stream = container.streams.best("video")
    if stream is None and not any(other.type in ("audio", "subtitle") for other in container.streams):
        raise ImageError(_DAMAGED.format(path.name))
    if stream is None:
        raise ImageError(f"'{path.name}' holds no pictures, only sound or text. Was the right file chosen?")
    return stream


def video_index(path: Path) -> VideoIndex:
    """Look through the packets of a video.

    Raises:
        ImageError: it cannot be opened, or there is no film in it.
    """
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError) as error:
        _log.info("%s cannot be opened", path.name, exc_info=True)
        raise ImageError(_DAMAGED.format(path.name)) from error
    with container:
        stream = film(container, path)
        packets, missing, left_out, broken = _packets(container, stream, path.stat().st_size)
        time_base, said = Fraction(stream.time_base or 1), int(stream.frames or 0) - left_out
        lasts, alone = Fraction(container.duration or 0, av.time_base) / time_base, len(container.streams) == 1
        by_storage = container.format.name == "avi"
    if broken or _lost(packets, said, float(lasts), alone=alone):
        packets, broken = _up_to_the_break(packets), True
    if not packets:
        raise ImageError(f"'{path.name}' holds no frames: its recording was not finished. Copy or record it again.")
    index = VideoIndex((), (0,), (0,), time_base, max(said, 0), broken, missing)
    return _sorted_by_time(packets, index, by_storage=by_storage)


def _packets(container: Any, stream: Any, size: int) -> tuple[Packets, Missing, int, bool]:
    """The packets of a film, what is missing, how many are no frames, and whether the last is half a one or damaged."""
    packets: Packets = []
    left_out, end = 0, 0
    table, blocks = AviTable(container, stream), MatroskaBlocks(container, stream)
    try:
        for packet in container.demux(*blocks.looked_at):
            if not blocks.is_of_film(packet):
                continue
            table.put_right(packet)
            if packet.is_corrupt:
                return *blocks.with_missing(packets), left_out, True
            if packet.size and not packet.is_discard:
                packets.append((packet.pts, packet.dts, packet.is_keyframe))
                end = (packet.pos or 0) + packet.size
            elif packet.dts is not None:  # not shown, or "as the frame before" in an AVI; counted in the header
                left_out += 1
    except (av.FFmpegError, OSError):
        _log.info("%s breaks off", Path(container.name).name, exc_info=True)
        return *blocks.with_missing(packets), left_out, True
    if container.format.name == "avi" and end + _CHUNK_HEADER >= size:
        packets = packets[:-1]  # nothing follows it, not even the index: it may be a half
    return *blocks.with_missing(table.with_lost(packets)), left_out, False


def _up_to_the_break(packets: Packets) -> Packets:
    """Without the frames that are shown after one that is missing.

    Packets come in the order in which they are decoded, and none is shown before it is decoded: what is missing is
    shown after the last time of decoding.
    """
    decoded = [dts for _, dts, _ in packets if dts is not None]
    return [one for one in packets if one[0] is None or not decoded or one[0] <= max(decoded)]


def _sorted_by_time(packets: Packets, index: VideoIndex, *, by_storage: bool) -> VideoIndex:
    """The index of packets that come in the order in which they are decoded.

    Args:
        packets: of the film.
        index: the rest of it.
        by_storage: whether the container is searched by the times of decoding, and not by those of showing.
    """
    times = [pts for pts, _, _ in packets]
    if None in times or len(set(times)) < len(times):
        return replace(index, times=(None,) * len(times))
    known = sorted((pts, dts if by_storage and dts is not None else pts, key) for pts, dts, key in packets)
    begins = [(number, seek) for number, (_, seek, key) in enumerate(known) if key or number == 0]
    keys, seeks = zip(*begins, strict=True)
    return replace(index, times=tuple(pts for pts, _, _ in known), keys=keys, seeks=seeks)


def _lost(packets: Packets, said: int, lasts: float, *, alone: bool) -> bool:
    """Whether there are fewer packets than frames were said, or none in the last part of what the film `lasts`."""
    if said > 0:
        return len(packets) < said
    times = sorted(pts for pts, _, _ in packets if pts is not None)
    if len(times) < 2:
        return False
    longest = max(after - before for before, after in itertools.pairwise(times))
    return lasts - (times[-1] + longest) > longest * (0.5 if alone else 25)  # sound may last longer than pictures
