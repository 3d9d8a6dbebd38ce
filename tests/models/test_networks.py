"""What every network of the registry promises, whatever it is made of. A new network adds a line to `SMALL`."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from napari_medseg.models import ModelCard, create_model, load_model, save_model
from napari_medseg.models.adstnet.wrapper import AdSTNet
from napari_medseg.models.ascseg.sfm import CAB
from napari_medseg.models.registry import NETWORKS

from ..parity import fill_parameters, noise_input
from ..small_networks import SMALL

GAIN = 0.5
"""Of the filled kernels: with 1 some of the deep networks leave the range of float32."""

every_network = pytest.mark.parametrize("name", NETWORKS)


def small(name: str, in_channels: int = 3, classes: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, in_channels=in_channels, classes=classes, **SMALL[name])


@functools.cache
@torch.inference_mode(False)  # whoever asks first
def filled(name: str) -> nn.Module:
    """For prediction only: several tests share it."""
    return fill_parameters(small(name), gain=GAIN).eval()


def images(*phases: float, height: int = 64, width: int = 64, channels: int = 3) -> Tensor:
    return torch.cat([noise_input(1, channels, height, width, phase=phase) for phase in phases])


def test_every_network_is_tested() -> None:
    assert SMALL.keys() == NETWORKS.keys()


# --- answers ---


@every_network
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(height=st.integers(32, 130), width=st.integers(32, 130))
@example(height=32, width=32)
@example(height=33, width=95)
def test_any_size_from_32_pixels_comes_back(name: str, height: int, width: int) -> None:
    with torch.inference_mode():
        logits = filled(name)(images(0, height=height, width=width))
    assert logits.shape == (1, 2, height, width)
    assert logits.isfinite().all()


@every_network
@pytest.mark.parametrize(("in_channels", "classes"), [(1, 9), (3, 1), (4, 2)])
@torch.inference_mode()
def test_channels_and_classes_are_free(name: str, in_channels: int, classes: int) -> None:
    network = small(name, in_channels, classes).eval()
    assert network(images(0, 1, height=33, width=48, channels=in_channels)).shape == (2, classes, 33, 48)


@every_network
@torch.inference_mode()
def test_another_number_of_channels_is_refused(name: str) -> None:
    with pytest.raises(RuntimeError, match="channels"):
        filled(name)(images(0, channels=4))


@every_network
@torch.inference_mode()
def test_the_same_image_gives_the_same_answer(name: str) -> None:
    image = images(0, height=50, width=61)
    assert torch.equal(filled(name)(image), filled(name)(image))


@every_network
@torch.inference_mode()
def test_an_answer_does_not_depend_on_the_other_images_of_its_batch(name: str) -> None:
    batch = images(0, 1, 2, height=40, width=70) * torch.tensor([1.0, 10, 100]).view(3, 1, 1, 1)
    for image, together in zip(batch, filled(name)(batch), strict=True):
        alone = filled(name)(image[None])[0]
        assert (together - alone).abs().max() <= 1e-3 * alone.abs().max()


@every_network
@torch.inference_mode()
def test_a_file_brings_it_back(name: str, tmp_path: Path) -> None:
    card = ModelCard(name=name, title=name, network=name, classes=2, config=SMALL[name])
    save_model(filled(name), tmp_path / name, card)
    again = load_model(tmp_path / f"{name}.safetensors")
    assert torch.equal(again(images(0)), filled(name)(images(0)))


# --- training ---


@every_network
@pytest.mark.parametrize("size", [(64, 64), (32, 47)])
def test_a_batch_of_one_small_image_can_be_trained_on(name: str, size: tuple[int, int]) -> None:
    network = small(name).train()
    answers = network(images(0, height=size[0], width=size[1]))
    assert isinstance(answers, list)
    assert {tuple(logits.shape) for logits in answers} == {(1, 2, *size)}
    loss(answers).backward()
    assert all(logits.isfinite().all() for logits in answers)
    assert all(p.grad.isfinite().all() for p in network.parameters())


WITHOUT_EFFECT = {
    "unet": r"(down|merge)\.\d\.[03]\.bias|up\.\d\.1\.bias",
    "ascseg": r"(pyramid\.\d|dcb\.(pre\.0|offsets|post\.0)|(same|finer|coarser)\.\d\.\d|(gate|mean|peak)\.\d)\.0\.bias"
    r"|gate\.0\.bias|(fuse|branches\.\d)\.(\d\.0|2\.1)\.bias",
    "hastnet": r"nothing",
    "msa2net": r"keys\.bias|conv\.pre_norm\.bias"
    r"|gate\.(local_context\.[0367]|global_context\.[01]|attention\.0|recalibration\.0)\.bias",
    "sosegformer": r"transformer\.\d\.(attention\.1\.out|feed_forward\.3)\.bias|transformer\.1\.bias",
}
"""Shifts in front of a batch norm or a softmax, which takes them away again: in training nothing follows from them."""


@every_network
def test_every_parameter_learns_but_shifts_that_a_norm_takes_away(name: str) -> None:
    gradients = gradients_of(name, images(0, 1, width=96))
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    threshold = 1e-12 * largest(gradients)
    idle = {key for key, gradient in gradients.items() if gradient.abs().max() < threshold}
    assert idle == {key for key in gradients if re.search(rf"({WITHOUT_EFFECT[name]})$", key)}


@every_network
def test_one_image_teaches_what_two_copies_of_it_do(name: str) -> None:
    """Torch's batch norm on the CPU gives wrong gradients for some strides of a batch of one."""
    once, twice = gradients_of(name, images(0), head=True), gradients_of(name, images(0, 0), head=True)
    negligible = 1e-10 * largest(once)
    for key, gradient in once.items():
        torch.testing.assert_close(gradient, twice[key], rtol=1e-6, atol=negligible, msg=key)


