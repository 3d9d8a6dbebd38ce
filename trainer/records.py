"""What a ledger gives out: plain frozen facts that outlive its transactions and travel between threads."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from napari_medseg.models.errors import LedgerError

from . import schema


@dataclass(frozen=True)
class Effort:
    """What a correction cost the person who made it.

    Attributes:
        seconds: time spent on correcting.
        edits: strokes, clicks and mask tools used.

    Raises:
        ValueError: one of them is negative or not finite.
    """

    seconds: float
    edits: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds >= 0 and self.edits >= 0):
            raise ValueError(f"effort must not be negative: {self.seconds} seconds, {self.edits} edits")
        object.__setattr__(self, "seconds", float(self.seconds))
        object.__setattr__(self, "edits", int(self.edits))


@dataclass(frozen=True)
class CorrectionRecord:
    """An accepted correction.

    Attributes:
        id: rises with every correction of the project.
        created: when it was accepted, UTC.
        image_key: names the image's pixels; equal for equal pixels.
        mask_key: names the mask that the person accepted.
        predicted_key: names the mask that the model had proposed, if any.
        axes: letters of the image's axes, e.g. "ZYX".
        spacing: along Z, Y, X (those that `axes` has), in `unit`.
        unit: "mm", "um", ... or "pixel".
        model: the version or card that had proposed `predicted_key`.
        group: salted hash of the patient (or file, or the image itself); images of one group stay together.
        seconds: time spent on correcting, if known.
        edits: strokes, clicks and mask tools used, if known.
        place: where the image lies, as `places.place_of` has it, {} for nowhere; None if it was accepted before
            projects kept that.
    """

    id: int
    created: datetime
    image_key: str
    mask_key: str
    predicted_key: str | None
    axes: str
    spacing: tuple[float, ...]
    unit: str
    model: str | None
    group: str
    seconds: float | None
    edits: int | None
    place: dict[str, Any] | None = field(default=None, hash=False)

    @classmethod
    def of(cls, row: schema.Correction) -> CorrectionRecord:
        """The row's facts, without the row's session."""
        return cls(
            id=row.id,
            created=row.created,
            image_key=row.image,
            mask_key=row.mask,
            predicted_key=row.predicted,
            axes=row.axes,
            spacing=tuple(float(s) for s in row.spacing),
            unit=row.unit,
            model=row.model,
            group=row.group,
            seconds=row.seconds,
            edits=row.edits,
            place=row.place,
        )


class AlreadyAccepted(LedgerError):  # noqa: N818 (it is good news)
    """The latest correction of this image has this very mask.

    Attributes:
        record: that correction.
    """

    def __init__(self, record: CorrectionRecord) -> None:
        super().__init__(
            f"This mask was accepted for this image already, on {record.created:%Y-%m-%d %H:%M} UTC, and is in "
            "the project; nothing was changed."
        )
        self.record = record

    def __reduce__(self) -> tuple[type[AlreadyAccepted], tuple[CorrectionRecord]]:
        """Travels between processes whole."""
        return type(self), (self.record,)


@dataclass(frozen=True)
class ModelVersion:
    """Weights that were fine-tuned in this project.

    Attributes:
        name: "v1", "v2", ...
        created: when it was added, UTC.
        base: the card or version that it was fine-tuned from.
        path: its safetensors file; `Ledger.weights(name)` gives it checked.
        sha256: of that file.
        card: what the model is (architecture, labels, ...).
        metrics: how it did on held-out corrections, before and after.
        reason: one sentence: why it was promoted, or why not.
        active: whether it is the model that segments now.
    """

    name: str
    created: datetime
    base: str
    path: Path
    sha256: str
    card: dict[str, Any]
    metrics: dict[str, Any]
    reason: str
    active: bool


@dataclass(frozen=True)
class JobRecord:
    """A fine-tuning as it stood when it was asked for.

    Attributes:
        id: 32 hex digits.
        created: when it was requested, UTC.
        updated: when something of it last changed, UTC.
        state: "queued", "running", "done", "failed" or "cancelled".
        base: the card or version that it starts from.
        message: what it does now, or why it ended; for the user.
        progress: 0 to 1.
        config: what was asked for.
        result: what came of it, if it is done.
    """

    id: str
    created: datetime
    updated: datetime
    state: str
    base: str
    message: str
    progress: float
    config: dict[str, Any]
    result: dict[str, Any] | None

    @property
    def finished(self) -> bool:
        """Whether it ended, in whatever way."""
        return self.state not in schema.UNFINISHED

    @classmethod
    def of(cls, row: schema.Job) -> JobRecord:
        """The row's facts, without the row's session."""
        return cls(
            id=row.id,
            created=row.created,
            updated=row.updated,
            state=row.state,
            base=row.base,
            message=row.message,
            progress=row.progress,
            config=dict(row.config),
            result=None if row.result is None else dict(row.result),
        )
