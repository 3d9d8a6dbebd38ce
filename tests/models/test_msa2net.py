import math

import pytest
import torch
from torch import Tensor, nn

from napari_medseg.models import create_model
from napari_medseg.models.errors import ModelError
from napari_medseg.models.msa2net import MSA2Net
from napari_medseg.models.msa2net.dae_former import DAEFormerBlock
from napari_medseg.models.msa2net.lka import LKABlock
from napari_medseg.models.msa2net.masag import MASAG

from ..parity import noise_input


def small(encoder: str = "test_maxvit") -> MSA2Net:
    torch.manual_seed(0)
    return MSA2Net(encoder=encoder).eval()


def test_blocks_are_where_the_figure_has_them() -> None:
    network = small()
    strides: dict[type[nn.Module], list[int]] = {DAEFormerBlock: [], LKABlock: [], MASAG: []}

    def note(part: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        tokens = isinstance(part, DAEFormerBlock)
        strides[type(part)].append(224 // (math.isqrt(inputs[0].shape[1]) if tokens else inputs[0].shape[-1]))

    for part in network.modules():
        if type(part) in strides:
            part.register_forward_pre_hook(note)
    with torch.inference_mode():
        network(noise_input(1, 3, 224, 224))
    assert strides == {DAEFormerBlock: [32, 32, 16, 16], LKABlock: [8, 8, 4, 4], MASAG: [16, 8, 4]}


@pytest.mark.parametrize(
    ("size", "inside"), [((32, 224), (224, 224)), ((256, 335), (224, 224)), ((336, 64), (448, 224))]
)
def test_sides_become_the_nearest_multiple_of_224(size: tuple[int, int], inside: tuple[int, int]) -> None:
    network, seen = small(), []
    network.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[-2:])))
    with torch.inference_mode():
        network(noise_input(1, 3, *size))
    assert seen == [inside]


def test_channels_that_heads_cannot_share_are_refused() -> None:
    with pytest.raises(ValueError, match="20 channels cannot be shared out to 8 heads; try 24"):
        DAEFormerBlock(20)


@torch.inference_mode()
def test_windows_are_7_x_7_whatever_the_encoder_was_trained_with() -> None:
    assert small("maxvit_rmlp_pico_rw_256")(noise_input(1, 3, 225, 300)).isfinite().all()


@pytest.mark.parametrize("encoder", ["resnet18", "test_vit"])
def test_an_encoder_without_its_maps_is_refused(encoder: str) -> None:
    with pytest.raises(ModelError, match="'msa2net' cannot be created"):
        create_model("msa2net", encoder=encoder)
