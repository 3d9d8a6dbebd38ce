"""Recipes: how a network is trained, as its paper says ("published") or as works well on a desk ("quick").

They are data, `recipes/<network>.json`: each field has its value and where it stands, in a paper or in released code,
or why it was chosen. Without torch.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from napari_medseg.models.errors import ModelError
from napari_medseg.models.registry import NETWORKS

from .config import TrainingConfig

RECIPES = ("published", "quick")
"""Names of the recipes that every network has."""

FRAMINGS = ("fit", "crop")
"""How images become crops: all brought to the crop's size by one factor, or pieces of them as they are."""

NEEDED = {
    *("epochs", "framing", "crop", "batch", "optimiser", "lr", "weight_decay", "warmup", "schedule", "final", "clip"),
    *("average", "loss", "head_weights", "augmentation"),
}
"""What every recipe says."""

POSSIBLE = {"options", "momentum", "half_waves", "warmup_from", "frozen"}
"""What a recipe may say beside that."""


@dataclass(frozen=True)
class Recipe:
    """How to train a network.

    Attributes:
        network: its name.
        name: one of `RECIPES`.
        epochs: how often each image is learned from, on average.
        framing: one of `FRAMINGS`. "fit" has the longer side of the images, their median, become the crop's side, with
            one factor for all images, which the card keeps: so a pixel keeps its size and its shape, where the papers
            squeeze each image into a square.
        options: of `create_model`.
        training: everything else; its steps, seconds and seed are whoever's who trains.
        sources: where each value stands.
    """

    network: str
    name: str
    epochs: int
    framing: Literal["fit", "crop"]
    options: dict[str, Any]
    training: TrainingConfig
    sources: dict[str, str]


def find_recipe(network: str, name: str) -> Recipe:
    """The recipe of a network.

    Raises:
        ModelError: no such network or recipe.
    """
    _known(network, NETWORKS, "network")
    _known(name, RECIPES, "recipe")
    return read_recipe((resources.files(__package__) / "recipes" / f"{network}.json").read_text("utf-8"), name)


def read_recipe(text: str, name: str) -> Recipe:
    """A recipe from the text of its file.

    Raises:
        ModelError: fields that are missing or unknown, or values that cannot be.
    """
    try:
        content = json.loads(text)
        fields = content[name]
        missing, unknown = sorted(NEEDED - fields.keys()), sorted(fields.keys() - NEEDED - POSSIBLE)
        if missing or unknown:
            raise ModelError(
                f"The recipe '{name}' of '{content['network']}' lacks {missing} and has unknown {unknown}."
            )
        values = {field: entry["value"] for field, entry in fields.items()}
        sources = {field: str(entry["source"]) for field, entry in fields.items()}
        own = {field: values.pop(field) for field in ("epochs", "framing")}
        options = values.pop("options", {})
        if own["framing"] not in FRAMINGS or not own["epochs"] > 0:
            raise ValueError(f"framing {own['framing']!r}, {own['epochs']} epochs")
        return Recipe(content["network"], name, **own, options=options, training=_training(values), sources=sources)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"The recipe '{name}' cannot be followed: {type(error).__name__}: {error}.") from error


def _training(values: dict[str, Any]) -> TrainingConfig:
    positive = ("crop", "batch", "lr")
    shares = ("warmup", "warmup_from", "final", "average", "frozen")
    config = TrainingConfig.from_dict(values)
    wrong = [name for name in positive if not getattr(config, name) > 0]
    wrong += [name for name in shares if not 0 <= getattr(config, name) <= 1]
    if wrong:
        raise ValueError(", ".join(f"{name} {getattr(config, name)}" for name in wrong))
    return config


def _known(name: str, names: Any, what: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, list(names), 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ModelError(f"There is no {what} '{name}'; there are: {', '.join(names)}.{hint}")
