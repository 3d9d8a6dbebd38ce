import pytest
import torch
from torch import nn

from napari_medseg.models import create_model
from napari_medseg.models.streaming.folding import folded

from ...small_networks import SMALL


def trained(network: nn.Module) -> nn.Module:
    """The network with statistics that are not those of the beginning, in evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


@pytest.mark.parametrize("name", SMALL)
@torch.inference_mode()
def test_every_network_answers_the_same_up_to_rounding_and_stays_as_it_was(name: str) -> None:
    torch.manual_seed(0)
    network = trained(create_model(name, **SMALL[name]))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    image = torch.rand(1, 3, 96, 96)
    expected = network(image)
    found = folded(network)(image)
    assert torch.allclose(found, expected, atol=1e-3 * float(expected.abs().max()))
    assert torch.equal(network(image), expected)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_of_a_u_net_no_normalisation_is_left_and_most_weights_are_not_copied() -> None:
    network = trained(create_model("unet", base=4))
    twin = folded(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in twin.modules())
    assert twin.head.weight is network.head.weight
    assert network.down[0][1].training is False


@torch.inference_mode()
def test_a_convolution_after_a_doubling_reads_the_small_map() -> None:
    torch.manual_seed(0)
    doubling = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(5, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    image = torch.randn(2, 5, 7, 11)
    twin = folded(trained(doubling))
    assert [type(layer) for layer in twin] == [nn.Identity, nn.ConvTranspose2d, nn.Identity, nn.ReLU]
    torch.testing.assert_close(twin(image), doubling(image), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("upsampling", "convolution"),
    [
        (nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(3, 4, 3, padding=1)),
        (nn.Upsample(scale_factor=3), nn.Conv2d(3, 4, 3, padding=1)),
        (nn.Upsample(size=(14, 22)), nn.Conv2d(3, 4, 3, padding=1)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 5, padding=2)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3, padding=1, groups=3)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")),
    ],
)
def test_another_upsampling_or_convolution_stays_what_it_is(upsampling: nn.Module, convolution: nn.Module) -> None:
    network, image = nn.Sequential(upsampling, convolution).eval(), torch.randn(1, 3, 7, 11)
    twin = folded(network)
    assert [type(layer) for layer in twin] == [nn.Upsample, nn.Conv2d]
    assert torch.equal(twin(image), network(image))


def test_what_cannot_be_folded_is_left_alone() -> None:
    watched = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    watched[0].register_forward_hook(lambda *_: None)
    without = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    for network in (watched, without):
        assert any(isinstance(module, nn.BatchNorm2d) for module in folded(network.eval()).modules())


def test_an_activation_never_changes_what_somebody_else_reads() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU())

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.act(image) + image

    network = trained(Twice())
    image = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        assert torch.allclose(folded(network)(image.clone()), network(image), atol=1e-5)


def test_a_part_that_is_used_twice_is_one_part_in_the_copy() -> None:
    shared = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    network = trained(nn.Sequential(shared, shared))
    twin = folded(network)
    assert twin[0] is twin[1]
    image = torch.rand(1, 3, 8, 8)
    with torch.inference_mode():
        assert torch.allclose(twin(image), network(image), atol=1e-5)
