"""The training loop: plain, and a generator, so that whoever runs it sees each step and may stop after any.

Nothing in it knows about ledgers, folders or windows; fine-tuning, training from a folder and the script that made the
shipped weights all run it.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from napari_medseg.models.adstnet.wrapper import AdSTNet, adstnet_loss
from napari_medseg.models.devices import choose_device, choose_precision
from napari_medseg.models.durable import write
from napari_medseg.models.errors import ModelError
from napari_medseg.models.losses import segmentation_loss

from .config import TrainingConfig
from .memory import free_memory, is_out_of_memory
from .optimisation import learning_rate
from .planes import IGNORED
from .samples import Batches
from .supply import Batch, batches_from

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """What one step came to: its number from 1, its loss, and the share of the training that is done."""

    number: int
    loss: float
    share: float


@dataclass
class TrainingState:
    """All that a training needs to go on after its process died."""

    network: nn.Module  # being trained; perhaps with AdSTNet's head on
    averaged: nn.Module  # running mean of its weights
    optimiser: torch.optim.Optimizer
    step: int = 0  # steps done
    elapsed: float = 0.0  # s spent in them
    cases: list[int] = field(default_factory=list)  # ids of what it learns from, if others may come meanwhile
    at_once: int | None = None  # crops that fit into memory; None: no batch was too large yet
    notes: dict[str, float] = field(default_factory=dict)  # what whoever runs the training wants to find again

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
            "at_once": self.at_once,
            "notes": self.notes,
        }

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Go back to where `to_checkpoint` was called."""
        self.network.load_state_dict(checkpoint["network"])
        self.averaged.load_state_dict(checkpoint["averaged"])
        self.optimiser.load_state_dict(checkpoint["optimiser"])
        self.step, self.elapsed = checkpoint["step"], checkpoint["elapsed"]
        self.cases = checkpoint.get("cases", self.cases)
        self.at_once, self.notes = checkpoint.get("at_once"), checkpoint.get("notes", {})

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


def all_devices() -> Fabric:
    """Every GPU of this machine, in 16 bits where that is exact enough; the CPU, in 32, where there is none.

    Several GPUs need a process each, which `Fabric.launch` starts.
    """
    place = choose_device()
    half = "bf16-mixed" if choose_precision("auto", place) == torch.bfloat16 else "16-mixed"
    several = place.type == "cuda" and torch.cuda.device_count() > 1
    return Fabric(
        accelerator="auto",
        devices="auto" if place.type == "cuda" else 1,
        strategy="ddp_find_unused_parameters_true" if several else "auto",  # not all networks use all their weights
        precision=half if place.type == "cuda" else "32-true",
    )


def train(
    fabric: Fabric, state: TrainingState, batches: Batches, config: TrainingConfig, classes: int, *, workers: int = 0
) -> Iterator[Step]:
    """Train until the configuration's steps or seconds are used up; `state` is up to date at each yield.

    Args:
        fabric: decides devices and precision.
        state: where to begin; network and optimiser as `fabric.setup` gave them. A network that is an `AdSTNet` learns
            what AdSTNet learns.
        batches: what each step learns from.
        config: how long and how hard.
        classes: logit channels of the network.
        workers: processes that prepare batches; 0: this one does it between the steps.

    Raises:
        ModelError: not even one crop fits into the memory.
    """
    head = isinstance(_unwrapped(state.network), AdSTNet)
    loss_of = _loss(config, classes, head)
    state.network.train()
    coming = batches_from(batches, state.step, config.steps, targets=classes if head else None, workers=workers)
    while (share := _share(fabric, state, config)) < 1:
        started = time.monotonic()
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(config, share)
        loss = _learn(fabric, state, loss_of, next(coming), config)
        if share < config.frozen:
            _forget_encoder_gradients(state)
        if config.clip is not None:
            fabric.clip_gradients(state.network, state.optimiser, max_norm=config.clip)
        state.optimiser.step()
        state.optimiser.zero_grad(set_to_none=True)
        _average(state, config)
        state.step += 1
        state.elapsed += time.monotonic() - started
        yield Step(state.step, loss, min(1.0, state.share(config)))


