"""Weights on disk: a safetensors file, and its card as JSON beside it.

Pickles are never opened: one can run any program on the machine that opens it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from . import durable
from .cards import SHIPPED, ModelCard, find_card, read_card
from .errors import ModelError
from .registry import PUBLISHED_ENCODERS, create_model

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
    header = {name: getattr(card, name) for name in ("network", "in_channels", "classes", "config", "scale", "tile")}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    content = safetensors.torch.save(weights, {"medseg": json.dumps(header)})
    card = replace(
        card,
        sha256=hashlib.sha256(content).hexdigest(),
        parameters=sum(p.numel() for p in model.parameters()),
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
    )
    return content, card


def with_encoder(card: ModelCard, file: Path) -> nn.Module:
    """A card's network with published weights in its encoder and fresh ones elsewhere; it has a card of its own.

    A paper's encoder that is frozen under such weights is so again whenever the network is saved and loaded.

    Args:
        card: of an untrained network.
        file: weights of its encoder as they were published, see `create_model`. SAM 2's trunks of other sizes than the
            card's are told by the names of their files.

    Raises:
        ModelError: the network takes no such weights, or the file does not fit it.
    """
    if card.network not in PUBLISHED_ENCODERS:
        able = ", ".join(PUBLISHED_ENCODERS)
        raise ModelError(
            f"'{file.name}' cannot be used: '{card.name}' has no encoder of which weights were published; it learns "
            f"from scratch. The networks that have one are {able}."
        )
    config = dict(card.config)
    if card.network == "hastnet" and (size := re.search("tiny|small|base_plus|large", file.name)):
        config["variant"] = size[0]
    network = create_model(
        card.network, in_channels=card.in_channels, classes=card.classes, encoder_weights=file, **config
    )
    if any(not parameter.requires_grad for parameter in network.parameters()):
        config["freeze"] = True
    network.card = replace(  # type: ignore[assignment]
        card,
        title=f"{card.title.removesuffix(', untrained')} with {file.stem}, untrained",
        config=config,
        data=f"The encoder's weights are those of the file '{file.name}'.",
        encoder_only=True,
        weights_from="",
    )
    return network.eval()


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
    if pretrained:
        assert path is not None
        weights = _read_weights(path)
        with torch.device("meta"):  # without memory: a card may claim more than there is
            _compare(_create(card).state_dict(), weights, path)
        network = _create(card)
        network.load_state_dict(weights)
    else:
        network = _create(card)
    network.card = card  # type: ignore[assignment]
    return network.eval()


def resolve_model(model: str | Path) -> tuple[Path | None, ModelCard]:
    """The weights file (None if there is none) and the card that a name or a path stands for."""
    path = Path(model)
    if path.suffix != ".safetensors" and not path.is_file():
        card = find_card(str(model))
        return (SHIPPED / f"{card.name}.safetensors" if card.has_weights else None), card
    if not path.is_file():
        raise ModelError(f"There is no weights file '{path}'.")
    try:
        header, sha256 = _read_header(path), _hash(path)
        beside = path.with_suffix(".json")
        has_card = beside.is_file()
    except OSError as error:
        raise ModelError(f"'{path.name}' cannot be read: {error.strerror or error}.") from error
    if not has_card:
        described = header | {"name": path.stem, "title": path.stem, "sha256": sha256}
        return path, ModelCard.from_json(json.dumps(described))
    card = read_card(beside)
    if card.sha256 != sha256:
        raise ModelError(
            f"'{path.name}' is not the file that its card describes: it was damaged or exchanged. Get both again."
        )
    return path, card


def _read_header(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "pt") as file:
            described = (file.metadata() or {}).get("medseg")
    except SafetensorError as error:
        with path.open("rb") as file:
            start = file.read(2)
        if start == b"PK" or start[:1] == b"\x80":  # looked at only now: the length of a sound header may begin so, too
            raise ModelError(
                f"'{path.name}' is a pickled checkpoint, which could run any program on this computer. "
                "MedSeg opens .safetensors files only; ask for the weights in that format."
            ) from error
        raise ModelError(f"'{path.name}' is not a weights file, or is damaged: {error}.") from error
    if described is None:
        raise ModelError(f"'{path.name}' does not say which network it belongs to; it was not written by MedSeg.")
    try:
        header: dict[str, Any] = {**json.loads(described)}
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"'{path.name}' does not say rightly which network it belongs to: {error}.") from error
    return header


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return dict(safetensors.torch.load_file(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"'{path.name}' is not a weights file, or is damaged: {error}.") from error


def _create(card: ModelCard) -> nn.Module:
    """The card's network with fresh weights. Cards come from anywhere, so none may have weights fetched or files read.

    Raises:
        ModelError: a network or options that there are not.
    """
    reaching = [name for name, value in card.config.items() if (name in _REACHING and value) or not _is_plain(value)]
    if reaching:
        raise ModelError(
            f"The card of '{card.name}' wants weights or files from elsewhere ({', '.join(reaching)[:60]}), which no "
            "card may. Ask whoever made it for all weights in one .safetensors file."
        )
    try:
        return create_model(card.network, in_channels=card.in_channels, classes=card.classes, **card.config)
    except TypeError as error:  # an option that is none, or given twice
        raise ModelError(f"The network of '{card.name}' cannot be created: {error}.") from error


_REACHING = ("pretrained", "encoder_weights", "weights")
"""Options of `create_model` that fetch or read weights."""


def _is_plain(value: Any) -> bool:
    """No text that timm or torch would take for an address or a path, such as "hf-hub:..." or "/tmp/..."."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or bool(re.fullmatch(r"[\w.-]{0,80}", value))


def _compare(own: dict[str, Tensor], weights: dict[str, Tensor], path: Path) -> None:
    """Raise unless names and shapes are the same."""
    missing = sorted(own.keys() - weights.keys())
    unknown = sorted(weights.keys() - own.keys())
    shaped = sorted(name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape)
    if missing or unknown or shaped:
        lines = {"missing": missing, "not of this network": unknown, "of another size": shaped}
        found = "; ".join(
            f"{len(names)} {what} ({', '.join(names[:3])}, ...)" for what, names in lines.items() if names
        )
        raise ModelError(f"'{path.name}' holds weights of another network: {found}.")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
