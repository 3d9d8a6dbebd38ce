import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medseg.models import create_model
from napari_medseg.models.adstnet.head import AdSTHead
from napari_medseg.models.adstnet.laplace import LaplacianResidual
from napari_medseg.models.adstnet.targets import class_targets, mask_targets
from napari_medseg.models.adstnet.wrapper import AdSTAnswer, AdSTNet, adstnet_loss
from napari_medseg.models.losses import segmentation_loss

from ..parity import fill_parameters, noise_input


def small(classes: int = 1, in_channels: int = 3) -> AdSTNet:
    torch.manual_seed(0)
    return AdSTNet(create_model("unet", base=4, in_channels=in_channels, classes=classes), classes)


def disc(radius: float, size: int = 128, row: float = 64.0, column: float = 64.0) -> np.ndarray:
    return distance(size, row, column) < radius


def distance(size: int = 128, row: float = 64.0, column: float = 64.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return np.hypot(y - row, x - column)


# --- the edge map ---


@given(height=st.integers(3, 40), width=st.integers(3, 40))
@settings(max_examples=20, deadline=None)
def test_a_map_without_edges_has_no_residual(height: int, width: int) -> None:
    residual = LaplacianResidual()(torch.full((1, 2, height, width), 5.0))
    assert residual.shape == (1, 2, height, width)
    assert residual.abs().max() < 1e-5


def test_the_residual_is_found_where_the_edge_is() -> None:
    step = torch.zeros(1, 1, 32, 32)
    step[..., 16:] = 1
    residual = LaplacianResidual()(step).abs()[0, 0]
    assert residual[:, 15:17].min() > 0.1
    assert residual[:, :10].max() < 1e-6
    assert residual[:, 22:].max() < 1e-6


# --- head and wrapper ---


@pytest.mark.parametrize("hidden", [8, 16])
@torch.inference_mode()
def test_each_class_is_treated_alone(hidden: int) -> None:
    head = fill_parameters(AdSTHead(hidden)).eval()
    logits = noise_input(2, 3, 33, 48)
    core, edge, fused = head(logits).chunk(3, dim=1)
    for k in range(3):
        alone = head(logits[:, k : k + 1])
        assert torch.allclose(torch.stack([core, edge, fused], 1)[:, :, k], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("classes", "maps"), [(1, 3), (2, 3), (9, 24)])
def test_in_training_it_answers_with_the_networks_logits_and_three_maps_a_foreground_class(
    classes: int, maps: int
) -> None:
    answer = small(classes).train()(noise_input(1, 3, 64, 64))
    assert isinstance(answer, AdSTAnswer)
    assert [logits.shape for logits in answer.logits] == [(1, classes, 64, 64)]
    assert answer.maps.shape == (1, maps, 64, 64)


@settings(max_examples=5, deadline=None)
@given(height=st.integers(32, 60), width=st.integers(32, 60))
def test_any_size_from_32_pixels_works(height: int, width: int) -> None:
    wrapped, image = small(), noise_input(1, 3, height, width)
    assert wrapped.train()(image).maps.shape == (1, 3, height, width)
    assert wrapped.eval()(image).shape == (1, 1, height, width)


def test_the_networks_logits_learn_from_the_head() -> None:
    logits = noise_input(1, 1, 32, 32).requires_grad_()
    fill_parameters(AdSTHead())(logits).sum().backward()
    assert (logits.grad != 0).all()


def test_half_precision_stays_finite() -> None:
    wrapped = small(3).train()
    labels = torch.from_numpy(disc(14, 64, 30, 30)).long()[None, None]
    with torch.autocast("cpu", torch.bfloat16):
        answer = wrapped(noise_input(2, 3, 64, 64))
        loss = adstnet_loss(segmentation_loss(3), 3)(answer, labels.expand(2, -1, -1, -1))
    loss.backward()
    assert answer.maps.isfinite().all()
    assert all(p.grad.isfinite().all() for p in wrapped.parameters())


def test_the_loss_is_the_networks_own_and_three_cross_entropies() -> None:
    answer = AdSTAnswer([noise_input(2, 3, 48, 48)], noise_input(2, 6, 48, 48, phase=1.0))
    labels = torch.from_numpy(np.stack([disc(12, 48, 20, 20), 2 * disc(9, 48, 30, 30)])).long()[:, None]
    targets = class_targets(labels, 3)
    own = segmentation_loss(3)
    pairs = zip(answer.maps.chunk(3, 1), targets.chunk(3, 1), strict=True)
    expected = own(answer.logits, labels) + sum(F.binary_cross_entropy_with_logits(z, t) for z, t in pairs)
    assert torch.allclose(adstnet_loss(own, 3)(answer, labels), expected)
    assert torch.allclose(adstnet_loss(own, 3)(answer, labels, targets), expected)


def test_ignored_pixels_do_not_count() -> None:
    labels = torch.from_numpy(disc(12, 48, 20, 20)).long()[None, None]
    labels[..., 36:] = 255
    maps = noise_input(1, 3, 48, 48)
    otherwise = torch.cat([maps[..., :36], maps[..., 36:] + 7], dim=-1)
    loss = adstnet_loss(lambda _logits, _labels: torch.zeros(()), 1, ignored=255)
    assert torch.equal(loss(AdSTAnswer([], maps), labels), loss(AdSTAnswer([], otherwise), labels))


def test_training_with_the_head_finds_the_mask_without_it() -> None:
    torch.manual_seed(0)
    wrapped = small()
    labels = torch.from_numpy(np.stack([disc(9, 32, 14, 13), disc(6, 32, 20, 22)])).long()[:, None]
    image = labels.float().expand(-1, 3, -1, -1) + 0.3 * noise_input(2, 3, 32, 32)
    optimiser = torch.optim.AdamW(wrapped.parameters(), lr=1e-2)
    loss = adstnet_loss(segmentation_loss(1), 1)
    for _ in range(80):
        optimiser.zero_grad()
        loss(wrapped.train()(image), labels).backward()
        optimiser.step()
    with torch.inference_mode():
        answer = wrapped.eval()(image) > 0
    assert (answer == labels.bool()).float().mean() > 0.98


# --- the targets ---


@pytest.mark.parametrize("centre", [(64.0, 64.0), (63.5, 63.5), (64.2, 63.7)])
@pytest.mark.parametrize("radius", [10, 20, 40])
def test_a_discs_targets_are_the_published_ones_to_a_pixel(radius: int, centre: tuple[float, float]) -> None:
    from_centre = distance(128, *centre)
    reach = 0.42 * radius
    core, edge, fused = mask_targets(from_centre < radius)
    wrong = core.astype(bool) != (from_centre < 0.58 * radius)
    assert (abs(from_centre[wrong] - 0.58 * radius) < 1).all()
    expected = 0.3 + 0.4 * np.clip(1 - abs(from_centre - radius) / reach, 0, None)
    assert abs(edge - expected).max() < 0.4 / reach  # which is how much a pixel makes
    assert np.array_equal(fused, from_centre < radius)


def test_a_holes_contour_is_a_contour_too() -> None:
    from_centre = distance()
    ring = (from_centre < 50) & (from_centre >= 20)
    core, edge, _ = mask_targets(ring)
    reach = (50**2 - 20**2) / (2 * (50 + 20)) * 0.84  # 12.6 px
    expected = 0.3 + 0.4 * np.clip(1 - np.minimum(abs(from_centre - 20), abs(from_centre - 50)) / reach, 0, None)
    assert abs(edge - expected).max() < 0.4 / reach
    wrong = core.astype(bool) != ((from_centre > 20 + reach) & (from_centre < 50 - reach))
    assert (np.minimum(abs(from_centre - 20 - reach), abs(from_centre - 50 + reach))[wrong] < 1).all()


def test_every_region_has_its_own_targets_and_the_higher_edge_counts() -> None:
    parts = [disc(25, row=40, column=40), disc(8, row=50, column=76), disc(15, row=100, column=90)]
    core, edge, _ = mask_targets(np.any(parts, axis=0))
    alone = [mask_targets(part) for part in parts]
    assert np.array_equal(core, np.max([part[0] for part in alone], axis=0))
    assert np.array_equal(edge, np.max([part[1] for part in alone], axis=0))


def test_the_border_of_the_image_is_a_contour() -> None:
    mask = disc(30, row=20, column=64)
    core, edge, _ = mask_targets(mask)
    assert mask[0, 64]
    assert not core[0].any()
    assert edge[0, 64] == edge.max() > 0.68


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (2, 2), (3, 40)])
def test_a_region_too_thin_for_a_core_keeps_its_innermost_pixels(shape: tuple[int, int]) -> None:
    mask = np.zeros((64, 64), bool)
    mask[30 : 30 + shape[0], 10 : 10 + shape[1]] = True
    core, edge, _ = mask_targets(mask)
    assert core.any()
    assert mask[core.astype(bool)].all()
    assert edge.max() >= 0.45
    assert core.sum() < mask.sum() or min(shape) < 3


