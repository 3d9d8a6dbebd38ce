import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medseg.models import create_model

from ..parity import build, fill_parameters, golden, noise_input


def small(**options: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return create_model("unet", base=4, **options)


def test_it_gives_the_numbers_of_the_published_code() -> None:
    network = fill_parameters(build("adstnet/unet16", in_channels=3, classes=1)).eval()
    (expected,) = golden("adstnet/unet16")
    with torch.inference_mode():
        answer = network(noise_input(1, 3, 64, 64)).numpy()
    assert abs(answer - expected).max() <= 1e-4 * abs(expected).max()


def test_other_parameters_give_other_numbers() -> None:
    network = fill_parameters(build("adstnet/unet16", in_channels=3, classes=1), gain=0.99).eval()
    (expected,) = golden("adstnet/unet16")
    with torch.inference_mode():
        answer = network(noise_input(1, 3, 64, 64)).numpy()
    assert abs(answer - expected).max() > 1e-4 * abs(expected).max()


def test_the_row_is_what_create_model_makes() -> None:
    assert type(build("adstnet/unet16", in_channels=3, classes=1)) is type(create_model("unet"))


def test_an_unknown_row_names_the_rows() -> None:
    with pytest.raises(KeyError, match="adstnet/unet16"):
        build("adstnet/unet17")


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in create_model("unet").parameters()) == 2_162_129


@settings(max_examples=15, deadline=None)
@given(height=st.integers(32, 100), width=st.integers(32, 100))
def test_any_size_from_32_pixels_comes_back(height: int, width: int) -> None:
    with torch.inference_mode():
        logits = small().eval()(noise_input(1, 3, height, width))
    assert logits.shape == (1, 1, height, width)
    assert logits.isfinite().all()


@pytest.mark.parametrize("in_channels", [1, 3, 4])
@pytest.mark.parametrize("classes", [1, 2, 9])
def test_channels_and_classes_are_free(in_channels: int, classes: int) -> None:
    network = small(in_channels=in_channels, classes=classes).eval()
    assert network(noise_input(2, in_channels, 33, 48)).shape == (2, classes, 33, 48)


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(RuntimeError, match="channels"):
        small()(noise_input(1, 4, 32, 32))


def test_training_answers_with_a_list_and_prediction_with_logits() -> None:
    network, image = small(), noise_input(2, 3, 32, 32)
    (logits,) = network.train()(image)
    assert logits.shape == (2, 1, 32, 32)
    assert network.eval()(image).shape == (2, 1, 32, 32)


def test_a_batch_of_one_small_image_can_be_trained_on() -> None:
    (logits,) = small().train()(noise_input(1, 3, 32, 32))
    logits.square().mean().backward()
    assert logits.isfinite().all()


def test_every_parameter_learns() -> None:
    network = small()
    (logits,) = network.train()(noise_input(2, 3, 48, 48))
    logits.square().mean().backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert idle == []
    assert all(p.grad.abs().sum() > 0 for name, p in network.named_parameters() if p.ndim > 1)


@torch.inference_mode()
def test_the_same_image_gives_the_same_answer() -> None:
    network, image = small().eval(), noise_input(1, 3, 50, 61)
    assert torch.equal(network(image), network(image))


@torch.inference_mode()
def test_an_answer_does_not_depend_on_the_other_images_of_its_batch() -> None:
    network = small().eval()
    batch = torch.cat([noise_input(1, 3, 40, 40, phase=k) * 10**k for k in range(3)])
    alone = torch.cat([network(image[None]) for image in batch])
    assert torch.allclose(network(batch), alone, rtol=1e-4, atol=1e-5)
