"""The predictor's work; imports torch, so it runs in the engine's predictor process and never in a window."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from ..checkpoints import load_model, resolve_model
from ..devices import choose_device, use_threads
from ..image import MedicalImage
from ..inference import predict
from ..prediction import Prediction
from .gate import GATE

if TYPE_CHECKING:
    from torch import nn


def segment(
    image: MedicalImage,
    model: str,
    *,
    progress: Callable[[float], None],
    cancel: Callable[[], bool],
    **options: Any,
) -> Prediction:
    """`predict` with a network that stays loaded between calls, and that lets prompts go first.

    `model` is a name or a weights file.
    """
    use_threads()
    return predict(network_of(model), image, progress=progress, cancel=cancel, give_way=GATE.wait, **options)


def network_of(model: str) -> nn.Module:
    """The network of a name or a weights file, which stays loaded."""
    path, card = resolve_model(model)
    return _network(str(path or model), card.sha256)


def device_name() -> str:
    """What the networks run on, for people: "CPU" or the GPU's name."""
    device = choose_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


@lru_cache(maxsize=2)  # the largest take 0.9 GB each
def _network(model: str, sha256: str) -> nn.Module:
    """A loaded network; the hash makes exchanged weights another one."""
    return load_model(model)
