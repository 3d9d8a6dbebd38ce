"""What a check has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FINE, NOTE, WRONG = "fine", "note", "wrong"
"""All is as it should be; worth knowing; something does not work, or soon will not."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: `FINE`, `NOTE` or `WRONG`.
        found: one or two sentences for the person at the desk.
        remedy: what to do about it, in the same words; not for what is fine.
        details: versions, figures. They may be made public: nothing here names a patient, a folder or a file.
        names: folders and files, which may be called after patients; shown to who asks for them.
    """

    state: str
    found: str
    remedy: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.state == FINE) == bool(self.remedy):
            raise ValueError(f"a remedy belongs to what is not fine, and only to that: {self}")


def fine(found: str, *, details: Mapping[str, Any] | None = None, names: Mapping[str, Any] | None = None) -> Finding:
    """All is as it should be."""
    return Finding(state=FINE, found=found, details=details or {}, names=names or {})


def note(
    found: str, remedy: str, *, details: Mapping[str, Any] | None = None, names: Mapping[str, Any] | None = None
) -> Finding:
    """Worth knowing."""
    return Finding(state=NOTE, found=found, remedy=remedy, details=details or {}, names=names or {})


def wrong(
    found: str, remedy: str, *, details: Mapping[str, Any] | None = None, names: Mapping[str, Any] | None = None
) -> Finding:
    """Something does not work, or soon will not."""
    return Finding(state=WRONG, found=found, remedy=remedy, details=details or {}, names=names or {})
