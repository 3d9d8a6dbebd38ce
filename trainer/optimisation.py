"""How weights follow their gradients: the optimiser, and its learning rate over the training."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from .config import TrainingConfig

POWER = 0.9
"""Of the polynomial schedule."""


def optimiser_for(config: TrainingConfig, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser that the configuration names, for the weights that learn."""
    options = {"lr": config.lr, "weight_decay": config.weight_decay}
    weights = [weight for weight in weights if weight.requires_grad]
    if config.optimiser == "sgd":
        return torch.optim.SGD(weights, momentum=config.momentum, **options)
    return {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[config.optimiser](weights, **options)


def learning_rate(config: TrainingConfig, share: float) -> float:
    """The learning rate when `share` of the training is done.

    1. In the warm-up a linear rise to the peak.
    2. Then, with t from 0 to 1 over the rest, a share of the peak that goes from 1 to `final`: by half waves of a
       cosine, by (1 - t)^0.9, or not at all.
    """
    if share < config.warmup:
        return config.lr * max(config.warmup_from + (1 - config.warmup_from) * share / config.warmup, 0.01)
    t = min((share - config.warmup) / (1 - config.warmup), 1)
    if config.schedule == "constant":
        return config.lr
    fall = (1 - t) ** POWER if config.schedule == "poly" else 0.5 * (1 + math.cos(math.pi * config.half_waves * t))
    return config.lr * (config.final + (1 - config.final) * fall)
