"""Numbers and labels in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 pixel", "1,214 pixels"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def gone(labels: Sequence[int]) -> str:
    """What to add for labels that have no pixel left."""
    if not labels:
        return ""
    return f"; label {labels[0]} is gone" if len(labels) == 1 else f"; {len(labels)} labels are gone"
