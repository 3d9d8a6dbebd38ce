"""Encoders of timm, and their published weights: fetched by timm when asked to, or read from a local file.

A file is in timm's format (`.safetensors`, `.pth`, `.bin`), of which a classifier is left out, or, for a Hiera trunk,
as published with SAM 2: `sam2_hiera_*.pt` and `sam2.1_hiera_*.pt` hold the whole of SAM 2, of which the trunk is taken.
Source of the latter: `SAM 2: Segment Anything in Images and Videos`, https://arxiv.org/abs/2408.00714 (Apache-2.0).
Pickled files are opened by torch's reader of weights only, which runs no programs.
"""

from __future__ import annotations

import difflib
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from safetensors import SafetensorError
from timm.models import adapt_input_conv
from torch import Tensor, nn

from .errors import ModelError

SAM2_TRUNK = "image_encoder.trunk."


def create_encoder(name: str, *, in_channels: int, pretrained: bool = False, **options: Any) -> nn.Module:
    """A network of timm.

    Args:
        name: one of `timm.list_models()`; nothing is looked for elsewhere.
        in_channels: channels of the image.
        pretrained: let timm fetch the published weights; only then is anything downloaded.
        **options: further ones of `timm.create_model`.

    Raises:
        ModelError: no such network, or its published weights cannot be had.
    """
    if not timm.is_model(str(name)):
        near = difflib.get_close_matches(str(name), timm.list_models(), 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ModelError(f"timm has no encoder '{name}'.{hint}")
    try:
        return timm.create_model(name, pretrained=pretrained, in_chans=in_channels, **options)
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise ModelError(
            f"The published weights of '{name}' cannot be fetched; give a local file as encoder_weights, or create "
            "the network without them."
        ) from error


def load_encoder(encoder: nn.Module, name: str, path: str | Path) -> None:
    """Fill an encoder from a file.

    A stem for other than three channels gets the file's, summed or repeated over them.

    Args:
        encoder: what `create_encoder` gave, or a part of it.
        name: of the network in timm.
        path: the file.

    Raises:
        ModelError: the file is missing or damaged, or holds another or an incomplete network; nothing was loaded.
    """
    path = Path(path)
    weights, expected = _as_timm(_read(path), path), encoder.state_dict()
    with torch.device("meta"):  # without memory: only the names are wanted
        whole = timm.create_model(name)
    left_out = whole.state_dict().keys()
    for stem in _stems(whole):
        if stem in weights:
            weights[stem] = _adapted(weights[stem], expected[_own_name(stem, expected)])
    own = {_own_name(key, expected): value for key, value in weights.items()}
    own = {key: value for key, value in own.items() if key in expected or key not in left_out}
    if problems := _problems(expected, own):
        raise ModelError(
            f"'{path.name}' does not fit the encoder '{name}': {'; '.join(problems)}. "
            "Choose the encoder that the file was made for, or get the file again."
        )
    encoder.load_state_dict(own)


def _read(path: Path) -> Mapping[str, Any]:
    content: Any
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"There is no weights file '{path}'.") from error
    except pickle.UnpicklingError as error:  # what else it holds could be a program
        raise ModelError(f"'{path.name}' holds more than weights, or none, and was not opened.") from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(f"'{path.name}' cannot be read; it is damaged or no weights file.") from error
    for wrapper in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise ModelError(f"'{path.name}' holds a {type(content).__name__}, not named weights.")
    return content


def _as_timm(weights: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The weights under timm's names; of SAM 2 the trunk."""
    weights = {str(key): value for key, value in weights.items()}
    if any(key.startswith(SAM2_TRUNK) for key in weights):
        weights = {
            key.removeprefix(SAM2_TRUNK).replace("mlp.layers.0", "mlp.fc1").replace("mlp.layers.1", "mlp.fc2"): value
            for key, value in weights.items()
            if key.startswith(SAM2_TRUNK)
        }
    if strangers := [key for key, value in weights.items() if not isinstance(value, Tensor)]:
        raise ModelError(f"'{path.name}' holds something else than weights under {_listed(strangers)}.")
    return weights


def _stems(whole: nn.Module) -> list[str]:
    """Names of the kernels that meet the image."""
    convolutions = whole.pretrained_cfg.get("first_conv") or ()
    return [f"{name}.weight" for name in ([convolutions] if isinstance(convolutions, str) else convolutions)]


def _adapted(stem: Tensor, own: Tensor) -> Tensor:
    """A stem for three channels, made for as many as ours has."""
    channels = own.shape[1]
    return adapt_input_conv(channels, stem) if stem.shape[1:2] == (3,) and channels != 3 else stem


def _own_name(key: str, expected: Collection[str]) -> str:
    """A weight's name where timm gives the maps of a network: parts of a sequence may stand side by side there."""
    flat = key.replace(".", "_", 1)
    return flat if flat in expected else key


def _problems(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    missing = [key for key in expected if key not in weights]
    unknown = [key for key in weights if key not in expected]
    reshaped = [key for key in expected if key in weights and weights[key].shape != expected[key].shape]
    found = {"missing": missing, "of another size": reshaped, "not of this encoder": unknown}
    return [f"{len(keys)} of its weights are {what}: {_listed(keys)}" for what, keys in found.items() if keys]


def _listed(keys: Collection[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(list(keys)[:most]) + more
