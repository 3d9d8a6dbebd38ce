import math

import pytest
import torch
import torch.nn.functional as F
from monai.losses import DiceCELoss

from napari_medseg.models.losses import LOSSES, segmentation_loss

CLASSES = [1, 2, 4]


def sample(classes: int, *shapes: int, seed: int = 0) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Logits of these sides, finest first, and labels of 32 px."""
    draw = torch.Generator().manual_seed(seed)
    logits = [torch.randn(2, classes, side, side, generator=draw, requires_grad=True) for side in shapes or (32,)]
    return logits, torch.randint(0, max(classes, 2), (2, 1, 32, 32), generator=draw, dtype=torch.uint8)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("classes", CLASSES)
def test_the_truth_costs_almost_nothing_and_its_opposite_much(kind: str, classes: int) -> None:
    _, labels = sample(classes)
    right = (
        20.0 * (2.0 * labels - 1)
        if classes == 1
        else 40.0 * F.one_hot(labels[:, 0].long(), classes).permute(0, 3, 1, 2).float()
    )
    loss = segmentation_loss(classes, kind)
    assert loss([right], labels) < 0.01
    assert loss([-right], labels) > 0.5


@pytest.mark.parametrize("classes", CLASSES)
def test_dice_and_cross_entropy_are_those_of_monai(classes: int) -> None:
    logits, labels = sample(classes)
    theirs = (
        DiceCELoss(sigmoid=True, batch=True)
        if classes == 1
        else DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
    )
    expected = theirs(logits[0], labels.float() if classes == 1 else labels)
    assert float(segmentation_loss(classes)(logits, labels)) == pytest.approx(float(expected), rel=1e-5)


class TestIgnoredPixels:
    @pytest.mark.parametrize("kind", LOSSES)
    @pytest.mark.parametrize("classes", CLASSES)
    def test_they_change_neither_loss_nor_gradient(self, kind: str, classes: int) -> None:
        (logits,), labels = sample(classes)
        labels[:, :, 5:20, 8:30] = 255
        ignored = (labels == 255).expand_as(logits)
        loss = segmentation_loss(classes, kind, ignore=255)
        (gradient,) = torch.autograd.grad(loss([logits], labels), logits)
        assert gradient.abs().sum() > 0
        assert torch.equal(gradient[ignored], torch.zeros_like(gradient[ignored]))

        other = torch.where(ignored, 50 * torch.rand_like(logits) - 25, logits.detach()).requires_grad_()
        (same,) = torch.autograd.grad(loss([other], labels), other)
        assert float(loss([other], labels)) == pytest.approx(float(loss([logits], labels)), rel=1e-6)
        assert torch.allclose(gradient, same, atol=1e-9)

    @pytest.mark.parametrize("kind", LOSSES)
    def test_without_such_a_label_nothing_is_ignored(self, kind: str) -> None:
        logits, labels = sample(3)
        assert segmentation_loss(3, kind, ignore=255)(logits, labels) == segmentation_loss(3, kind)(logits, labels)

    @pytest.mark.parametrize("kind", LOSSES)
    @pytest.mark.parametrize("classes", CLASSES)
    def test_a_batch_of_nothing_else_gives_a_number_and_no_gradient(self, kind: str, classes: int) -> None:
        (logits,), labels = sample(classes)
        loss = segmentation_loss(classes, kind, ignore=255)([logits], torch.full_like(labels, 255))
        assert math.isfinite(loss)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert gradient.abs().sum() == 0


class TestDeepSupervision:
    def test_each_map_counts_half_as_much_as_the_one_before_it(self) -> None:
        logits, labels = sample(1, 32, 16, 8)
        loss = segmentation_loss(1)
        single = [loss([F.interpolate(one, (32, 32), mode="bilinear")], labels) for one in logits]
        expected = (single[0] + single[1] / 2 + single[2] / 4) / 1.75
        assert float(loss(logits, labels)) == pytest.approx(float(expected), rel=1e-6)

    def test_weights_may_be_given_for_more_maps_than_there_are(self) -> None:
        logits, labels = sample(1, 32, 16)
        parts = [segmentation_loss(1)([one], labels) for one in logits]
        loss = segmentation_loss(1, weights=(1, 0.25, 9, 9))(logits, labels)
        assert float(loss) == pytest.approx(float((parts[0] + 0.25 * parts[1]) / 1.25), rel=1e-6)

    def test_fewer_weights_than_maps_are_refused(self) -> None:
        logits, labels = sample(1, 32, 16)
        with pytest.raises(ValueError, match="argument"):
            segmentation_loss(1, weights=(1,))(logits, labels)

    @pytest.mark.parametrize("kind", LOSSES)
    def test_an_object_smaller_than_a_pixel_of_a_coarse_map_is_not_lost(self, kind: str) -> None:
        logits, _ = sample(2, 4)
        empty, dot = torch.zeros(2, 1, 32, 32, dtype=torch.uint8), torch.zeros(2, 1, 32, 32, dtype=torch.uint8)
        dot[:, :, 3, 5] = 1  # nearest-neighbour shrinking to 4 px would drop it
        loss = segmentation_loss(2, kind)
        assert loss(logits, empty) != loss(logits, dot)

    def test_gradients_reach_every_map(self) -> None:
        logits, labels = sample(3, 32, 16, 8, 4)
        gradients = torch.autograd.grad(segmentation_loss(3, weights=(1, 1, 1, 1))(logits, labels), logits)
        assert all(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("kind", LOSSES)
def test_half_precision_logits_give_a_loss_in_full_precision(kind: str) -> None:
    (logits,), labels = sample(1)
    loss = segmentation_loss(1, kind)
    assert loss([logits.bfloat16()], labels).dtype == torch.float32
    assert float(loss([logits.bfloat16()], labels)) == pytest.approx(float(loss([logits], labels)), rel=0.02)
