"""Model cards: what a network or a set of weights is, what it was made from, and how good it was seen to be."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ModelError

SHIPPED = Path(__file__).parent / "weights"
"""Folder of the cards and weights that come with the package."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A network, and the weights for it if there are any.

    Attributes:
        name: short and unique; what `--model` and `load_model` take.
        title: for people.
        network: name for `create_model`.
        in_channels: channels that the network reads; grey images fit any.
        classes: logit channels; 1 for a binary mask.
        config: further options for `create_model`.
        scale: images are resized by this before the network sees them, and its answer is resized back.
        labels: name of each label in a mask; 0 is background and has none.
        answers: what it can answer with, the usual one first: "mask" (one label a class), "instances" (one an object).
        parameters: number of weights.
        trainable_parameters: number of those that training changes.
        gmacs: multiply-accumulates for a 256 x 256 image, in 10^9.
        paper: where the network was published.
        good_at: one sentence for the person who chooses.
        modalities: kinds of images.
        data: what the weights were trained on, with its licence and whom to credit.
        licence: of the weights, or of the code where there are none.
        recipe: how the weights were trained, in the words of the training script.
        metrics: figures by name, e.g. "dice_median", measured on images not trained on.
        date: of the training, ISO 8601.
        sha256: of the weights file; empty if there is none.

    Raises:
        ModelError: a network that cannot be: cards come with files from anywhere.
    """

    name: str
    title: str
    network: str
    in_channels: int = 3
    classes: int = 1
    config: dict[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    labels: dict[int, str] = field(default_factory=lambda: {1: "object"})
    answers: tuple[str, ...] = ("mask",)
    parameters: int = 0
    trainable_parameters: int = 0
    gmacs: float | None = None
    paper: str = ""
    good_at: str = ""
    modalities: tuple[str, ...] = ()
    data: str = ""
    licence: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    date: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        counted = {"in_channels": self.in_channels, "classes": self.classes}  # labels are uint8 on their way
        wrong: dict[str, Any] = {name: n for name, n in counted.items() if type(n) is not int or not 1 <= n <= 256}
        if type(self.scale) not in (int, float) or not (math.isfinite(self.scale) and 1 / 64 <= self.scale <= 64):
            wrong["scale"] = self.scale
        if not isinstance(self.network, str) or not isinstance(self.config, dict):
            wrong["network"] = (self.network, self.config)
        if wrong:
            said = ", ".join(f"{name} {value!r:.60}" for name, value in wrong.items())
            raise ModelError(f"The card of '{self.name}' describes a network that cannot be: {said}.")

    @property
    def has_weights(self) -> bool:
        """False: an untrained network, which knows nothing yet."""
        return bool(self.sha256)

    def to_json(self) -> str:
        """The card as text; `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """A card from its text.

        Raises:
            ModelError: not a card, or one of a later version of this program.
        """
        try:
            values = json.loads(text)
            values["labels"] = {int(label): str(name) for label, name in values.get("labels", {1: "object"}).items()}
            values["answers"] = tuple(values.get("answers", ("mask",)))
            values["modalities"] = tuple(values.get("modalities", ()))
            return cls(**values)
        except ModelError:
            raise
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"This is not a model card, or one of a later version of MedSeg: {error}.") from error


def list_models() -> list[ModelCard]:
    """All cards that come with the package: those with weights first."""
    cards = [ModelCard.from_json(path.read_text("utf-8")) for path in sorted(SHIPPED.glob("*.json"))]
    return sorted(cards, key=lambda card: not card.has_weights)


def find_card(name: str) -> ModelCard:
    """The shipped card of that name.

    Raises:
        ModelError: there is none; says which there are.
    """
    cards = {card.name: card for card in list_models()}
    if name not in cards:
        near = difflib.get_close_matches(name, cards, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ModelError(f"There is no model '{name}'; there are: {', '.join(cards)}, or a .safetensors file.{hint}")
    return cards[name]
