"""Whether the networks that come along are there and whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from napari_medseg.models.cards import SHIPPED, read_card
from napari_medseg.models.errors import ModelError

from ..sizes import in_bytes
from .finding import Finding, fine, wrong

PROMPTS = SHIPPED.parent / "prompts"
"""Folder of the network behind clicks and scribbles: card.json and prompts.safetensors."""

_REMEDY = (
    "Install MedSeg anew: python -m pip install --force-reinstall --no-deps napari-medseg (in a clone of the "
    "repository: git checkout models, and a dot instead of the name)."
)


def weights(shipped: Path = SHIPPED, prompts: Path = PROMPTS) -> Iterator[Finding]:
    """Whether each weights file is the one that its card was written for.

    Args:
        shipped: folder of the cards and weights.
        prompts: folder of the prompt network.
    """
    damaged: dict[str, str] = {}
    whole: dict[str, str] = {}
    for card in sorted(shipped.glob("*.json")):
        try:
            read = read_card(card)
        except ModelError:
            damaged[card.stem] = "the card cannot be read"
            continue
        if read.has_weights:
            _look(card.with_suffix(".safetensors"), read.sha256, read.name, damaged, whole)
    try:
        expected = str(json.loads((prompts / "card.json").read_text("utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        damaged["prompts"] = "the card cannot be read"
    else:
        _look(prompts / "prompts.safetensors", expected, "prompts", damaged, whole)
    if damaged:
        told = "; ".join(f"{name}: {what}" for name, what in damaged.items())
        yield wrong(f"Networks that come with MedSeg cannot be used. {told}.", _REMEDY, details=whole)
    elif len(whole) < 2:
        yield wrong("The networks that come with MedSeg are missing.", _REMEDY, details=whole)
    else:
        yield fine(f"The {len(whole)} networks that come with MedSeg are there and whole.", details=whole)


def _look(file: Path, expected: str, name: str, damaged: dict[str, str], whole: dict[str, str]) -> None:
    """Sort one weights file in."""
    try:
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        size = in_bytes(file.stat().st_size)
    except FileNotFoundError:
        damaged[name] = "the weights are missing"
    except OSError as error:
        damaged[name] = f"the weights cannot be read ({error.strerror})"
    else:
        if found == expected:
            whole[name] = size
        else:
            damaged[name] = f"the weights were truncated or changed ({size} are there)"
