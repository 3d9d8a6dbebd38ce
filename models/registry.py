"""Networks by name."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ModelError

if TYPE_CHECKING:
    from torch import nn

NETWORKS = {
    "unet": ".unet:UNet",
    "ascseg": ".ascseg:ASCSeg",
    "hastnet": ".hastnet:HASTNet",
    "msa2net": ".msa2net:MSA2Net",
    "sosegformer": ".sosegformer:SoSegFormer",
}
"""Name of each network and where its class is; imported when it is asked for."""

PUBLISHED_ENCODERS = ("hastnet", "msa2net", "sosegformer")
"""Networks whose encoder has published weights, which timm fetches when asked to, or which a file may hold."""


def create_model(
    name: str,
    *,
    in_channels: int = 3,
    classes: int = 1,
    pretrained: bool = False,
    encoder_weights: str | Path | None = None,
    **config: Any,
) -> nn.Module:
    """A network with fresh weights.

    Args:
        name: one of `NETWORKS`.
        in_channels: channels of its input, >= 1.
        classes: 1 for one binary logit channel, n >= 2 for a softmax over n classes.
        pretrained: let timm fetch the published weights of the encoder, for networks whose encoder has some. Nothing is
            downloaded otherwise.
        encoder_weights: a local file of them, in timm's format or, for HASTNet, as published with SAM 2.
        **config: the network's own options, e.g. `base=16` for the U-Net.

    Returns:
        A module that maps (B, in_channels, H, W), H and W >= 32, to logits (B, classes, H, W); in training to
        a list of logits, finest first.

    Raises:
        ModelError: a name, a number or an option that does not exist, or weights that do not fit or cannot be had.
    """
    if name not in NETWORKS:
        near = difflib.get_close_matches(name, NETWORKS, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ModelError(f"There is no network '{name}'; there are: {', '.join(NETWORKS)}.{hint}")
    if in_channels < 1 or classes < 1:
        raise ModelError(f"A network needs at least one channel and one class, not {in_channels} and {classes}.")
    weights: dict[str, Any] = {"pretrained": pretrained, "encoder_weights": encoder_weights}
    if name not in PUBLISHED_ENCODERS:
        if any(weights.values()):
            raise ModelError(
                f"'{name}' has no published encoder weights; create it with pretrained=False and without "
                f"encoder_weights. Those that have some: {', '.join(PUBLISHED_ENCODERS)}."
            )
        weights = {}
    module, _, class_name = NETWORKS[name].partition(":")
    network = getattr(importlib.import_module(module, __package__), class_name)
    try:
        return network(in_channels=in_channels, classes=classes, **config, **weights)
    except ModelError:
        raise
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:  # torch's word for too little memory, too
        reason = str(error).partition("\n")[0]  # torch adds its own stack
        raise ModelError(f"'{name}' cannot be created with {config}: {reason}.") from error