def gradients_of(name: str, batch: Tensor, *, head: bool = False) -> dict[str, Tensor]:
    """Of a loss in training, by parameter; in float64, so that rounding does not pass for a gradient.

    Args:
        name: of the network.
        batch: of images.
        head: with AdSTNet's head on; and what differs by intent between one image and two is left out.
    """
    network = small(name)
    network = fill_parameters(AdSTNet(network, classes=2) if head else network, gain=GAIN).double().train()
    for module in network.modules() if head else ():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, CAB):  # of one image it norms single values, by its running statistics
            module.eval()
    answer = network(batch.double())
    loss([*answer.logits, answer.maps] if head else answer).backward()
    return {key: p.grad for key, p in network.named_parameters()}


def loss(answers: list[Tensor]) -> Tensor:
    return sum((x * noise_input(*x.shape, phase=1.0)[:1].to(x.dtype)).mean() for x in answers)


def largest(gradients: dict[str, Tensor]) -> float:
    return float(max(gradient.abs().max() for gradient in gradients.values()))


@every_network
@torch.no_grad()
def test_wrapped_by_adstnet_it_answers_bit_for_bit_as_it_does_bare(name: str) -> None:
    bare = small(name).train()
    wrapped = AdSTNet(bare, classes=2).train()
    assert wrapped(images(0)).maps.shape == (1, 3, 64, 64)  # and moves the running statistics
    assert torch.equal(wrapped.eval()(images(1)), bare.eval()(images(1)))


# --- precision and compilers ---


@every_network
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_finite(name: str, dtype: torch.dtype) -> None:
    network = small(name).train()
    with torch.autocast("cpu", dtype):
        answers = network(images(0, 1, height=32, width=33))
    loss(answers).backward()
    assert all(logits.isfinite().all() for logits in answers)
    assert all(p.grad.isfinite().all() for p in network.parameters())
    with torch.no_grad(), torch.autocast("cpu", dtype):
        half = filled(name)(images(0))
    with torch.no_grad():
        full = filled(name)(images(0))
    assert (half.float() - full).abs().max() < 0.1 * full.abs().max()


@every_network
@torch.no_grad()
def test_compiled_it_answers_the_same(name: str) -> None:
    """In one graph, without a break."""
    torch.compiler.reset()
    compiled = torch.compile(filled(name), backend="eager", fullgraph=True)
    assert_same(compiled(images(0, width=96)), filled(name)(images(0, width=96)))


@every_network
@torch.no_grad()
def test_exported_it_answers_the_same(name: str) -> None:
    """For images of one size."""
    exported = torch.export.export(filled(name), (images(0, width=96),)).module()
    assert_same(exported(images(1, width=96)), filled(name)(images(1, width=96)))


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()
