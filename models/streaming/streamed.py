"""What comes of an image whose mask went to disk; carried between processes, so without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Streamed:
    """A mask on disk.

    Attributes:
        path: folder of the mask; `LabelStore.open` opens it.
        confidence: folder of the confidence, uint8 as in `Prediction`; None if it was not asked for.
        labels: how many labels the mask has, background not counted; numbered objects count, classes that are there do.
        resumed: share of the work that an earlier call had done, 0 to 1.
        notices: what the user has to know about how it was done.
    """

    path: Path
    confidence: Path | None
    labels: int
    resumed: float = 0.0
    notices: tuple[str, ...] = ()
