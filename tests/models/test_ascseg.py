import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor, nn

from napari_medseg.models.ascseg import ASCSeg
from napari_medseg.models.ascseg.conv_bn import BatchNorm, ConvBN
from napari_medseg.models.ascseg.dcb import DCB
from napari_medseg.models.ascseg.deformable import deform_depthwise
from napari_medseg.models.ascseg.mamba import Mamba
from napari_medseg.models.ascseg.pooling import halved, neighbourhood_maximum, neighbourhood_mean

from ..parity import fill_parameters, golden, noise_input
from ..parity_ascseg import ROWS

INPUTS = {
    "ascseg/mamba": [(1, 64, 4)],
    "ascseg/pmb": [(1, 16, 8, 8)],
    "ascseg/dcb": [(1, 16, 8, 8)],
    "ascseg/aseblock": [(1, 3, 16, 16)],
    "ascseg/msfa": [(1, 16, 16, 16)],
    "ascseg/sfm": [(1, 16, 16, 16)],
    "ascseg/fac": [(1, 32, 8, 8), (1, 16, 16, 16)],
    "ascseg/decoder_features": [(1, 3, 64, 64)],
}
TOLERANCE = {"ascseg/decoder_features": 2e-3}
"""Of max |golden|, where it is not 1e-4; `test_decoder_features_are_beyond_float32` shows why."""


def small(**options: int) -> nn.Module:
    torch.manual_seed(0)
    return ASCSeg(channels=(4, 4, 8, 8), **options)


@torch.inference_mode()
def answers(row: str, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    module = fill_parameters(ROWS[row]()).eval().to(dtype)
    result = module(*(noise_input(*shape, phase=float(k)).to(dtype) for k, shape in enumerate(INPUTS[row])))
    return result if isinstance(result, list) else [result]


@pytest.mark.parametrize("row", ROWS)
def test_it_gives_the_numbers_of_the_published_code(row: str) -> None:
    expected = [torch.from_numpy(array) for array in golden(row)]
    given = answers(row)
    assert [x.shape for x in given] == [x.shape for x in expected]
    for ours, theirs in zip(given, expected, strict=True):
        assert (ours - theirs).abs().max() <= TOLERANCE.get(row, 1e-4) * theirs.abs().max()


def test_decoder_features_are_beyond_float32() -> None:
    """Float32 misses its own float64 by more than 1e-4 in a few of these pixels; in all the others both agree with
    the published float32 numbers far better than that.
    """
    row = "ascseg/decoder_features"
    exact, rounded = answers(row, torch.float64), answers(row)
    assert max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(exact, rounded, strict=True)) > 1e-4
    for ours in (exact, rounded):
        for x, array in zip(ours, golden(row), strict=True):
            error = (x - torch.from_numpy(array)).abs().flatten() / float(abs(array).max())
            assert error.median() < 2e-6
            assert error.quantile(0.99) < 5e-5


@pytest.mark.parametrize("row", ROWS)
def test_the_row_occurs_in_the_network(row: str) -> None:
    assert any(isinstance(module, type(ROWS[row]())) for module in ASCSeg().modules())


@pytest.mark.parametrize("pool", [False, True])
@torch.inference_mode()
def test_rows_take_other_sizes(pool: bool) -> None:
    stage = ROWS["ascseg/aseblock"](in_channels=2, channels=12, pool=pool).eval()
    assert stage(noise_input(2, 2, 18, 22)).shape == ((2, 12, 9, 11) if pool else (2, 12, 18, 22))
    assert ROWS["ascseg/msfa"](channels=10).eval()(noise_input(2, 10, 7, 9)).shape == (2, 10, 7, 9)
    maps = ROWS["ascseg/decoder_features"](channels=(4, 8, 12, 16)).eval()(noise_input(2, 3, 48, 80))
    assert [x.shape for x in maps] == [(2, 16, 6, 10), (2, 12, 12, 20), (2, 8, 24, 40), (2, 4, 48, 80)]


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in ASCSeg().parameters()) == 222_408


def test_widths_that_cannot_be_quartered_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        ASCSeg(channels=(8, 16, 24, 30))


@settings(max_examples=8, deadline=None)
@given(height=st.integers(32, 100), width=st.integers(32, 100))
def test_any_size_from_32_pixels_comes_back(height: int, width: int) -> None:
    with torch.inference_mode():
        logits = small().eval()(noise_input(1, 3, height, width))
    assert logits.shape == (1, 1, height, width)
    assert logits.isfinite().all()


