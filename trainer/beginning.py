"""How a fine-tuning begins: what of the network learns, in what dress, and what is averaged."""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import replace

from lightning.fabric import Fabric
from torch import nn

from napari_medseg.models.adstnet.wrapper import AdSTNet
from napari_medseg.models.cards import ModelCard
from napari_medseg.models.layout import channels_last

from .config import TrainingConfig
from .optimisation import optimiser_for
from .training import TrainingState

log = logging.getLogger(__name__)


def fitted(config: TrainingConfig, card: ModelCard) -> TrainingConfig:
    """The configuration as the card's network can follow it: crops of its size, and no learning rate that breaks it."""
    return replace(config, crop=card.tile or config.crop, lr=min(config.lr, card.highest_lr or math.inf))


def begun(fabric: Fabric, network: nn.Module, config: TrainingConfig) -> TrainingState:
    """A training before its first step.

    Frozen weights, most of a large network's, are held once: they are the same in the averaged network, and the
    optimiser does not know them. With `config.adstnet` the network that trains wears AdSTNet's head; the averaged one,
    which is kept, is bare.

    Args:
        fabric: decides device and precision.
        network: with a card.
        config: how hard, and with AdSTNet's head or not.
    """
    card: ModelCard = channels_last(network).card  # type: ignore[assignment]
    frozen = {id(weight): weight for weight in network.parameters() if not weight.requires_grad}
    averaged = copy.deepcopy(network, dict(frozen)).to(fabric.device)
    dressed = AdSTNet(network, card.classes) if config.adstnet else network
    optimiser = optimiser_for(config, dressed.parameters())
    learning = sum(weight.numel() for group in optimiser.param_groups for weight in group["params"])
    log.info("%s: %d weights learn, %d are frozen", card.name, learning, sum(w.numel() for w in frozen.values()))
    dressed, optimiser = fabric.setup(dressed, optimiser)
    return TrainingState(dressed, averaged, optimiser)
