"""What a network answers; carried between processes, so without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Prediction:
    """A mask and how sure the network is of it.

    Attributes:
        labels: uint8, uint16 or uint32 in the image's `mask_shape`; 0 is background.
        confidence: uint8 in the same shape: 255 times the probability of the winning class, so 128 to 255 for
            a binary network.
        probabilities: float16, (classes, *mask_shape), only if asked for; one class: of the foreground.
        notices: what the user has to know about how it was done, e.g. that the memory was not enough at first.
    """

    labels: npt.NDArray[Any]
    confidence: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float16] | None = None
    notices: tuple[str, ...] = ()
