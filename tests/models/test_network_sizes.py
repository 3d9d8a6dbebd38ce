"""How large each network and its parts are, against what was published; `pytest -s` prints the table."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from napari_medseg.models import create_model
from napari_medseg.models.adstnet.head import AdSTHead
from napari_medseg.models.msa2net.dae_former import DAEFormerBlock
from napari_medseg.models.msa2net.lka import LKABlock
from napari_medseg.models.msa2net.masag import MASAG

PAPER_WIDTHS = {"widths": (64, 256, 512, 1024, 2048), "aspp_rates": (12, 24, 36)}


def made(name: str, **options: Any) -> nn.Module:
    """A network without memory behind it: its shapes only."""
    with torch.device("meta"):
        return create_model(name, **options)


def count(module: nn.Module, *, learning: bool = False) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not learning)


def count_kind(network: nn.Module, kind: type[nn.Module]) -> tuple[int, int]:
    """How many modules of a kind there are, none in another, and their parameters."""
    found = [module for module in network.modules() if isinstance(module, kind)]
    return len(found), sum(count(module) for module in found)


def sizes() -> list[tuple[str, int, float, float]]:
    """Part, parameters here, as published, and how far apart they may be."""
    hastnet = made("hastnet", freeze=True)
    released = made("hastnet", width="released", reduction=1)
    msa2net = made("msa2net", classes=9)
    sosegformer = {"classes": 3}
    dae, lka, masag = (count_kind(msa2net, kind) for kind in (DAEFormerBlock, LKABlock, MASAG))
    assert [dae[0], lka[0], masag[0]] == [4, 4, 3]
    return [
        ("unet", count(made("unet")), 2_162_129, 0),
        ("ascseg", count(made("ascseg")), 222_408, 0.01),
        ("hastnet, large: what learns", count(hastnet, learning=True), 9.9e6, 0.10),
        ("hastnet, large: all", count(hastnet), 212.1e6 + 9.25e6, 0.01),
        ("hastnet, released: decoder", count(released.decoder), 99_324_162, 0),
        ("msa2net: encoder", count(msa2net.encoder), 64.12e6, 0.01),
        ("msa2net: four DAE-Former blocks", dae[1], 35.63e6, 0.01),
        ("msa2net: four LKA blocks", lka[1], 1.089e6, 0.01),
        ("msa2net: three MASAGs", masag[1], 2.341e6, 0.01),
        ("sosegformer", count(made("sosegformer", **sosegformer)), 35.5e6, 0.02),
        ("sosegformer, the paper's widths", count(made("sosegformer", **sosegformer, **PAPER_WIDTHS)), 197.2e6, 0.001),
        ("adstnet: head", count(AdSTHead()), 3_930, 0),
    ]


def test_the_networks_are_as_large_as_published() -> None:
    table = sizes()
    print()  # noqa: T201
    for part, here, published, _ in table:
        print(f"{part:34} {here:>13,} {published:>15,.0f} {here / published - 1:>+8.2%}")  # noqa: T201
    for part, here, published, apart in table:
        assert here == pytest.approx(published, rel=apart, abs=0), part


def test_what_learns_of_hastnet_is_less_than_the_paper_says_and_no_module_is_left_out() -> None:
    network = made("hastnet", freeze=True)
    assert count(network, learning=True) <= 9.9e6
    assert network.encoder.channels == [144, 288, 576, 1152]
    idle = {key.split(".")[0] for key, p in network.named_parameters() if not p.requires_grad}
    assert idle == {"encoder"}


@pytest.mark.parametrize(
    ("options", "millions"),
    [
        pytest.param({"depths": (0, 0, 2, 3)}, 35.6, id="StageFormer at strides 8 and 16 only"),
        pytest.param({"encoder": "resnet34"}, 32.6, id="resnet34"),
        pytest.param({"encoder": "tf_efficientnetv2_b3"}, 23.7, id="efficientnetv2_b3"),
        pytest.param({"encoder": "pvt_v2_b2"}, 35.9, id="pvt_v2_b2, from stride 4"),
        pytest.param({"encoder": "convnext_tiny"}, 38.9, id="convnext_tiny, from stride 4"),
    ],
)
def test_other_configurations_of_sosegformer_are_as_specified(options: dict[str, Any], millions: float) -> None:
    assert count(made("sosegformer", classes=3, **options)) / 1e6 == pytest.approx(millions, abs=0.06)
