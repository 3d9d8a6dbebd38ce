"""What is known of an image's intensities before its first tile is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..image import MedicalImage
from ..intensity import intensity_sample, limits_of
from .emptiness import background


@dataclass(frozen=True, eq=False)
class Intensities:
    """Of the whole image, so that all of its tiles are seen alike.

    Attributes:
        limits: (C, 2), intensities that become 0 and 1 in each channel of a plane; (1, 2) where all are the same one.
        background: (C,) or (1,), of the background as a network reads it; None if there is none, or nobody asks.
        digest: a hash of the sample that this was taken from, which tells one image from another.
    """

    limits: npt.NDArray[np.float64]
    background: npt.NDArray[np.float32] | None
    digest: str

    @classmethod
    def of(cls, image: MedicalImage, channels: int, *, skip_empty: bool = False) -> Intensities:
        """Those of an image for a network that reads so many channels of each plane.

        Args:
            image: in memory or lazy.
            channels: that a network reads of each plane.
            skip_empty: whether the background is needed.

        Raises:
            ImageError: the image has a number of channels that the network does not read.
        """
        data: Any = image.data if "C" in image.axes else image.data[..., np.newaxis]
        sample = intensity_sample(data, channels)
        limits = limits_of(sample)
        digest = hashlib.sha256(np.ascontiguousarray(sample).tobytes()).hexdigest()
        return cls(limits, background(sample, limits) if skip_empty else None, digest)
