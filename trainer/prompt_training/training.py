"""Training of the network behind prompts: a few rounds of simulated corrections a step, all of them learned from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from napari_medseg.models.devices import fastest_precision
from napari_medseg.models.prompts.channels import MASK, MASKED, NEGATIVE, POSITIVE, stamp
from napari_medseg.models.prompts.network import PROMPT_CHANNELS, Answer, PromptNetwork, normalised
from napari_medseg.models.prompts.shipped import load_network

from . import simulation
from .cases import Case, Cases
from .history import carried, corrected

CARRIED = 0.1
"""Share of corrections that only begin, and do so with the object of a neighbouring slice."""


@dataclass(frozen=True)
class PromptConfig:
    """How to train.

    Attributes:
        minutes: wall-clock time.
        batch: windows a step.
        rounds: corrections a step.
        lr: highest learning rate of AdamW.
        warmup: share of the time in which it rises.
        average: of the running mean of the weights, which is what is kept.
        drawn: synthetic images in the pool.
        share: of windows that come from synthetic images.
        seed: of everything random.
        begin: weights file to begin with; "" for random weights.
    """

    minutes: float = 60.0
    batch: int = 16
    rounds: int = 3
    lr: float = 2e-3
    warmup: float = 0.03
    average: float = 0.998
    drawn: int = 2000
    share: float = 0.6
    seed: int = 0
    begin: str = ""


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        share: of its time.
        step: number of it.
        loss: mean over the rounds.
        iou: mean over the batch after each round.
    """

    share: float
    step: int
    loss: float
    iou: tuple[float, ...]


def train(cases: Cases, config: PromptConfig, checkpoint: Path) -> Iterator[Progress]:
    """Train until the time is over, and go on from the checkpoint if there is one; it holds the averaged weights."""
    torch.manual_seed(config.seed)
    network = (
        (load_network(config.begin) if config.begin else PromptNetwork()).to(memory_format=torch.channels_last).train()
    )
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.average), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=1e-2)
    kept = {"network": network, "averaged": averaged, "optimiser": optimiser}
    step, before = _resume(checkpoint, kept)
    began = saved = time.monotonic()
    while (share := (before + time.monotonic() - began) / (60 * config.minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = config.lr * rate(share, config.warmup)
        batch = [cases.next() for _ in range(config.batch)]
        losses, scores = learn(network, batch, config.rounds, cases.rng)
        optimiser.zero_grad(set_to_none=True)
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        averaged.update_parameters(network)
        step += 1
        yield Progress(share, step, float(losses.detach().mean()), tuple(scores))
        if time.monotonic() - saved > 60:
            saved = time.monotonic()
            _save(checkpoint, kept, step, before + saved - began, config)
    _save(checkpoint, kept, step, before + time.monotonic() - began, config)


def averaged_network(checkpoint: Path) -> PromptNetwork:
    """The network with the running mean of the weights, from a checkpoint of `train`."""
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")["averaged"]
    network = PromptNetwork()
    network.load_state_dict({name[7:]: values for name, values in state.items() if name.startswith("module.")})
    return network.eval()


@torch.no_grad()
def settle(network: PromptNetwork, cases: Cases, config: PromptConfig, batches: int = 60) -> None:
    """Measure the means and deviations of batch normalisation anew: those of averaged weights are not averages."""
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # all batches count alike
    network.train()
    for _ in range(batches):
        learn(network, [cases.next() for _ in range(config.batch)], config.rounds, cases.rng)
    network.eval()


def rate(share: float, warmup: float) -> float:
    """Share of the highest learning rate: a linear rise, then half a cosine down to a hundredth."""
    if share < warmup:
        return share / warmup
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup))) / 2


