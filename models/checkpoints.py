"""Weights on disk: a safetensors file, and its card as JSON beside it.

Pickles are never opened: one can run any program on the machine that opens it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
from safetensors import SafetensorError, safe_open

from . import durable
from .cards import SHIPPED, ModelCard, find_card
from .errors import ModelError
from .registry import create_model

if TYPE_CHECKING:
    from torch import Tensor, nn


def save_model(model: nn.Module, path: str | Path, card: ModelCard | None = None) -> ModelCard:
    """Write weights to `path` and their card beside them (`.json`), each all or nothing.

    Args:
        model: a network of `create_model` or `load_model`.
        path: the weights file; the ending becomes `.safetensors`.
        card: what to say of it; by default the card that `model` was loaded with.

    Returns:
        The card as written, with the hash of the file and the counts of parameters.

    Raises:
        ModelError: the model has no card and none is given.
        WriteError: the folder cannot be written.
    """
    path = Path(path).with_suffix(".safetensors")
    content, card = serialise(model, card)
    durable.write(path, content)
    durable.write(path.with_suffix(".json"), card.to_json().encode())
    return card


def serialise(model: nn.Module, card: ModelCard | None = None) -> tuple[bytes, ModelCard]:
    """The bytes of a weights file and the card that belongs to them."""
    card = card or getattr(model, "card", None)
    if card is None:
        raise ModelError("This network has no card; give one, so that its weights can be found again.")
    header = {name: getattr(card, name) for name in ("network", "in_channels", "classes", "config", "scale")}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    content = safetensors.torch.save(weights, {"medseg": json.dumps(header)})
    card = replace(
        card,
        sha256=hashlib.sha256(content).hexdigest(),
        parameters=sum(p.numel() for p in model.parameters()),
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
    )
    return content, card


def load_model(model: str | Path, *, pretrained: bool = True) -> nn.Module:
    """A network with its weights, in eval mode, its card in the attribute `card`.

    Args:
        model: name of a shipped card, or a `.safetensors` file (its card is the `.json` beside it, if there is one).
        pretrained: False gives the card's network with fresh weights.

    Raises:
        ModelError: no such model, or a file that is damaged, a pickle, of another network, or not the card's.
    """
    path, card = resolve_model(model)
    if not card.has_weights and path is None:
        pretrained = False
    network = create_model(card.network, in_channels=card.in_channels, classes=card.classes, **card.config)
    if pretrained:
        assert path is not None
        _load_into(network, _read_weights(path), path)
    network.card = card  # type: ignore[assignment]
    return network.eval()


def resolve_model(model: str | Path) -> tuple[Path | None, ModelCard]:
    """The weights file (None if there is none) and the card that a name or a path stands for."""
    path = Path(model)
    if path.suffix != ".safetensors" and not path.exists():
        card = find_card(str(model))
        return (SHIPPED / f"{card.name}.safetensors" if card.has_weights else None), card
    if not path.is_file():
        raise ModelError(f"There is no weights file '{path}'.")
    header = _read_header(path)
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return path, ModelCard(name=path.stem, title=path.stem, sha256=_hash(path), **header)
    card = ModelCard.from_json(beside.read_text("utf-8"))
    if card.sha256 != _hash(path):
        raise ModelError(
            f"'{path.name}' is not the file that its card describes: it was damaged or exchanged. Get both again."
        )
    return path, card


def _read_header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        start = file.read(8)
    if start[:2] in (b"PK", b"\x80\x02") or start[:1] == b"\x80":
        raise ModelError(
            f"'{path.name}' is a pickled checkpoint, which could run any program on this computer. "
            "MedSeg opens .safetensors files only; ask for the weights in that format."
        )
    try:
        with safe_open(path, "pt") as file:
            described = (file.metadata() or {}).get("medseg")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"'{path.name}' is not a weights file, or is damaged: {error}.") from error
    if described is None:
        raise ModelError(f"'{path.name}' does not say which network it belongs to; it was not written by MedSeg.")
    return dict(json.loads(described))


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return dict(safetensors.torch.load_file(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"'{path.name}' is not a weights file, or is damaged: {error}.") from error


def _load_into(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    own = network.state_dict()
    missing = sorted(own.keys() - weights.keys())
    unknown = sorted(weights.keys() - own.keys())
    shaped = sorted(name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape)
    if missing or unknown or shaped:
        lines = {"missing": missing, "not of this network": unknown, "of another size": shaped}
        found = "; ".join(
            f"{len(names)} {what} ({', '.join(names[:3])}, ...)" for what, names in lines.items() if names
        )
        raise ModelError(f"'{path.name}' holds weights of another network: {found}.")
    network.load_state_dict(weights)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
