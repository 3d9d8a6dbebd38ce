import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from napari_medseg.models import create_model
from napari_medseg.models.cards import ModelCard, find_card
from napari_medseg.models.errors import ModelError
from napari_medseg.models.registry import NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_answers_as_promised(name: str) -> None:
    torch.manual_seed(0)
    network, image = create_model(name, in_channels=2, classes=3), torch.rand(2, 2, 32, 37)
    answers = network.train()(image)
    assert isinstance(answers, list)
    assert answers[0].shape == (2, 3, 32, 37)
    assert network.eval()(image).shape == (2, 3, 32, 37)


def test_an_unknown_name_lists_the_known_and_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no network 'u-net'; there are: .*Did you mean 'unet'\?"):
        create_model("u-net")


@pytest.mark.parametrize("numbers", [{"in_channels": 0}, {"classes": 0}, {"in_channels": -3}])
def test_no_channel_or_no_class_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ModelError, match="at least one"):
        create_model("unet", **numbers)


def test_published_weights_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ModelError, match="pretrained=False"):
        create_model("unet", pretrained=True)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["base", "depth"]),
        st.sampled_from([-1, 0.5, "16", None, [], 10**30, 2**62]),
        min_size=1,
    )
)
def test_options_that_cannot_be_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="'unet' cannot be created with"):
        create_model("unet", **config)


@pytest.mark.parametrize("card", [find_card(name) for name in ("nuclei", "fetal-head", "unet")], ids=lambda c: c.name)
def test_a_card_says_how_much_there_is_to_compute(card: ModelCard) -> None:
    network = create_model(card.network, in_channels=card.in_channels, classes=card.classes, **card.config)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, card.in_channels, 256, 256))
    assert card.gmacs == pytest.approx(counter.get_total_flops() / 2e9, abs=1e-3)
