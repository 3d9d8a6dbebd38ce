"""Numerical parity with the published networks: the same parameters and the same input must give the same numbers.

`golden/*.npz` holds what the published code answered; `build` gives our module of the same name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from napari_medseg.models.unet import UNet

GOLDEN = Path(__file__).parent / "golden"

ROWS: dict[str, Callable[..., nn.Module]] = {
    "adstnet/unet16": lambda in_channels, classes: UNet(in_channels, classes, base=16),
}
"""Each row of the golden numbers, and how our module of it is made from the row's sizes."""


def build(row: str, **sizes: int) -> nn.Module:
    """A fresh module of a row, made of the classes that `create_model` assembles.

    Args:
        row: "paper/module".
        **sizes: the row's own, e.g. in_channels=3, classes=1 for "adstnet/unet16".

    Raises:
        KeyError: no such row; names those that there are.
    """
    if row not in ROWS:
        raise KeyError(f"no row {row!r}; rows are {', '.join(ROWS)}")
    return ROWS[row](**sizes)


def golden(row: str) -> list[npt.NDArray[np.float32]]:
    """The outputs of the published code, in order."""
    paper, _, module = row.partition("/")
    with np.load(GOLDEN / f"{paper}.npz") as file:
        return [file[f"{module}/{k}"] for k in range(sum(name.startswith(f"{module}/") for name in file))]


def noise(count: int, phase: float = 0.0) -> torch.Tensor:
    """`count` float64 numbers, evenly spread over [-1, 1), without visible structure; the same on every machine."""
    index = torch.arange(1, count + 1, dtype=torch.float64)
    return 2 * torch.frac(torch.sin(12.9898 * index + phase).abs() * 43758.5453) - 1


@torch.no_grad()
def fill_parameters(module: nn.Module, gain: float = 1.0) -> nn.Module:
    """Overwrite every parameter of a freshly built module with numbers that depend on its shape and first value only.

    Names and order of the parameters play no part, so two implementations with the same parameter shapes become the
    same function. A parameter that is born constant (norm weights, layer scales, temperatures) varies by a tenth
    around its value; other vectors (biases) get small noise; kernels get noise of He-uniform range.

    Args:
        module: just made; its buffers stay as they are.
        gain: of the kernels.
    """
    for parameter in module.parameters():
        count = parameter.numel()
        flat = parameter.flatten()
        constant = bool((flat == flat[0]).all())
        if constant and (flat[0] != 0 if count > 1 else flat[0] == 1):
            value = float(flat[0]) * (1 + 0.1 * noise(count))
        elif parameter.ndim <= 1:
            value = 0.1 * noise(count)
        else:
            fan_in = count / parameter.shape[0]
            value = gain * noise(count) * math.sqrt(6 / fan_in)
        parameter.copy_(value.reshape(parameter.shape).to(parameter.dtype))
    return module


def noise_input(*shape: int, phase: float = 0.0) -> torch.Tensor:
    """A float32 tensor of `shape` filled with `noise`."""
    return noise(math.prod(shape), phase).float().reshape(shape)
