from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from lightning.fabric import Fabric
from torch import nn

from napari_medseg.models import ModelCard, create_model
from napari_medseg.models.cards import find_card
from napari_medseg.models.layout import channels_last
from napari_medseg.trainer.beginning import begun, fitted
from napari_medseg.trainer.config import TrainingConfig
from napari_medseg.trainer.training import TrainingState, train

from ..small_networks import SMALL

CONFIG = TrainingConfig(steps=3, batch=2, crop=64, lr=1e-2)


class Discs:
    """Batches of a bright square on a dark ground, and its mask."""

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        draw = torch.Generator().manual_seed(step)
        labels = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
        labels[0, :, 8:40, 20:44], labels[1, :, 30:60, 4:34] = 1, 1
        return labels + 0.2 * torch.rand(2, 3, 64, 64, generator=draw), labels


def network(name: str = "unet") -> nn.Module:
    torch.manual_seed(0)
    made = create_model(name, **SMALL[name])
    made.card = replace(find_card(name), config=SMALL[name])  # type: ignore[assignment]
    return made


def trained(state: TrainingState, config: TrainingConfig) -> list[float]:
    return [step.loss for step in train(Fabric(accelerator="cpu"), state, Discs(), config, 1)]  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _the_seed_is_as_it_was() -> Iterator[None]:
    with torch.random.fork_rng():
        yield


class TestFitted:
    def test_a_network_of_one_size_gets_crops_of_it(self) -> None:
        assert fitted(CONFIG, find_card("msa2net")).crop == find_card("msa2net").tile == 224
        assert fitted(CONFIG, find_card("unet")) == CONFIG

    @pytest.mark.parametrize(("asked", "given"), [(1e-2, 5e-4), (1e-5, 1e-5)])
    def test_a_delicate_network_learns_no_faster_than_it_bears(self, asked: float, given: float) -> None:
        card = ModelCard(name="a", title="A", network="unet", highest_lr=5e-4)
        assert fitted(replace(CONFIG, lr=asked), card).lr == given


class TestFrozen:
    def test_frozen_weights_stay_and_are_held_once(self) -> None:
        bare = network()
        bare.down.requires_grad_(False)
        before = {name: weight.clone() for name, weight in bare.named_parameters()}
        state = begun(Fabric(accelerator="cpu"), bare, CONFIG)
        trained(state, CONFIG)
        shared = {weight.data_ptr() for weight in state.network.parameters()}
        known = {id(weight) for group in state.optimiser.param_groups for weight in group["params"]}
        for name, weight in state.averaged.named_parameters():
            frozen = name.startswith("down.")
            assert torch.equal(weight, before[name]) is frozen, name
            assert (weight.data_ptr() in shared) is frozen, name
        assert known == {id(weight) for weight in state.network.parameters() if weight.requires_grad}


class TestAdSTNet:
    def test_the_head_learns_too_and_what_is_kept_is_bare(self) -> None:
        state = begun(Fabric(accelerator="cpu"), network(), replace(CONFIG, adstnet=True))
        before = {name: weight.clone() for name, weight in state.network.module.head.named_parameters()}
        trained(state, replace(CONFIG, adstnet=True))
        after = dict(state.network.module.head.named_parameters())
        assert any(not torch.equal(weight, before[name]) for name, weight in after.items())
        assert state.averaged.state_dict().keys() == network().state_dict().keys()

    def test_in_prediction_it_answers_bit_for_bit_as_the_bare_network(self) -> None:
        config = replace(CONFIG, adstnet=True)
        state = begun(Fabric(accelerator="cpu"), network(), config)
        trained(state, config)
        dressed = state.network.module
        bare = channels_last(network())
        bare.load_state_dict(dressed.network.state_dict())
        image = Discs()[9][0]
        with torch.inference_mode():
            assert torch.equal(dressed.eval()(image), bare.eval()(image))


@pytest.mark.parametrize("adstnet", [False, True], ids=["bare", "AdSTNet"])
@pytest.mark.parametrize("name", SMALL)
def test_every_network_learns_from_two_cases(name: str, adstnet: bool) -> None:
    config = fitted(replace(CONFIG, steps=5, adstnet=adstnet, crop=64, warmup=0), replace(find_card(name), tile=None))
    state = begun(Fabric(accelerator="cpu"), network(name), config)
    losses = trained(state, config)
    assert min(losses[-3:]) < losses[0]
    assert all(weight.isfinite().all() for weight in state.averaged.state_dict().values())
