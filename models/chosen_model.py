"""What the name of a model stands for: a shipped card, or a weights file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .cards import ModelCard, find_card, read_card
from .errors import ModelError


@dataclass(frozen=True)
class ChosenModel:
    """A model that was named.

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
