"""Counts what the cards of untrained networks say: parameters, and multiply-accumulates for a 256 x 256 image.

    python -m napari_medseg.models.weights.measure [NAME ...]

writes the figures into the cards beside this file.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import torch
import torchvision  # noqa: F401 (makes torch know the operator)
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..cards import SHIPPED, ModelCard, list_models
from ..registry import create_model

SIDE = 256
"""Pixels of the image that operations are counted for."""


def measured(card: ModelCard) -> dict[str, Any]:
    """Parameters, trainable ones and 10^9 multiply-accumulates of a card's network, by the names of the card's fields.

    Counted are convolutions, deformable ones too, matrix products and attention; not what is done pixel by pixel.
    """
    network = create_model(card.network, in_channels=card.in_channels, classes=card.classes, **card.config).eval()
    deformable = {torch.ops.torchvision.deform_conv2d.default: _deformable_flops}
    with FlopCounterMode(display=False, custom_mapping=deformable) as counter, torch.no_grad():
        network(torch.zeros(1, card.in_channels, SIDE, SIDE))
    return counts(network) | {"gmacs": round(counter.get_total_flops() / 2e9, 3)}


def counts(network: nn.Module) -> dict[str, int]:
    """All parameters of a network, and those that training changes."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return {
        "parameters": sum(size for size, _ in sizes),
        "trainable_parameters": sum(size for size, trained in sizes if trained),
    }


def _deformable_flops(
    image: tuple[int, ...],
    weight: tuple[int, ...],
    *_: Any,
    out_shape: tuple[int, ...],
    **__: Any,
) -> int:
    """Two for each multiply-accumulate; `weight` is (out, in / groups, kernel rows, kernel columns)."""
    return 2 * math.prod(out_shape) * math.prod(weight[1:])


def main() -> None:
    wanted = sys.argv[1:]
    for card in list_models():
        if card.has_weights or (wanted and card.name not in wanted):
            continue
        path = SHIPPED / f"{card.name}.json"
        figures = measured(card)
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | figures, indent=2, ensure_ascii=False) + "\n")
        sys.stdout.write(f"{card.name}: {figures}\n")


if __name__ == "__main__":
    main()
