"""Which model made a mask of the folder, as the record beside the masks tells; for any thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_medseg.models.chosen_model import chosen_model
from napari_medseg.models.errors import MedSegError
from napari_medseg.models.mask_record import Record


@dataclass(frozen=True)
class Made:
    """What is known of a mask that is, to the byte, as `medseg segment` wrote it.

    Attributes:
        model: that made it, as the panel calls it; None for one that the panel does not have.
        answer: what it answered with, "instances" or "mask"; "" if the model is not known.
    """

    model: str | None = None
    answer: str = ""


def made_by(image: Path, mask: Path, models: Sequence[str], reference: Callable[[str], str]) -> Made | None:
    """What made a mask; None for one that was corrected or drawn, or that another program made.

    The record has hashes only, so each model is tried.

    Args:
        image: what the mask was made of; if it has changed since, the model is not known.
        mask: in the folder with the record.
        models: names of those that it may have been, the most likely first.
        reference: what the engine takes for one of them.
    """
    made: Made | None = None
    for name in models:
        try:
            chosen = chosen_model(reference(name))
            for answer in ("instances", "mask"):
                record = Record.of(mask.parent, chosen, instances=answer == "instances")
                if made is None and not record.is_ours(mask):
                    return None
                made = made or Made()
                if record.is_done(image, [mask]):
                    return Made(name, answer)
        except (MedSegError, OSError):
            continue  # its weights are gone
    return made
