"""What the cases of a project are called where people read of them or take them elsewhere: by numbers alone.

A case is an image with its newest mask. Its number is that of the image's first correction, so it stays when the image
is corrected once more; groups (patients, files) are numbered in the order in which they came.
"""

from __future__ import annotations

from dataclasses import dataclass

from .ledger import Ledger
from .records import CorrectionRecord
from .split import held_out_groups


@dataclass(frozen=True)
class NamedCase:
    """An image of a project, as it stands.

    Attributes:
        history: its corrections, oldest first.
        group: what it has in common with other images of its patient or file, e.g. "group-001".
        held_out: whether no version learns from it.
    """

    history: tuple[CorrectionRecord, ...]
    group: str
    held_out: bool

    @property
    def number(self) -> int:
        """Of its first correction."""
        return self.history[0].id

    @property
    def record(self) -> CorrectionRecord:
        """Its newest correction, the one that holds."""
        return self.history[-1]

    @property
    def proposal(self) -> CorrectionRecord | None:
        """The first correction for which a model had proposed a mask: later ones may know the image by then."""
        now = self.record.axes
        return next((record for record in self.history if record.predicted_key and record.axes == now), None)

    @property
    def seconds(self) -> float | None:
        """Time that all of its corrections took, each counted from the one before; None if nobody knows."""
        known = [record.seconds for record in self.history if record.seconds is not None]
        return sum(known) if known else None

    @property
    def edits(self) -> int | None:
        """Strokes, clicks and tools of all of its corrections; None if nobody knows."""
        known = [record.edits for record in self.history if record.edits is not None]
        return sum(known) if known else None

    @property
    def name(self) -> str:
        """Of its files, without an ending, e.g. "case-0001"."""
        return f"case-{self.number:04}"

    @property
    def title(self) -> str:
        """For people, e.g. "Case 1"."""
        return f"Case {self.number}"


def named_cases(ledger: Ledger) -> list[NamedCase]:
    """All cases of a project, in the order in which their images came."""
    history = ledger.corrections(all=True)
    of_image: dict[str, list[CorrectionRecord]] = {}
    for record in history:
        of_image.setdefault(record.image_key, []).append(record)
    held_out = held_out_groups(record.group for record in history)
    groups = {group: f"group-{n:03}" for n, group in enumerate(dict.fromkeys(r.group for r in history), start=1)}
    return [
        NamedCase(tuple(records), groups[records[-1].group], records[-1].group in held_out)
        for records in of_image.values()
    ]
