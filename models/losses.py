"""What training makes small: the overlap with the mask and the cross-entropy, together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from monai.losses import DiceCELoss
from torch import Tensor


def segmentation_loss(classes: int) -> Callable[[Sequence[Tensor], Tensor], Tensor]:
    """Soft Dice plus cross-entropy, for a network with `classes` logit channels.

    Returns:
        A function of a list of logits (B, classes, h, w), finest first, and labels (B, 1, H, W) of whole numbers
        that gives one number. Each further logit map counts half as much as the one before it; logits are brought
        to the labels' size, never labels to the logits', since a small object would vanish.
    """
    single = (
        DiceCELoss(sigmoid=True, batch=True)
        if classes == 1
        else DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
    )

    def loss(logits: Sequence[Tensor], labels: Tensor) -> Tensor:
        target = labels.float() if classes == 1 else labels
        weights = [0.5**depth for depth in range(len(logits))]
        parts = [
            weight * single(_at_size_of(labels, answer), target) for weight, answer in zip(weights, logits, strict=True)
        ]
        return sum(parts[1:], parts[0]) / sum(weights)

    return loss


def _at_size_of(labels: Tensor, logits: Tensor) -> Tensor:
    if logits.shape[-2:] == labels.shape[-2:]:
        return logits
    return F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=False)
