"""Images whose masks are known, to judge a model by: those of a folder, or held-out corrections. Without torch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.errors import ImageError, LedgerError
from napari_medseg.models.formats.kinds import stem
from napari_medseg.models.image import MedicalImage, as_mask

from .folders import SPLITS, find_pairs, read_pair, splits_of
from .ledger import Ledger
from .records import CorrectionRecord

JUDGED = ("test", "val")
"""The parts of a folder that a model is judged by, the first that there is."""


@dataclass(frozen=True)
class Case:
    """An image whose mask is known.

    Attributes:
        name: for people; in a folder the file's name without its ending.
        load: reads image and mask, which fit each other; raises `ImageError`.
        files: of the image and its mask, if they come from a folder.
    """

    name: str
    load: Callable[[], tuple[MedicalImage, npt.NDArray[Any]]]
    files: tuple[Path, ...] = ()

    @property
    def called(self) -> str:
        """The image's file, or else its name."""
        return str(self.files[0]) if self.files else self.name

    @property
    def mask_called(self) -> str:
        """The mask's file, or else the name of the case."""
        return self.files[1].name if self.files else self.name


def chosen_split(folder: Path, split: str | None = None) -> str | None:
    """The part of a folder to judge by: the one asked for, or test, or val, or (None) the folder's own images.

    Raises:
        ImageError: no such part, or only one to learn from.
    """
    there = splits_of(folder)
    if split and split not in there:
        known = f"there {'are' if len(there) > 1 else 'is'} {' and '.join(there)}" if there else "it is not divided"
        raise ImageError(f"'{folder}' has no part called {split!r}; {known}.")
    if split:
        return split
    if chosen := next((part for part in JUDGED if part in there), None):
        return chosen
    if there and not (folder / "images").is_dir():
        raise ImageError(
            f"'{folder}' has images to learn from only ({', '.join(there)}), and none in {' or '.join(JUDGED)}. "
            f"Give '{folder / there[0]}' to measure on those all the same."
        )
    return None


def has_layout(folder: Path) -> bool:
    """Whether a folder looks like one with images and masks."""
    return any((folder / part / "images").is_dir() for part in ("", *SPLITS))


def folder_cases(folder: Path, split: str | None) -> list[Case]:
    """A case for each pair of a folder; `split` is what `chosen_split` says.

    Raises:
        ImageError: no pairs.
    """
    return [
        Case(stem(pair.image), functools.partial(read_pair, pair), (pair.image, pair.mask))
        for pair in find_pairs(folder, split)
    ]


def corrections_as_cases(ledger: Ledger, records: list[CorrectionRecord]) -> tuple[list[Case], int]:
    """Image and corrected mask of each record, and how many there are."""

    def load(record: CorrectionRecord) -> tuple[MedicalImage, npt.NDArray[Any]]:
        image = ledger.load_image(record)
        return image, as_mask(ledger.load_mask(record), image)

    return [Case(f"case {record.id}", functools.partial(load, record)) for record in records], len(records)


def unseen(ledger: Ledger) -> list[CorrectionRecord]:
    """The corrections that no version learned from.

    Raises:
        LedgerError: there are none yet.
    """
    held_out = ledger.split()[1]
    if not held_out:
        raise LedgerError(
            "Every correction so far was for learning, so there is nothing to judge a model by. "
            "Accept a case of a second patient (or file); that one is kept apart."
        )
    return held_out


def check_labels(mask: npt.NDArray[Any], classes: int, model: str, case: Case) -> None:
    """Refuse a mask that has labels which a model of several classes does not know.

    Raises:
        ImageError: says the label, and which are allowed.
    """
    strange = [int(label) for label in np.unique(mask) if label >= classes]
    if strange:
        listed = f"value{'s' * (len(strange) > 1)} {', '.join(map(str, strange[:5]))}{', ...' * (len(strange) > 5)}"
        raise ImageError(
            f"The mask '{case.mask_called}' has the {listed}, but '{model}' knows the classes 0 to {classes - 1} only. "
            "Number them so in the mask, or choose a model with more classes."
        )
