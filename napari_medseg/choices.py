"""What can be picked as a model: the shipped cards, the versions made in this project, and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_medseg.models.cards import ModelCard, list_models
from napari_medseg.models.errors import ModelError
from napari_medseg.trainer.ledger import Ledger, ModelVersion

from .state import ModelChoice


def choices(ledger: Ledger) -> tuple[ModelChoice, ...]:
    """The active version first, then the other versions, newest first, then the cards."""
    versions = ledger.models()
    active_first = [v for v in versions if v.active] + [v for v in reversed(versions) if not v.active]
    return (*map(_of_version, active_first), *map(_of_card, list_models()))


def choice_of_file(path: Path) -> ModelChoice:
    """A weights file; its card is the `.json` beside it.

    Raises:
        ModelError: no card beside it, or one that cannot be read.
    """
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise ModelError(f"'{path.name}' has no card beside it ('{beside.name}'); put both into one folder.")
    card = ModelCard.from_json(beside.read_text("utf-8"))
    return _choice(card, str(path), f"{card.title} ({path.name})")


def version_rows(ledger: Ledger) -> tuple[dict[str, Any], ...]:
    """The versions as the panel lists them, newest first: name, dice_before, dice_after, active, reason."""
    return tuple(
        {
            "name": version.name,
            "dice_before": _mean(version.metrics.get("dice_before")),
            "dice_after": _mean(version.metrics.get("dice_after")),
            "active": version.active,
            "reason": version.reason,
            "base": version.base,
        }
        for version in reversed(ledger.models())
    )


def engine_name(ledger: Ledger, model: str) -> str:
    """What the predictor is told to load: a version's weights file, any other name or file as it is."""
    known = {version.name for version in ledger.models()}
    return str(ledger.weights(model)) if model in known else model


def _of_card(card: ModelCard) -> ModelChoice:
    return _choice(card, card.name, card.title)


def _of_version(version: ModelVersion) -> ModelChoice:
    card = ModelCard.from_json(json.dumps(version.card))
    figures = _mean(version.metrics.get("dice_after"))
    state = "active" if version.active else "not active"
    judged = f"Held-out Dice {figures:.3f}" if figures is not None else "Not compared yet"
    choice = _choice(card, version.name, f"{version.name}: {card.title}")
    return ModelChoice(
        name=choice.name,
        title=choice.title,
        about=f"Made here from {version.base}; {state}. {judged}.",
        labels=choice.labels,
        answers=choice.answers,
        version=True,
    )


def _choice(card: ModelCard, name: str, title: str) -> ModelChoice:
    figures = (
        f" Median Dice {card.metrics['dice_median']:.2f} on images it never saw."
        if card.metrics.get("dice_median")
        else ""
    )
    return ModelChoice(
        name=name,
        title=title,
        about=f"{card.good_at}{figures}".strip(),
        labels=card.labels,
        answers=card.answers,
        trained=card.has_weights,
    )


def _mean(values: Any) -> float | None:
    return sum(values) / len(values) if values else None
