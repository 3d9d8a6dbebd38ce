"""Videos (AVI, MP4, MOV, MKV, WEBM) as time series, read frame by frame through PyAV.

Frame n is the n-th that a player shows, or would show if none were missing, where that can be told. It is turned as the
file says (phones film upright pictures lying on their side), as every player and the usual libraries do; a notice says
so.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..image import MedicalImage
from ..units import known_time
from .kinds import stem
from .opened import OpenedImage, Part
from .pyramid_tiles import lazily
from .video_damage import said_missing
from .video_frames import VideoFrames
from .video_index import VideoIndex, video_index

_log = logging.getLogger(__name__)

_MANY_FRAMES = 100_000
"""From here on several frames are read at once: dask's bookkeeping is for each."""

_UNEVEN = 0.1
"""Share by which the time between frames may vary before the user is told."""

_VARIES = "The time between frames varies; the mean is taken, and the number of a frame does not tell its time."

_FEW = 0.05
"""Share of the frames after which there may be a gap in an otherwise even video."""


def parts(path: Path) -> tuple[Part, ...]:
    """The one film of the file; other tracks are left out."""
    return (Part("", stem(path)),)


def open_part(path: Path, key: str) -> OpenedImage:
    """A video as (T, Y, X, 3), or (T, Y, X) if it was stored in grey; lazy.

    Colours have 8 bits; grey keeps its own. Pixels that are not square have a spacing that says so, in "pixel".

    Raises:
        ImageError: no frame that can be decoded. When it is computed: the file is gone or was changed. A frame that
            cannot be decoded is black, and `found` says which; so is one that is missing in a Matroska file of constant
            rate, and a notice says which.
    """
    index = video_index(path)
    frames = VideoFrames(path, index)
    frames.check()
    count, said = len(frames.index.times), max(index.said, len(index.times))
    notices = []
    if count < said or index.broken:
        notices.append(
            f"The video breaks off: {count} of {said} frames can be read."
            if count < said
            else f"The video breaks off after {count} frames."
        )
    if frames.turned:
        notices.append(f"The video was filmed at an angle of {frames.turned} degrees, and was turned upright.")
    notices += said_missing(frames.index.missing, frames.index.lost)
    seconds, uneven = _frame_seconds(frames.index)
    notices += uneven
    axes = "TYX" if len(frames.shape) == 3 else "TYXC"
    tile = (1 + count // _MANY_FRAMES, *frames.shape[1:])
    data = lazily(cast(Any, frames), tile, axes, path.name)
    spacing, time = _spacing(frames.aspect, notices), known_time(seconds or 0.0, "s")
    image = MedicalImage(data, axes, spacing, "pixel", stem(path), None, (), *time)
    return OpenedImage(image, str(path), key, coloured=axes == "TYXC", notices=tuple(notices), found=frames.damage)


def _frame_seconds(index: VideoIndex) -> tuple[float | None, list[str]]:
    """The mean time from frame to frame, and a notice where it is not always that, up to the file's own rounding."""
    if len(index.times) < 2 or index.counted:
        return None, []
    times = np.sort(np.array(index.times, np.float64))  # of frames, whose order may be another
    steps, usual = np.diff(times), float(np.median(np.diff(times)))
    if usual <= 0:
        return None, []
    longer = np.flatnonzero(steps > max(1.5 * usual, usual + 1.01))
    if 0 < len(longer) <= _FEW * len(steps):
        gap = f"Frames are missing after frame {longer[0] + 1}: the file is damaged there, or the recording paused."
        return usual * float(index.time_base), [f"{gap} Later frames have moved up."]
    mean = float(times[-1] - times[0]) / len(steps)
    even = bool((np.abs(steps - mean) <= max(1.01, _UNEVEN * mean)).all())
    return mean * float(index.time_base), [] if even else [_VARIES]


def _spacing(aspect: Fraction, notices: list[str]) -> tuple[float, float]:
    """Spacing along Y and X; columns are as far apart as the file says that its pixels are wide."""
    if aspect == 1 or not Fraction(1, 4) <= aspect <= 4:
        return 1.0, 1.0
    notices.append(f"Its pixels are {float(aspect):.3g} times as wide as high.")
    return 1.0, float(aspect)
