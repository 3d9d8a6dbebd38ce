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
        number: of the image's first correction.
        record: its newest correction.
        group: what it has in common with other images of its patient or file, e.g. "group-001".
        held_out: whether no version learns from it.
    """

    number: int
    record: CorrectionRecord
    group: str
    held_out: bool

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
    newest = {record.image_key: record for record in history}
    first: dict[str, int] = {}
    for record in history:
        first.setdefault(record.image_key, record.id)
    held_out = held_out_groups(record.group for record in history)
    groups = {group: f"group-{n:03}" for n, group in enumerate(dict.fromkeys(r.group for r in history), start=1)}
    return [
        NamedCase(number, newest[key], groups[newest[key].group], newest[key].group in held_out)
        for key, number in first.items()
    ]
