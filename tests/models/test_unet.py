import pytest
import torch
import torch.nn.functional as F

from napari_medseg.models.unet import UNet

from ..parity import noise_input


def test_it_has_five_levels_with_skips() -> None:
    network, seen = UNet(base=4), []
    for level in network.merge:
        level.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[1:])))
    network(noise_input(2, 3, 32, 48))
    assert seen == [(64, 4, 6), (32, 8, 12), (16, 16, 24), (8, 32, 48)]


@pytest.mark.parametrize("size", [(33, 48), (32, 47)])
@torch.inference_mode()
def test_sides_that_cannot_be_halved_four_times_are_mirrored_outwards(size: tuple[int, int]) -> None:
    network, seen = UNet(base=4).eval(), []
    network.down[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = noise_input(1, 3, *size)
    network(image)
    height = 32 if size[0] == 32 else 48
    assert torch.equal(seen[0], F.pad(image, (0, 48 - size[1], 0, height - size[0]), mode="reflect"))