def learn(
    network: PromptNetwork, batch: list[Case], rounds: int, rng: np.random.Generator
) -> tuple[Tensor, list[float]]:
    """One batch: the loss of each round, with gradients, and the mean IoU after each."""
    image = torch.stack([case.image for case in batch])
    inside = torch.stack([case.inside for case in batch])
    truth = torch.from_numpy(np.stack([case.truth for case in batch]))[:, None].float()
    cells = torch.tensor([case.cells for case in batch])
    prompts = np.stack([beginning(case, rng) for case in batch])  # (B, 6, S, S)
    losses, scores = [], []
    precision = fastest_precision(image.device)
    with torch.autocast(image.device.type, precision, enabled=precision is not torch.float32):
        features = network.features(normalised(image, inside).to(memory_format=torch.channels_last))
        for round_ in range(rounds):
            answer = network.answer(features, torch.from_numpy(prompts).to(memory_format=torch.channels_last))
            losses.append(loss(answer, truth, inside, cells))
            masks = answer.logits.detach()[:, 0].gt(0).numpy()
            scores.append(float(iou(masks, truth[:, 0].bool().numpy()).mean()))
            prompts = prompts.copy()  # the graph still holds the last ones
            for number, case in enumerate(batch if round_ + 1 < rounds else ()):
                simulation.correct(prompts[number], case.truth, masks[number], rng)
                prompts[number, MASK], prompts[number, MASKED] = masks[number], 1
    return torch.stack(losses), scores


def beginning(case: Case, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """The channels that a correction begins with: a click, a box, a lasso, a scribble, some mask, or many clicks."""
    channels = np.zeros((PROMPT_CHANNELS, *case.truth.shape), np.float32)
    kind = rng.random()
    if case.clicks:
        corrected(channels, case.truth, case.others, case.clicks, rng)
    elif kind < CARRIED:
        carried(channels, case.truth, case.others, rng)
    elif kind < 0.34:
        mask = simulation.flawed(case.truth, case.others, rng)
        channels[MASK], channels[MASKED] = mask, 1
        simulation.correct(channels, case.truth, mask, rng)
    elif kind < 0.44:
        simulation.box(channels, case.truth, rng)
    elif kind < 0.52:
        simulation.lasso(channels, case.truth, rng)
    else:
        simulation.correct(channels, case.truth, np.zeros_like(case.truth), rng)
        for _ in range(rng.integers(4) if rng.random() < 0.3 else 0):  # several at once, as a patient user gives them
            positive = rng.random() < 0.5
            region = case.truth if positive else ~case.truth
            if region.any():
                rows, columns = np.nonzero(region)
                at = rng.integers(len(rows))
                stamp(channels[POSITIVE if positive else NEGATIVE], rows[at], columns[at])
    return channels


def loss(answer: Answer, truth: Tensor, inside: Tensor, cells: Tensor) -> Tensor:
    """Cross-entropy and soft Dice of the mask, and cross-entropy of the quality that the network expects of it.

    Args:
        answer: of a batch.
        truth: (B, 1, S, S), 0 or 1.
        inside: (B, 1, S, S), 1 where the image is; nothing else counts.
        cells: (B,), of the whole objects.
    """
    logits = answer.logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    probability = logits.sigmoid() * inside
    both, sizes = (probability * truth).sum((1, 2, 3)), (probability + truth).sum((1, 2, 3))
    dice = 1 - (2 * both + 1) / (sizes + 1)
    with torch.no_grad():
        mask = (logits > 0) * inside
        common = (mask * truth).sum((1, 2, 3))
        reached = common / (mask.sum((1, 2, 3)) + cells - common).clamp_min(1)
    quality = F.binary_cross_entropy_with_logits(answer.quality.float(), reached)
    return (entropy * inside).sum() / inside.sum() * 2 + dice.mean() + 0.2 * quality


def iou(masks: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Intersection over union of each of a batch, (B, S, S); 1 if both are empty."""
    both, either = (masks & truth).sum((1, 2)), (masks | truth).sum((1, 2))
    return np.where(either, both / np.maximum(either, 1), 1.0)


def _resume(checkpoint: Path, kept: dict[str, Any]) -> tuple[int, float]:
    """Load what is kept; the step and the seconds so far."""
    if not checkpoint.exists():
        return 0, 0.0
    state = torch.load(checkpoint, weights_only=True)
    for name, part in kept.items():
        part.load_state_dict(state[name])
    return state["step"], state["seconds"]


def _save(checkpoint: Path, kept: dict[str, Any], step: int, seconds: float, config: PromptConfig) -> None:
    state = {name: part.state_dict() for name, part in kept.items()}
    fresh = checkpoint.with_suffix(".new")
    torch.save(state | {"step": step, "seconds": seconds, "config": asdict(config)}, fresh)
    fresh.replace(checkpoint)
