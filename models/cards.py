"""Model cards: what a network or a set of weights is, what it was made from, and how good it was seen to be."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ModelError

SHIPPED = Path(__file__).parent / "weights"
"""Folder of the cards and weights that come with the package."""

ANSWERS = ("instances", "mask")
"""What a model can answer with."""

PLANES = ("slices", "consensus")
"""How a model does volumes."""

LARGEST = 2**20
"""Bytes that a card may have; a usual one has a thousand."""


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
        tile: side, in pixels, of the pieces in which it sees an image, in prediction and in fine-tuning, for a network
            that works at one size; None for one that takes any.
        highest_lr: highest learning rate of AdamW that it bears in fine-tuning; None for one that is not delicate.
        context: neighbours on each side of a slice of a volume that the network reads as further channels (2.5D), in
            their order and with its own among them; `in_channels` counts them all.
        planes: how it does volumes: "slices" one by one, or the "consensus" of slices along all three axes.
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
        encoder_only: the weights are an encoder's, published elsewhere; the rest has learned nothing yet.
        weights_from: for a card without weights: what weights there are, under which licence, and how to bring them in.

    Raises:
        ModelError: a network that cannot be, or a value of another kind: cards come with files from anywhere.
    """

    name: str
    title: str
    network: str
    in_channels: int = 3
    classes: int = 1
    config: dict[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    tile: int | None = None
    highest_lr: float | None = None
    context: int = 0
    planes: str = "slices"
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
    encoder_only: bool = False
    weights_from: str = ""

    def __post_init__(self) -> None:
        right = {
            "name": _is_text(self.name) and bool(self.name.strip()),
            "in_channels": _is_count(self.in_channels, 1, 256),
            "classes": _is_count(self.classes, 1, 256),  # labels are uint8 on their way
            "scale": _is_number(self.scale) and 1 / 64 <= self.scale <= 64,
            "tile": self.tile is None or _is_count(self.tile, 64, 4096),
            "highest_lr": self.highest_lr is None or (_is_number(self.highest_lr) and 0 < self.highest_lr <= 1),
            "context": _is_count(self.context, 0, 8)
            and _is_count(self.in_channels, 1, 256)
            and self.in_channels % (2 * self.context + 1) == 0,
            "planes": self.planes in PLANES,
            "encoder_only": isinstance(self.encoder_only, bool),
            "labels": isinstance(self.labels, dict)
            and all(_is_count(label, 1, 255) and _is_text(name) for label, name in self.labels.items()),
            "answers": _is_tuple_of(self.answers, ANSWERS.__contains__)
            and 0 < len(self.answers) == len(set(self.answers)),
            "gmacs": self.gmacs is None or (_is_number(self.gmacs) and self.gmacs >= 0),
            "modalities": _is_tuple_of(self.modalities, _is_text),
            "metrics": isinstance(self.metrics, dict)
            and all(_is_text(name) and _is_number(figure) for name, figure in self.metrics.items()),
        }
        right |= {name: isinstance(getattr(self, name), dict) for name in ("config", "recipe")}
        right |= {name: _is_count(getattr(self, name), 0, 10**15) for name in ("parameters", "trainable_parameters")}
        right |= {name: _is_text(getattr(self, name)) for name in _TEXTS}
        if wrong := [name for name, fits in right.items() if not fits]:
            said = ", ".join(f"{name} {_shown(getattr(self, name))}" for name in wrong)
            raise ModelError(f"The card of {_shown(self.name)} says what cannot be: {said}.")

    @property
    def has_weights(self) -> bool:
        """Whether there is a weights file."""
        return bool(self.sha256)

    @property
    def trained(self) -> bool:
        """False: a network that knows nothing yet, at most its encoder has learned to see."""
        return self.has_weights and not self.encoder_only

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
            values["labels"] = {int(label): name for label, name in values.get("labels", {1: "object"}).items()}
            values["answers"] = tuple(values.get("answers", ("mask",)))
            values["modalities"] = tuple(values.get("modalities", ()))
            card = cls(**values)
            card.to_json().encode()  # "\\ud800" in a card is text that no file can hold
            return card
        except ModelError:
            raise
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"This is not a model card, or one of a later version of MedSeg: {error}.") from error


def read_card(path: Path) -> ModelCard:
    """The card in a `.json` file, such as the one beside a weights file.

    Raises:
        ModelError: no such file, or it cannot be read, or it is not a card.
    """
    try:
        if not path.is_file():  # nor a pipe, which would never end
            raise ModelError(f"There is no card '{path.name}' beside the weights; put both into one folder.")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ModelError(f"The card '{path.name}' cannot be read: {error.strerror or error}.") from error
    if len(content) > LARGEST:
        raise ModelError(f"'{path.name}' is not a model card: it is larger than {LARGEST / 1e6:.0f} MB.")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"'{path.name}' is not a model card: it is not text in UTF-8. Get it again.") from error
    return ModelCard.from_json(text)


def list_models() -> list[ModelCard]:
    """All cards that come with the package: those with weights first."""
    cards = [read_card(path) for path in sorted(SHIPPED.glob("*.json"))]
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


_TEXTS = ("title", "network", "paper", "good_at", "data", "licence", "date", "sha256", "weights_from")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_number(value: Any) -> bool:
    """Finite, and no `True`; whole ones of JSON may be too large for a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_tuple_of(values: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(values, tuple) and all(map(fits, values))


def _shown(value: Any) -> str:
    """The beginning of a value as an error names it; whole numbers of JSON may be too long to be written out."""
    try:
        return f"{value!r:.60}"
    except ValueError:
        return "of too many digits"