def _loss(config: TrainingConfig, classes: int, head: bool) -> Callable[..., Tensor]:
    ignore = None if config.ignore is None else IGNORED
    own = segmentation_loss(classes, config.loss, ignore=ignore, weights=config.head_weights)
    return adstnet_loss(own, classes, ignore) if head else own


def _share(fabric: Fabric, state: TrainingState, config: TrainingConfig) -> float:
    """How much is done; by the first device's clock, since all must make the same number of steps."""
    share = state.share(config)
    return fabric.broadcast(share) if config.seconds and fabric.world_size > 1 else share


def _learn(
    fabric: Fabric, state: TrainingState, loss_of: Callable[..., Tensor], batch: Batch, config: TrainingConfig
) -> float:
    """Leave the gradient of a batch in the network and return its loss; in smaller parts if memory is short."""
    size = len(batch[0])
    while True:
        at_once = min(state.at_once or size, size)
        # What is dropped at random depends on the step alone, so that a training that was killed goes on exactly.
        entropy = np.random.SeedSequence((config.seed, state.step, fabric.global_rank))
        torch.manual_seed(int(entropy.generate_state(1)[0]))
        try:
            return _accumulated(fabric, state.network, loss_of, batch, at_once)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if at_once == 1 or fabric.world_size > 1:  # the other devices would wait for this one's gradient for ever
                side, crops = batch[0].shape[-1], "1 crop" if at_once == 1 else f"{at_once} crops"
                raise ModelError(
                    f"The memory of {_called(fabric)} is too small for this network to learn from {crops} of {side} px "
                    "at once. Choose smaller crops, a smaller network or another device."
                ) from error
        state.optimiser.zero_grad(set_to_none=True)
        state.at_once = (at_once + 1) // 2
        free_memory()
        _log.warning(
            "The memory of %s is too small for %d crops at once; going on with %d at once, %d in a step as before.",
            *(_called(fabric), at_once, state.at_once, size),
        )


def _accumulated(
    fabric: Fabric, network: nn.Module, loss_of: Callable[..., Tensor], batch: Batch, at_once: int
) -> float:
    """Sum the gradient over parts of a batch; the loss is the mean over its crops."""
    size = len(batch[0])
    total = 0.0
    for first in range(0, size, at_once):
        images, *truth = (part[first : first + at_once].to(fabric.device) for part in batch)
        last = first + at_once >= size
        with fabric.no_backward_sync(network, enabled=not last):
            answer = network(images.contiguous(memory_format=torch.channels_last))
            loss = loss_of(answer, *truth) * (len(images) / size)
            fabric.backward(loss)
        total += float(loss.detach())
    return total


def _unwrapped(network: nn.Module) -> nn.Module:
    """The network that Fabric wrapped."""
    inner = getattr(network, "module", network)
    return inner if isinstance(inner, nn.Module) else network


def bare(network: nn.Module) -> nn.Module:
    """The network itself, without what Fabric and AdSTNet put around it."""
    inner = _unwrapped(network)
    return inner.network if isinstance(inner, AdSTNet) else inner


def _forget_encoder_gradients(state: TrainingState) -> None:
    """An optimiser passes over weights without a gradient."""
    for weight in bare(state.network).encoder.parameters():  # type: ignore[union-attr]
        weight.grad = None


def _called(fabric: Fabric) -> str:
    return "this computer" if fabric.device.type == "cpu" else "the GPU"


@torch.no_grad()
def _average(state: TrainingState, config: TrainingConfig) -> None:
    """Move the averaged weights towards the new ones; faster in the first steps, which are far from the rest."""
    decay = min(config.average, (1 + state.step) / (10 + state.step))
    new = bare(state.network).state_dict()
    for name, mean in state.averaged.state_dict().items():
        if mean.data_ptr() == new[name].data_ptr():
            continue  # frozen, and held once
        if mean.dtype.is_floating_point:
            mean.lerp_(new[name].to(mean.dtype), 1 - decay)
        else:
            mean.copy_(new[name])
