import pytest
import torch
from torch import Tensor, nn

from napari_medseg.models.hastnet import HASTNet
from napari_medseg.models.hastnet.csafm import CSAFM, sparse_softmax
from napari_medseg.models.hastnet.stfcm import STFCM

from ..parity import fill_parameters, noise_input


def count(module: nn.Module, *, trainable: bool = False) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)


def on_meta(**options: object) -> HASTNet:
    with torch.device("meta"):
        return HASTNet(**options)


@pytest.mark.parametrize(("variant", "millions"), [("tiny", 27), ("small", 34), ("base_plus", 69), ("large", 213)])
def test_four_trunks_can_be_chosen(variant: str, millions: float) -> None:
    network = on_meta(variant=variant)
    assert count(network.encoder) / 1e6 == pytest.approx(millions, abs=1)
    assert count(network, trainable=True) == count(network)  # no weights, so nothing is frozen
    answers = network(torch.empty(1, 3, 70, 160, device="meta"))
    assert [tuple(logits.shape) for logits in answers] == [(1, 1, 70, 160)] * 4


@pytest.mark.parametrize(
    "wrong", [{"variant": "huge"}, {"width": "wide"}, {"width": (64, 32)}, {"width": (64, 64, 32, 6)}]
)
def test_what_cannot_be_built_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"tiny, small, base_plus, large|'released'|four are needed|multiple"):
        on_meta(**wrong)


# --- the sparse attention ---


def test_an_image_keeps_its_own_number_of_partners() -> None:
    scores = noise_input(3, 1, 4, 8)
    kept = (sparse_softmax(scores, torch.tensor([0.2, 2.9, 8.0])[:, None, None, None]) > 0).sum(-1)
    assert kept[:, 0].tolist() == [[1] * 4, [2] * 4, [8] * 4]  # never none


def test_all_partners_make_an_ordinary_softmax() -> None:
    scores = noise_input(1, 2, 6, 6)
    assert torch.allclose(sparse_softmax(scores, torch.tensor(6.0)), scores.softmax(-1), atol=1e-7)


def test_equal_partners_are_not_all_kept() -> None:
    assert sparse_softmax(torch.zeros(1, 5), torch.tensor(2.0)).count_nonzero() == 2


@pytest.mark.parametrize("bias", [-1e3, 1e3])
def test_a_gate_that_is_shut_or_open_gives_finite_numbers(bias: float) -> None:
    module = fill_parameters(CSAFM(16))
    nn.init.constant_(module.gate[2].bias, bias)
    module(noise_input(2, 16, 8, 8)).square().mean().backward()
    assert module(noise_input(2, 16, 8, 8)).isfinite().all()
    assert all(p.grad.isfinite().all() for p in module.parameters())
    assert all(p.grad.abs().sum() > 0 for p in module.gate.parameters())  # it can find its way back


def test_the_gate_learns_and_its_answers_are_the_same_in_training() -> None:
    module, x = fill_parameters(CSAFM(16)), noise_input(2, 16, 8, 8)
    answer = module.train()(x)
    answer.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in module.gate.parameters())
    assert torch.equal(answer, module.eval()(x))


@torch.inference_mode()
def test_a_sparse_answer_does_not_depend_on_the_other_images() -> None:
    module = fill_parameters(CSAFM(64)).eval()
    batch = torch.cat([noise_input(1, 64, 8, 8, phase=k) * 10**k for k in range(3)])
    gates = module.gate(batch).sigmoid().mean((1, 2, 3)) * 16
    assert len(set(gates.int().tolist())) > 1  # they keep different numbers of partners
    alone = torch.cat([module(image[None]) for image in batch])
    assert torch.allclose(module(batch), alone, rtol=1e-4, atol=1e-4)


def test_a_single_position_has_no_deviation() -> None:
    module = STFCM(16)
    module(noise_input(1, 16, 1, 1)).sum().backward()
    assert all(p.grad.isfinite().all() for p in module.parameters())


# --- the network ---


@torch.no_grad()
def test_the_first_of_the_answers_is_the_finest() -> None:
    torch.manual_seed(0)
    network = fill_parameters(HASTNet(classes=2, variant="tiny", width=(64, 64, 32, 32)), gain=0.5).train()
    finest, *_, deepest = network(noise_input(1, 3, 128, 128))

    def roughness(logits: Tensor) -> Tensor:
        return logits.diff(dim=-1).abs().mean() / logits.std()

    assert roughness(finest) > 2 * roughness(deepest)
