"""Which corrections a network learns from, and which it is judged by."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_medseg.models.errors import LedgerError

from .records import CorrectionRecord


def held_out_groups(groups: Iterable[str]) -> frozenset[str]:
    """The groups that are kept from training: the second that appeared, and every fourth after it.

    Whole groups (patients) are held out, since two images of one patient are almost one image: a network that
    trained on the one would be flattered by the other. The choice depends on nothing but the order in which
    groups first appeared, so a group never changes sides while the ledger grows: no version was ever trained
    on what a later one is judged by. The second group, rather than the fourth, is the first to be held out, so
    that two patients are enough to compare two versions. From there on about a quarter is held out.

    Args:
        groups: the group of every correction ever accepted, oldest first, superseded ones too (leaving those
            out would reorder the groups when somebody corrects an old image once more).
    """
    return frozenset(group for k, group in enumerate(dict.fromkeys(groups)) if k % 4 == 1)


def learnable(training: list[CorrectionRecord]) -> None:
    """Raise `LedgerError` if there is nothing to learn from."""
    if not training:
        raise LedgerError("There are no corrections to learn from yet. Accept a case first; two are better.")


def group_of_file(path: Path) -> str:
    """The group of an image of whose patient nothing is known: its file, wherever and however it is named.

    The whole path, since `img.png` in two patients' folders is two patients; a ledger keeps its salted hash only.
    """
    return str(path.resolve())