@pytest.mark.parametrize("in_channels", [1, 3, 4])
@pytest.mark.parametrize("classes", [1, 2, 9])
@torch.inference_mode()
def test_channels_and_classes_are_free(in_channels: int, classes: int) -> None:
    network = small(in_channels=in_channels, classes=classes).eval()
    assert network(noise_input(2, in_channels, 33, 48)).shape == (2, classes, 33, 48)


@torch.inference_mode()
def test_padding_leaves_a_fitting_image_alone() -> None:
    network, image = small().eval(), noise_input(1, 3, 64, 80)
    assert torch.equal(network(image), network.heads[0](network.features(image)[-1]))


@pytest.mark.parametrize("side", [32, 64, 70])
def test_a_batch_of_one_can_be_trained_on(side: int) -> None:
    logits = small().train()(noise_input(1, 3, side, side))
    sum(x.square().mean() for x in logits).backward()
    assert [x.shape for x in logits] == [(1, 1, side, side)] * 4
    assert all(x.isfinite().all() for x in logits)


def test_a_single_value_per_channel_is_normed_by_running_statistics() -> None:
    norm, x = BatchNorm(3).train(), noise_input(1, 3, 1, 1)
    assert torch.allclose(norm(x), x, atol=1e-4)
    assert norm.num_batches_tracked == 0


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 4, 9, 14), (3, 8, 16, 5), (2, 4, 1, 1)])
def test_deformed_sampling_is_torchvisions(shape: tuple[int, ...]) -> None:
    """Far outside of the map, too, where there is nothing."""
    block = fill_parameters(DCB(shape[1])).eval()
    x, offsets = noise_input(*shape), 4 * noise_input(shape[0], 18, *shape[2:], phase=1.0)
    expected = block.deform(x, offsets)
    assert torch.allclose(deform_depthwise(x, offsets, block.deform.weight), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 4, 64, 64), (2, 3, 7, 10)])
def test_pooling_is_torchs(shape: tuple[int, ...]) -> None:
    x = noise_input(*shape) - 2  # all negative: padding must not win
    assert torch.equal(halved(x), F.max_pool2d(x, 2))
    assert torch.equal(neighbourhood_maximum(x), F.max_pool2d(x, 3, stride=1, padding=1))
    assert torch.allclose(neighbourhood_mean(x), F.avg_pool2d(x, 3, stride=1, padding=1))


def test_answers_are_the_same_with_gradients() -> None:
    network, image = fill_parameters(small()).eval(), noise_input(1, 3, 64, 64)
    with torch.inference_mode():
        without = network(image)
    assert torch.allclose(network(image), without, rtol=1e-3, atol=1e-3 * float(without.abs().max()))


def test_gradients_reach_every_parameter() -> None:
    """Exceptions: the bias of a convolution before a batch norm, which subtracts it again; its gradient is rounding."""
    network = fill_parameters(ASCSeg()).train()
    cancelled = {f"{name}.0.bias" for name, module in network.named_modules() if isinstance(module, ConvBN)}
    sum(x.square().mean() for x in network(noise_input(2, 3, 64, 64))).backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    assert [name for name, grad in gradients.items() if grad is None or not grad.isfinite().all()] == []
    assert [name for name, grad in gradients.items() if name not in cancelled and not grad.any()] == []


@torch.inference_mode()
def test_an_answer_depends_on_its_image_only() -> None:
    network = small().eval()
    batch = torch.cat([noise_input(1, 3, 64, 48, phase=k) * 10**k for k in range(3)])
    together = network(batch)
    alone = torch.cat([network(image[None]) for image in batch])
    assert torch.equal(network(batch), together)
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_weights_survive_a_file() -> None:
    network, other, image = small().eval(), ASCSeg(channels=(4, 4, 8, 8)).eval(), noise_input(1, 3, 64, 64)
    other.load_state_dict(load(save(network.state_dict())))
    assert torch.equal(network(image), other(image))


@pytest.mark.parametrize("training", [False, True])
def test_it_runs_in_bfloat16(training: bool) -> None:
    network = small().train(training)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(noise_input(2, 3, 64, 64))
    for x in logits if training else [logits]:
        x.float().square().mean().backward(retain_graph=True)
        assert x.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@torch.inference_mode()
def test_mamba_sees_the_past_only() -> None:
    mamba, tokens = Mamba(4).eval(), noise_input(1, 50, 4)
    later = tokens.clone()
    later[:, 30:] += 1
    difference = (mamba(tokens) - mamba(later)).abs().amax(dim=(0, 2))
    assert (difference[:30] < 1e-6).all()
    assert difference[30] > 0
