"""What a training on a folder is: who asks for what, and what was made of it. Without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_medseg.models.errors import ModelError

from .config import TrainingConfig
from .folders import Pair


@dataclass(frozen=True, kw_only=True)
class FolderRequest:
    """A training on a folder, as somebody asks for it.

    Attributes:
        folder: holds images and masks, see `folders`.
        out: folder for what is made; a training that was cut short there goes on.
        network: one of `registry.NETWORKS`.
        recipe: "published" or "quick".
        adstnet: train with AdSTNet's head on, which is dropped afterwards.
        minutes: to train for, instead of the recipe's epochs.
        steps: to train for, instead of the recipe's epochs; with `minutes` whatever is over first.
        batch: crops a step, instead of the recipe's.
        crop: side of a crop in pixels, instead of the recipe's.
        lr: peak learning rate, instead of the recipe's.
        seed: of fresh weights and random crops; which images validate does not depend on it.
        classes: 1 for a binary mask, n >= 2 with the background among them.
        labels: names of the classes 1, 2, ...
        ignore: label of pixels that count for nothing.
        empty: share of the crops of a volume that are of slices without an object, instead of the recipe's.
        context: neighbours on each side of a slice that the network reads as further channels (2.5D).
        options: of the network, beside the recipe's.
        weights: name of a card or a weights file to begin from.
        encoder_weights: a file with published weights of the network's encoder.
        pretrained: let timm fetch these.

    Raises:
        ModelError: numbers or names that cannot be.
    """

    folder: Path
    out: Path
    network: str
    recipe: str = "quick"
    adstnet: bool = False
    minutes: float | None = None
    steps: int | None = None
    batch: int | None = None
    crop: int | None = None
    lr: float | None = None
    seed: int = 0
    classes: int = 1
    labels: tuple[str, ...] = ()
    ignore: int | None = None
    empty: float | None = None
    context: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    encoder_weights: Path | None = None
    pretrained: bool = False

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("crop", 32), ("classes", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ModelError(f"{name} {value} is not possible; use {least} or more.")
        for name in ("minutes", "lr"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ModelError(f"{name} {value} is not possible; use a number above 0.")
        if self.empty is not None and not 0 <= self.empty <= 1:
            raise ModelError(f"A share of {self.empty} is not possible for empty slices; use 0 to 1.")
        if not 0 <= self.context <= 8:
            raise ModelError(f"A context of {self.context} slices is not possible; use 0 to 8.")
        if self.classes > 255:
            raise ModelError(f"{self.classes} classes are not possible; use 1 to 255.")
        wanted = max(1, self.classes - 1)
        if self.labels and len(self.labels) != wanted:
            raise ModelError(
                f"{len(self.labels)} labels were named ({', '.join(self.labels)}), but {self.classes} "
                f"class{'es have' if self.classes > 1 else ' has'} {wanted}: the background has no name."
            )
        if sum(map(bool, (self.weights, self.encoder_weights, self.pretrained))) > 1:
            raise ModelError(
                "Begin from weights, from an encoder's weights or from fetched ones; only one is possible."
            )


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """All that decides what a training on a folder makes; OUT/config.json.

    Attributes:
        network: its name.
        recipe: its recipe.
        in_channels: channels that it reads.
        classes: its logit channels.
        labels: name of each label.
        options: of `create_model`.
        scale: of the images, as the card has it.
        begins: what it begins from: "fresh weights", or the hash or name of weights.
        data: hash of the names and sizes of the files, and of who validates.
        training: how it trains.
        looks: at the validation images.
        context: neighbours on each side of a slice that the network reads, too.
    """

    network: str
    recipe: str
    in_channels: int
    classes: int
    labels: dict[int, str]
    options: dict[str, Any]
    scale: float
    begins: str
    data: str
    training: TrainingConfig
    looks: int
    context: int = 0

    def to_json(self) -> str:
        """As text; `from_json` reads it."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> FolderConfig:
        """A configuration from its text.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is none, or one of another version of this program.
        """
        values = json.loads(text)
        values["labels"] = {int(label): name for label, name in values["labels"].items()}
        return cls(**values | {"training": TrainingConfig.from_dict(values["training"])})

    def differences(self, other: FolderConfig) -> list[str]:
        """What differs from another one, in words."""
        mine, others = (asdict(config) for config in (self, other))
        mine |= mine.pop("training")
        others |= others.pop("training")
        return [
            "the images" if name == "data" else f"{name} {others[name]!r} instead of {mine[name]!r}"
            for name in mine
            if mine[name] != others[name]
        ]


def data_hash(training: Iterable[Pair], validation: Iterable[Pair]) -> str:
    """A hash of the names and sizes of all files, and of the side that they are on."""
    digest = hashlib.sha256()
    for side, pairs in (("train", training), ("val", validation)):
        for pair in pairs:
            for path in (pair.image, pair.mask):
                digest.update(f"{side} {path.parent.name}/{path.name} {path.stat().st_size}\n".encode())
    return digest.hexdigest()