def test_pixels_that_meet_at_a_corner_are_one_region() -> None:
    mask = np.zeros((32, 32), bool)
    mask[4:10, 4:10] = mask[10:22, 10:22] = True
    core, _, _ = mask_targets(mask)
    assert core[4:10, 4:10].sum() < mask_targets(mask & (np.arange(32) < 10))[0].sum()  # they share one D, the larger


@pytest.mark.parametrize("value", [False, True])
def test_an_empty_and_a_full_mask_have_targets(value: bool) -> None:
    core, edge, fused = mask_targets(np.full((40, 56), value))
    assert core.any() == value
    assert fused.all() == value
    assert edge.min() == np.float32(0.3)
    assert (edge.max() > 0.6) == value


def test_a_batch_has_the_targets_of_its_classes_in_the_heads_order() -> None:
    labels = torch.zeros(2, 1, 128, 128, dtype=torch.uint8)
    labels[0, 0][torch.from_numpy(disc(20, row=30, column=30))] = 1
    labels[1, 0][torch.from_numpy(disc(30))] = 2
    targets = class_targets(labels, 3)
    assert targets.shape == (2, 6, 128, 128)
    assert targets.dtype == torch.float32
    empty = mask_targets(np.zeros((128, 128), bool))
    for image, k, mask in [(0, 0, labels[0, 0] == 1), (1, 1, labels[1, 0] == 2), (0, 1, None), (1, 0, None)]:
        expected = empty if mask is None else mask_targets(mask.numpy())
        assert np.array_equal(targets[image, k::2].numpy(), expected)
    assert torch.equal(class_targets(labels, 1), targets[:, ::2])
