"""Frames of a video by their number: exact, and without decoding neighbours anew."""

from __future__ import annotations

import bisect
import itertools
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from ..errors import ImageError
from ..image import Array
from .video_avi import AviTable
from .video_damage import Damage, check_unchanged
from .video_index import VideoIndex, film

_log = logging.getLogger(__name__)

_KEPT_BYTES = 128 << 20
"""Of decoded frames that may be looked at again: whoever goes back from one frame to the one before, needs them."""

_CHECKED = 32
"""Frames at the beginning that are held against the index; decoders put no more than 16 in another order."""

_KEYS_LOOKED_AT = 3
"""Key frames before the end at which its last frame is looked for."""

_GREY = ("gray", "gray8", "gray9le", "gray10le", "gray12le", "gray14le", "gray16le")


class VideoFrames:
    """The frames of a video as an array that reads when it is indexed; may be used by several threads.

    A frame that cannot be decoded is black, so that the others stay at their times; `damage` says which are.

    Attributes:
        index: the frames that can be read.
        shape: (T, Y, X, 3), or (T, Y, X) of a grey video.
        dtype: uint8, or uint16 for grey of more than 8 bits.
        turned: degrees, counterclockwise, by which frames are turned: 0, 90, 180 or 270.
        aspect: width of a pixel over its height, after turning.
    """

    def __init__(self, path: Path, index: VideoIndex) -> None:
        self.index = index
        self._path = path
        self._lock = threading.RLock()
        self._container: Any = None
        self._decoding: Iterator[tuple[int, Any]] = iter(())
        self._next = 0  # number of the frame that the decoder gives next
        self._kept: OrderedDict[int, Array] = OrderedDict()
        self._failures = 0  # packets and frames so far that could not be decoded
        self._damage = Damage()
        self._size = path.stat().st_size
        first = self._first()
        self.turned = round(first.rotation / 90) % 4 * 90
        self.aspect = Fraction(self._stream.sample_aspect_ratio or 1) or Fraction(1)
        self.aspect = 1 / self.aspect if self.turned % 180 else self.aspect
        picture = self._picture(first)
        self._frame_shape, self.dtype = picture.shape, picture.dtype

    def __reduce__(self) -> tuple[Any, ...]:
        return VideoFrames, (self._path, self.index)

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, Y, X, 3), or (T, Y, X) of a grey video."""
        return (len(self.index.times), *self._frame_shape)

    def __getitem__(self, region: Any) -> Array:
        """Some frames, or parts of them; slices, as dask asks."""
        numbers, *inner = region if isinstance(region, tuple) else (region,)
        asked: Any = range(len(self.index.times))[numbers]
        frames = [self.frame(number)[tuple(inner)] for number in asked]
        return np.stack(frames) if frames else np.empty((0, *self._frame_shape), self.dtype)

    def frame(self, number: int) -> Array:
        """Frame `number`, counted from 0: (Y, X, 3) or (Y, X); not to be written into.

        Raises:
            ImageError: the file is gone or was changed, or the frame is of another size.
        """
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
            if number in self._damage or number in self.index.lost:
                return self._black
            for begin in self._beginnings(number):
                if begin is not None:
                    self._begin(begin)
                found = self._decode_to(number)
                if found is not None:
                    return found
            check_unchanged(self._path, self._size)
            self._note_damaged(number)
            return self._black

    def damage(self) -> tuple[str, ...]:
        """What to tell of the frames that were looked at and cannot be decoded; () for none."""
        return self._damage.said()

    @property
    def _black(self) -> Array:
        return np.broadcast_to(self.dtype.type(0), self._frame_shape)

    def _note_damaged(self, number: int) -> None:
        """Note a frame, and those behind it that the decoder has not given either, as far as the next key frame."""
        at, lost = bisect.bisect_right(self.index.keys, number), self.index.lost
        end = min([self._next - 1, len(self.index.times), *self.index.keys[at : at + 1]])
        self._damage.note(n for n in range(number, max(number + 1, end)) if n not in self._kept and n not in lost)
        _log.warning("%s: frame %d cannot be decoded", self._path.name, number + 1)

    def check(self) -> None:
        """Hold the beginning and the end of the index against what the decoder gives, and correct the index.

        Raises:
            ImageError: no frame can be decoded.
        """
        with self._lock:
            self._begin(0)
            self._failures = 0
            first = [number for number, _ in zip(self._numbers(), range(_CHECKED), strict=False)]
            there = (number for number in range(len(self.index.times)) if number not in self.index.lost)
            whole = first == list(itertools.islice(there, len(first)))
            if self.index.counted or first != sorted(first) or not (whole or self._failures):
                self.index = self._counted()
            else:  # frames that are damaged keep their places
                self._failures = 0
                last = self._last()
                if last != len(self.index.times) - 1 and (self.index.broken or not self._failures):
                    self.index = self._counted() if last is None else self.index.cut(last + 1)
            if not self.index.times:
                raise ImageError(f"'{self._path.name}' holds no frame that can be decoded. Copy or record it again.")
            self._kept.clear()
            self._next = len(self.index.times)  # begin anew

    def _counted(self) -> VideoIndex:
        """The index by what the decoder gives from the beginning to the end: exact, and as slow as that."""
        _log.info("%s gives other frames than its packets say; all are decoded once", self._path.name)
        self._restart()
        return self.index.ordered_by([frame.pts for frame in self._decoded()])

    def _last(self) -> int | None:
        """Number of the frame after which no other comes, looked for near the end; None if it is not found there."""
        for key in self.index.keys[-1 : -1 - _KEYS_LOOKED_AT : -1]:
            self._begin(key)
            last = key - 1
            for number in self._numbers():
                if number > last and self.index.lost.issuperset(range(last + 1, number)):
                    last = number
            if last >= key:
                return last
        return None

    def _numbers(self) -> Iterator[int]:
        return (number for number, _ in self._decoding)

    def _beginnings(self, number: int) -> Iterator[int | None]:
        """Where to decode from until `number` comes: on from here (None), its key frame, the one before, the start.

        The start only if nothing failed before that tells why it does not come, since that takes long.
        """
        at, failures = bisect.bisect_right(self.index.keys, number) - 1, self._failures
        if self._next <= number and (self.index.counted or self.index.keys[at] <= self._next):
            yield None
        yield self.index.keys[at]
        if at > 0:
            yield self.index.keys[at - 1]
        if self._failures == failures:
            yield 0

    def _begin(self, key: int) -> None:
        """Have the decoder give frames from a key frame on; from the beginning where the file cannot be searched."""
        at = self.index.keys.index(key)
        self._next = key
        if self._container is None or self.index.counted or at == 0:
            self._restart()
        else:
            try:
                self._container.seek(self.index.seeks[at], stream=self._stream, backward=True, any_frame=False)
            except (av.FFmpegError, OSError):
                self._restart()
                self._next = 0
        self._decoding = self._numbered()

    def _decode_to(self, number: int) -> Array | None:
        """Frame `number`; None if the decoder is beyond it, or at its end."""
        for given, frame in self._decoding:
            self._next = given + 1
            if given < number - self._kept_frames():
                continue
            picture = self._keep(given, frame)
            if given == number:
                return picture
            if given > number:
                return None
        self._next = len(self.index.times)
        return None

    def _keep(self, number: int, frame: Any) -> Array:
        picture = self._picture(frame)
        if picture.shape != self._frame_shape:
            raise ImageError(
                f"'{self._path.name}' changes its size at frame {number + 1}, from {self._frame_shape} to "
                f"{picture.shape}. Cut the video there."
            )
        self._kept[number] = picture
        while len(self._kept) > self._kept_frames():
            self._kept.popitem(last=False)
        return picture

    def _kept_frames(self) -> int:
        return max(2, _KEPT_BYTES // (math.prod(self._frame_shape) * self.dtype.itemsize))

    def _picture(self, frame: Any) -> Array:
        """(Y, X) or (Y, X, 3) of a frame, upright."""
        name = frame.format.name
        picture = frame.to_ndarray() if name in _GREY else frame.to_ndarray(format="rgb24")
        picture = np.ascontiguousarray(np.rot90(picture, self.turned // 90))
        picture.setflags(write=False)
        return picture

    def _numbered(self) -> Iterator[tuple[int, Any]]:
        if self.index.counted:
            yield from enumerate(self._decoded())
            return
        number = {time: at for at, time in enumerate(self.index.times)}
        for frame in self._decoded():
            if frame.pts in number:
                yield number[frame.pts], frame

    def _decoded(self) -> Iterator[Any]:
        """Frames as the decoder gives them, until it gives no more.

        What it had to make up is left out, and so is what follows a packet that it cannot read or that is lost, up to
        the next key frame: some decoders go on there without a word, on pictures that they have not got.
        """
        waits, due, missing = False, None, self.index.missing
        try:
            for packet in self._container.demux(self._stream):
                count = self._table.put_right(packet)
                untrue, skips = packet.pos in missing.untrue, count is not None and due is not None and count > due
                if untrue or skips or packet.pos in missing.after:
                    yield from self._held_back()
                    waits = True
                due = due if count is None else count + 1
                waits = waits and (untrue or not packet.is_keyframe) and packet.size > 0
                if waits:
                    continue
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    _log.info("%s has a packet that cannot be read", self._path.name, exc_info=True)
                    self._failures += 1
                    self._stream.codec_context.flush_buffers()
                    waits = True
                    continue
                for frame in frames:
                    self._failures += bool(frame.is_corrupt)
                    if not frame.is_corrupt:
                        yield frame
        except (av.FFmpegError, OSError):
            self._failures += 1
            _log.info("%s cannot be read on", self._path.name, exc_info=True)

    def _held_back(self) -> Iterator[Any]:
        """What the decoder has of frames before a packet that is lost; it then begins anew."""
        self._failures += 1
        try:
            yield from (frame for frame in self._stream.codec_context.decode(None) if not frame.is_corrupt)
        except av.FFmpegError:
            _log.info("%s has a packet that cannot be read", self._path.name, exc_info=True)
        self._stream.codec_context.flush_buffers()

    def _first(self) -> Any:
        self._restart()
        first = next(self._decoded(), None)
        if first is None:
            raise ImageError(f"'{self._path.name}' holds no frame that can be decoded. Copy or record it again.")
        return first

    def _restart(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = av.open(str(self._path), metadata_errors="ignore")
        self._stream = film(self._container, self._path)
        self._stream.thread_type = "AUTO"
        self._table = AviTable(self._container, self._stream)
