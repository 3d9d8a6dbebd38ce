"""What the words on a command line stand for: models, projects, images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_medseg.models.cards import ModelCard, find_card, read_card
from napari_medseg.models.errors import ImageError, LedgerError, ModelError
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import read_image
from napari_medseg.trainer.project import is_project

from .answering import note


@dataclass(frozen=True)
class ChosenModel:
    """What `--model` stands for.

    Attributes:
        reference: what the engine takes: a shipped card's name, or the absolute path of a weights file.
        card: what is known of it here; weights without a card answer with a mask.
    """

    reference: str
    card: ModelCard


def chosen_model(model: str) -> ChosenModel:
    """The shipped model of that name, or the weights file at that path.

    Raises:
        ModelError: there is no such model, or it has not learned anything yet, or its card is none.
    """
    path = Path(model).expanduser()
    if path.suffix != ".safetensors" and (not path.exists() or path.name == model):
        try:
            return ChosenModel(model, trained_card(model))
        except ModelError:
            if not path.is_file():
                raise
    if not path.is_file():
        raise ModelError(f"There is no weights file '{model}'. `medseg models` lists the models that come along.")
    beside = path.with_suffix(".json")
    card = read_card(beside) if beside.is_file() else ModelCard(name=path.stem, title=path.stem, network="")
    return ChosenModel(str(path.absolute()), card)


def trained_card(name: str) -> ModelCard:
    """The shipped card of that name, which has weights.

    Raises:
        ModelError: there is no such card, or it has no weights.
    """
    card = find_card(name)
    if not card.has_weights:
        raise ModelError(
            f"'{name}' has not learned anything yet, so it cannot segment. Let it learn first: from the corrections of "
            f"a project, two are enough to start (`medseg finetune PROJECT --base {name}`), or from a folder of images "
            f"and masks (`medseg train FOLDER --model {name}`). Or choose another model (`medseg models` lists them)."
        )
    return card


def existing_project(folder: Path) -> Path:
    """The absolute path of a project that is there; commands that only read or learn make none.

    Raises:
        LedgerError: there is none in that folder.
    """
    folder = folder.expanduser().absolute()
    try:
        if is_project(folder):
            return folder
    except OSError as error:
        raise LedgerError(
            f"The project '{folder}' cannot be opened: {error.strerror}. Ask its owner for permission to read it."
        ) from error
    state = "There is no project in" if folder.exists() else "There is no folder"
    raise LedgerError(f"{state} '{folder}'. `medseg accept` makes a project with its first correction.")


def usable_image(path: Path) -> MedicalImage:
    """Read an image; says so if some of its values are not numbers, which count as dark.

    Raises:
        ImageError: it cannot be read, or none of its values is a number.
    """
    return usable(read_image(path), path.name)


def usable(image: MedicalImage, called: str) -> MedicalImage:
    """The image itself; says so if some of its values are not numbers, which count as dark.

    Raises:
        ImageError: none of its values is a number.
    """
    if image.data.dtype.kind != "f":
        return image
    broken = image.data.size - int(np.count_nonzero(np.isfinite(image.data)))
    if broken == image.data.size:
        raise ImageError(
            f"'{called}' has no pixels that can be used: all its values are NaN (not a number) or infinite. "
            "Export it again from the program that made it."
        )
    if broken:
        note(f"'{called}': {broken} of its {image.data.size} values are NaN or infinite; NaN counts as dark.")
    return image
