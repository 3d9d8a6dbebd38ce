import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from napari_medseg.models.boundary_loss import boundary_dou

from ..parity import noise_input


def discs() -> Tensor:
    """The labels of parity: in each of two images a larger and a smaller disc over background."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(40.0), indexing="ij")
    labels = torch.zeros(2, 1, 32, 40, dtype=torch.long)
    for k in range(2):
        for c in (1, 2):
            labels[k, 0][(y - (32 * c / 3 + k)) ** 2 + (x - 40 * c / 3) ** 2 < (32 / (3 + c)) ** 2] = c
    return labels


def certain(labels: Tensor, classes: int) -> Tensor:
    """Logits of somebody who knows the labels."""
    return 50.0 * torch.nn.functional.one_hot(labels[:, 0], classes).movedim(-1, 1)


def by_hand(logits: Tensor, labels: Tensor) -> float:
    """The definition, class by class, with the boundary by erosion."""
    losses = []
    for c, probability in enumerate(logits.softmax(1).double().unbind(1)):
        mask = (labels[:, 0] == c).double()
        inner = sum(ndimage.binary_erosion(m).sum() for m in mask.numpy())
        area = mask.sum()
        alpha = min(0.8, 1 - 2 * (area - inner + 1e-5) / (area + 1e-5))
        squares, overlap = probability.square().sum() + mask.sum(), (probability * mask).sum()
        losses.append((squares - 2 * overlap + 1e-5) / (squares - (1 + alpha) * overlap + 1e-5))
    return float(sum(losses) / len(losses))


def test_it_gives_the_number_of_the_published_code() -> None:
    labels = discs()
    assert labels.flatten().bincount().tolist() == [1900, 402, 258]
    assert float(boundary_dou(2 * noise_input(2, 3, 32, 40), labels)) == pytest.approx(0.869617, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.tuples(st.integers(1, 20), st.integers(1, 20)), classes=st.integers(2, 5))
def test_it_is_what_the_definition_says(seed: int, size: tuple[int, int], classes: int) -> None:
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (2, 1, *size), generator=random)
    logits = 3 * torch.randn(2, classes, *size, generator=random)
    loss = float(boundary_dou(logits, labels))
    assert loss == pytest.approx(by_hand(logits, labels), abs=1e-5)
    assert 0 <= loss <= 1


def test_the_truth_costs_nothing() -> None:
    assert float(boundary_dou(certain(discs(), 3), discs())) == pytest.approx(0, abs=1e-5)


def test_one_channel_is_background_and_foreground() -> None:
    logit, labels = noise_input(2, 1, 32, 40), discs().clamp(max=1)
    both = torch.cat([torch.zeros_like(logit), logit], dim=1)
    assert float(boundary_dou(logit, labels)) == float(boundary_dou(both, labels))


def test_a_class_that_occurs_nowhere_is_finite() -> None:
    logits = certain(discs(), 4).requires_grad_()
    loss = boundary_dou(logits, discs())
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("classes", [1, 3])
def test_ignored_pixels_count_for_nothing(classes: int) -> None:
    labels = discs().clamp(max=max(1, classes - 1))
    labels[:, :, 5:20, 10:30] = 255
    logits = noise_input(2, classes, 32, 40)
    other = torch.where(labels == 255, noise_input(2, classes, 32, 40, phase=1.0), logits)
    assert float(boundary_dou(logits, labels, ignore=255)) == float(boundary_dou(other, labels, ignore=255))


def test_the_edge_of_what_is_ignored_is_no_boundary() -> None:
    whole = torch.ones(1, 1, 40, 40, dtype=torch.long)
    half = whole.clone()
    half[..., 20:] = 255
    logits = noise_input(1, 1, 40, 40)
    left = torch.cat([logits[..., :20], logits[..., :20].flip(-1)], dim=-1)  # the half, mirrored on its edge
    assert float(boundary_dou(logits, half, ignore=255)) == pytest.approx(float(boundary_dou(left, whole)), abs=1e-5)


def test_the_boundary_of_a_large_object_counts_more() -> None:
    def loss(radius: int, missing: float) -> float:
        y, x = torch.meshgrid(torch.arange(-50.0, 50), torch.arange(-50.0, 50), indexing="ij")
        distance = (y**2 + x**2).sqrt()[None, None]
        return float(boundary_dou(certain((distance < radius - missing).long(), 2), (distance < radius).long()))

    def dice_loss(radius: int, missing: float) -> float:
        kept = (radius - missing) ** 2 / radius**2
        return 1 - 2 * kept / (1 + kept)

    assert loss(40, 2) / dice_loss(40, 2) > 2 * loss(8, 0.4) / dice_loss(8, 0.4)


def test_half_precision_does_not_overflow() -> None:
    labels = torch.zeros(1, 1, 512, 512, dtype=torch.long)
    assert boundary_dou(torch.zeros(1, 2, 512, 512, dtype=torch.float16), labels).isfinite()
    with torch.autocast("cpu", torch.float16):
        assert boundary_dou(torch.zeros(1, 1, 512, 512, dtype=torch.float16), labels).isfinite()
