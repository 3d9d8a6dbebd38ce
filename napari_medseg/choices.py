"""What can be picked as a model: the shipped cards, and the versions in this project."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from napari_medseg.models.cards import ModelCard, list_models
from napari_medseg.trainer.ledger import Ledger, ModelVersion

from .state import ModelChoice


def choices(ledger: Ledger) -> tuple[ModelChoice, ...]:
    """The active version first, then the other versions, newest first, then the cards."""
    versions = ledger.models()
    active_first = [v for v in versions if v.active] + [v for v in reversed(versions) if not v.active]
    return (*map(_of_version, active_first), *map(_of_card, list_models()))


def version_rows(ledger: Ledger) -> tuple[dict[str, Any], ...]:
    """The versions as the panel lists them, newest first, and what they were made from, last.

    Each has name, dice_before, dice_after, held_out (how many cases that is over), active and reason.
    """
    versions = ledger.models()
    if not versions:
        return ()
    active = ledger.active()
    made = {version.name for version in versions}
    begun_with = dict.fromkeys([version.base for version in versions] + [active])
    rows: list[dict[str, Any]] = [
        {
            "name": version.name,
            "dice_before": _mean(version.metrics.get("dice_before")),
            "dice_after": _mean(version.metrics.get("dice_after")),
            "active": version.active,
            "reason": version.reason,
            "held_out": len(version.metrics.get("held_out", ())),
        }
        for version in reversed(versions)
    ]
    for name in begun_with:
        if name not in made:
            came = {"name": name, "dice_before": None, "dice_after": None, "held_out": 0}
            rows.append(came | {"active": name == active, "reason": "What versions here were made from."})
    return tuple(rows)


def _of_card(card: ModelCard) -> ModelChoice:
    return _choice(card, card.name, card.title)


def _of_version(version: ModelVersion) -> ModelChoice:
    card = ModelCard.from_json(json.dumps(version.card))
    figures = _mean(version.metrics.get("dice_after"))
    state = "active" if version.active else "not active"
    judged = f"Held-out Dice {figures:.3f}" if figures is not None else "Not compared yet"
    choice = _choice(card, version.name, f"{version.name}: {card.title}")
    about = f"Made here from {version.base}; {state}. {judged}." if choice.trained else card.data
    return replace(choice, about=about, weights_from="", version=True)


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
        trained=card.trained,
        weights_from=card.weights_from,
    )


def _mean(values: Any) -> float | None:
    return sum(values) / len(values) if values else None
