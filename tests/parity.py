"""Numerical parity with the published networks: the same parameters and the same input must give the same numbers.

`golden/*.npz` holds what the published code answered; `build` gives our module of the same name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_medseg.models.adstnet.convglu import ConvGLU
from napari_medseg.models.adstnet.head import AdSTHead
from napari_medseg.models.adstnet.laplace import LaplacianResidual
from napari_medseg.models.adstnet.saca import SACA
from napari_medseg.models.ascseg import ASCSeg
from napari_medseg.models.ascseg.ase import ASEBlock
from napari_medseg.models.ascseg.dcb import DCB
from napari_medseg.models.ascseg.fac import FAC
from napari_medseg.models.ascseg.mamba import Mamba
from napari_medseg.models.ascseg.msfa import MSFA
from napari_medseg.models.ascseg.pmb import PMB
from napari_medseg.models.ascseg.sfm import SFM
from napari_medseg.models.hastnet.csafm import CSAFM
from napari_medseg.models.hastnet.decoder import Decoder
from napari_medseg.models.hastnet.hrfa import HRFA
from napari_medseg.models.hastnet.maam import MAAM
from napari_medseg.models.hastnet.stfcm import STFCM
from napari_medseg.models.msa2net.dae_former import DAEFormerBlock
from napari_medseg.models.msa2net.lka import LKABlock
from napari_medseg.models.msa2net.masag import MASAG
from napari_medseg.models.msa2net.patch_expanding import PatchExpanding
from napari_medseg.models.sosegformer.bottleneck import Bottleneck
from napari_medseg.models.sosegformer.head import SoSegFormerHead, sum_branches
from napari_medseg.models.sosegformer.stageformer import StageFormer
from napari_medseg.models.unet import UNet

GOLDEN = Path(__file__).parent / "golden"


def encoder_stage(in_channels: int = 3, channels: int = 16, pool: bool = False) -> nn.Module:
    """A stage of ASC-Seg's encoder; the network itself pools in front of all but the first."""
    stage = ASEBlock(in_channels, channels)
    return nn.Sequential(nn.MaxPool2d(2), stage) if pool else stage


def decoder_features(channels: Sequence[int] = (8, 16, 24, 32), in_channels: int = 3) -> nn.Module:
    """ASC-Seg, answering with the maps of its decoder, deepest first."""
    network = ASCSeg(in_channels, channels=channels)
    network.forward = network.features  # type: ignore[method-assign]
    return network


def head_outputs(
    channels: Sequence[int] = (8, 16, 24, 32, 48), widths: Sequence[int] = (8, 16, 16, 24, 32), classes: int = 3
) -> nn.Module:
    """SoSegFormer's head, answering with the instructed stride-16 map and the logits at stride 2."""
    head = SoSegFormerHead(tuple(channels), tuple(widths), classes, depths=(2,) * (len(widths) - 1))

    def forward(*features: Tensor) -> tuple[Tensor, Tensor]:
        maps = list(features) if len(features) > 1 else list(features[0])  # five maps, or one list of them
        instructed, deepest = head.instruct(maps)
        decoded = head.decode(instructed, deepest)
        branches = [classify(x) for classify, x in zip(head.classifiers, decoded, strict=True)]
        return instructed[-1], sum_branches(branches)

    head.forward = forward  # type: ignore[method-assign, assignment]
    return head


ROWS: dict[str, Callable[..., nn.Module]] = {
    "adstnet/saca": lambda channels=16: SACA(channels),
    "adstnet/convglu": lambda channels=16, hidden=64: ConvGLU(channels, hidden),
    "adstnet/laplace": LaplacianResidual,
    "adstnet/head_on_identity": lambda hidden=16: AdSTHead(hidden),
    "adstnet/unet16": lambda in_channels=3, classes=1: UNet(in_channels, classes, base=16),
    "ascseg/mamba": lambda channels=4: Mamba(channels),
    "ascseg/pmb": lambda channels=16: PMB(channels),
    "ascseg/dcb": lambda channels=16: DCB(channels),
    "ascseg/aseblock": encoder_stage,
    "ascseg/msfa": lambda channels=16: MSFA(channels),
    "ascseg/sfm": lambda channels=16: SFM(channels),
    "ascseg/fac": lambda deep=32, shallow=16: FAC(deep, shallow),
    "ascseg/decoder_features": decoder_features,
    "hastnet/csafm": lambda channels=64: CSAFM(channels),
    "hastnet/maam": lambda channels=64: MAAM(channels),
    "hastnet/hrfa": lambda channels=128, kernels=(7, 9, 11): HRFA(channels, kernels),
    "hastnet/stfcm": lambda channels=64, reduction=1: STFCM(channels, reduction),
    "hastnet/decoder": lambda channels=(512, 256, 128, 64), reduction=1: Decoder(channels, reduction),
    "msa2net/masag": lambda channels=48: MASAG(channels),
    "msa2net/lka": lambda channels=48: LKABlock(channels),
    "msa2net/dae": lambda channels=48: DAEFormerBlock(channels),
    "msa2net/expand": lambda channels=48: PatchExpanding(channels, channels // 2, scale=2),
    "msa2net/expand4": lambda channels=48: PatchExpanding(channels, channels, scale=4),
    "sosegformer/stageformer": lambda channels=32: StageFormer(channels),
    "sosegformer/bottleneck": lambda channels=32, squeeze_excitation=False: Bottleneck(
        channels, squeeze_excitation=squeeze_excitation
    ),
    "sosegformer/head": head_outputs,
}
"""Each row of the golden numbers, and how our module of it is made from the row's sizes; the defaults are theirs."""


def build(row: str, **sizes: Any) -> nn.Module:
    """A fresh module of a row, made of the classes that `create_model` assembles.

    Args:
        row: "paper/module".
        **sizes: the row's own, e.g. in_channels=3, classes=1 for "adstnet/unet16"; those of the golden numbers if not
            given.

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
