"""The training loop: plain, and a generator, so that whoever runs it sees each step and may stop after any.

Nothing in it knows about ledgers or windows; fine-tuning, training from a folder and the script that made the
shipped weights all run it.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import nn

from napari_medseg.models.devices import choose_device, choose_precision
from napari_medseg.models.durable import write
from napari_medseg.models.losses import segmentation_loss

from .config import TrainingConfig
from .samples import Batches


@dataclass(frozen=True)
class Step:
    """What one step came to: its number from 1, its loss, and the share of the training that is done."""

    number: int
    loss: float
    share: float


@dataclass
class TrainingState:
    """All that a training needs to go on after its process died."""

    network: nn.Module  # being trained
    averaged: nn.Module  # running mean of its weights
    optimiser: torch.optim.Optimizer
    step: int = 0  # steps done
    elapsed: float = 0.0  # s spent in them
    cases: list[int] = field(default_factory=list)  # ids of what it learns from, if others may come meanwhile

    def share(self, config: TrainingConfig) -> float:
        """How much of the training is done, 0 to 1 or a little more."""
        by_time = self.elapsed / config.seconds if config.seconds else 0.0
        return max(self.step / config.steps, by_time)

    def to_checkpoint(self) -> dict[str, Any]:
        """Tensors and numbers only, so that `torch.load(weights_only=True)` reads it."""
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            "cases": self.cases,
        }

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Go back to where `to_checkpoint` was called."""
        self.network.load_state_dict(checkpoint["network"])
        self.averaged.load_state_dict(checkpoint["averaged"])
        self.optimiser.load_state_dict(checkpoint["optimiser"])
        self.step, self.elapsed = checkpoint["step"], checkpoint["elapsed"]
        self.cases = checkpoint.get("cases", self.cases)

    def save(self, file: Path) -> None:
        """Write a checkpoint, all or nothing; `WriteError` if that cannot be done."""
        content = io.BytesIO()
        torch.save(self.to_checkpoint(), content)
        write(file, content.getvalue())

    def resume(self, file: Path) -> bool:
        """Go back to the checkpoint in `file`; whether there is one."""
        if not file.exists():
            return False
        self.restore(torch.load(file, map_location="cpu", weights_only=True))
        return True


def one_device() -> Fabric:
    """The best device of this machine, and the precision that it is good at.

    One device even where there are more: several would need a process each, which `Fabric.launch` starts.
    """
    half = choose_precision("auto", choose_device()) == torch.bfloat16
    return Fabric(accelerator="auto", devices=1, precision="bf16-mixed" if half else "32-true")


def learning_rate(config: TrainingConfig, share: float) -> float:
    """Linear rise over the warm-up, then a half cosine down to 1 % of the peak; `share` of the training is done."""
    if share < config.warmup:
        return config.lr * max(share / config.warmup, 0.01)
    rest = (share - config.warmup) / (1 - config.warmup)
    return config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(rest, 1))))


def train(
    fabric: Fabric, state: TrainingState, batches: Batches, config: TrainingConfig, classes: int
) -> Iterator[Step]:
    """Train until the configuration's steps or seconds are used up; `state` is up to date at each yield.

    Args:
        fabric: decides device and precision.
        state: where to begin; network and optimiser as `fabric.setup` gave them.
        batches: what each step learns from.
        config: how long and how hard.
        classes: logit channels of the network.
    """
    loss_of = segmentation_loss(classes)
    state.network.train()
    while (share := state.share(config)) < 1:
        started = time.monotonic()
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(config, share)
        images, labels = batches[state.step]
        images = images.to(fabric.device, memory_format=torch.channels_last)
        logits = state.network(images)
        loss = loss_of(logits, labels.to(fabric.device))
        fabric.backward(loss)
        fabric.clip_gradients(state.network, state.optimiser, max_norm=1.0)
        state.optimiser.step()
        state.optimiser.zero_grad(set_to_none=True)
        _average(state, config)
        state.step += 1
        state.elapsed += time.monotonic() - started
        yield Step(state.step, float(loss.detach()), min(1.0, state.share(config)))


@torch.no_grad()
def _average(state: TrainingState, config: TrainingConfig) -> None:
    """Move the averaged weights towards the new ones; faster in the first steps, which are far from the rest."""
    decay = min(config.average, (1 + state.step) / (10 + state.step))
    new = state.network.state_dict()
    for name, mean in state.averaged.state_dict().items():
        if mean.dtype.is_floating_point:
            mean.lerp_(new[name].to(mean.dtype), 1 - decay)
        else:
            mean.copy_(new[name])
