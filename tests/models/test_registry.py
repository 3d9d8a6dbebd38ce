import contextlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from napari_medseg.models import create_model
from napari_medseg.models.cards import ModelCard, find_card
from napari_medseg.models.errors import ModelError


def test_an_unknown_name_lists_the_known_and_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no network 'u-net'; there are: .*Did you mean 'unet'\?"):
        create_model("u-net")


@pytest.mark.parametrize("numbers", [{"in_channels": 0}, {"classes": 0}, {"in_channels": -3}])
def test_no_channel_or_no_class_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ModelError, match="at least one"):
        create_model("unet", **numbers)


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


OPTIONS = {
    "ascseg": ["channels"],
    "hastnet": ["variant", "width", "reduction", "freeze"],
    "msa2net": ["encoder"],
    "sosegformer": ["encoder", "widths", "depths", "aspp_rates", "drop_path"],
}


@settings(max_examples=60, deadline=None)
@given(
    option=st.sampled_from([(name, option) for name, options in OPTIONS.items() for option in options]),
    value=st.sampled_from([-1, 0, 0.5, "16", None, [], {}, [1, 2], [4, 4, 4, 4], [0] * 5, 10**30, 2**62]),
)
def test_whatever_a_card_asks_for_there_is_a_network_or_a_reason(option: tuple[str, str], value: object) -> None:
    name, key = option
    with torch.device("meta"), contextlib.suppress(ModelError):
        create_model(name, **{key: value})


@pytest.mark.parametrize("card", [find_card(name) for name in ("nuclei", "fetal-head", "unet")], ids=lambda c: c.name)
def test_a_card_says_how_much_there_is_to_compute(card: ModelCard) -> None:
    network = create_model(card.network, in_channels=card.in_channels, classes=card.classes, **card.config)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, card.in_channels, 256, 256))
    assert card.gmacs == pytest.approx(counter.get_total_flops() / 2e9, abs=1e-3)
