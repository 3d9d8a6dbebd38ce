"""What the labels of a project's masks are called."""

from __future__ import annotations

import json

from napari_medseg.models.cards import ModelCard, find_card
from napari_medseg.models.errors import ModelError

from .ledger import Ledger


def label_names(ledger: Ledger) -> dict[int, str]:
    """What the active model calls its classes; {} if it has one class, or nobody knows the model."""
    active = ledger.active()
    version = next((version for version in ledger.models() if version.name == active), None)
    try:
        card = ModelCard.from_json(json.dumps(version.card)) if version else find_card(active)
    except ModelError:
        return {}
    return dict(card.labels) if card.classes > 1 else {}
