"""What training makes small: how far logits are from a mask, at every depth that a network answers at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from torch import Tensor

from .boundary_loss import boundary_dou

LOSSES = ("dice_ce", "ce", "boundary_dou")
"""Soft Dice plus cross-entropy; cross-entropy alone; boundary difference-over-union."""


def segmentation_loss(
    classes: int, kind: str = "dice_ce", *, ignore: int | None = None, weights: Sequence[float] = ()
) -> Callable[[Sequence[Tensor], Tensor], Tensor]:
    """The loss of a network with `classes` logit channels, deep supervision included.

    Args:
        classes: 1 for one binary logit channel, n >= 2 for a softmax over n classes, the background among them.
        kind: one of `LOSSES`. Dice is taken over the foreground classes of the whole batch.
        ignore: a label whose pixels count for nothing.
        weights: of the logit maps, finest first, at least as many as there are; by default each counts half as much
            as the one before it.

    Returns:
        A function of a list of logits (B, classes, h, w), finest first, and labels (B, 1, H, W) of whole numbers
        that gives one number, the weighted mean over the maps. Logits are brought to the labels' size, never labels
        to the logits', since a small object would vanish.
    """
    single = {"dice_ce": _dice_ce(classes, ignore), "ce": _cross_entropy(ignore), "boundary_dou": _boundary(ignore)}[
        kind
    ]

    def loss(logits: Sequence[Tensor], labels: Tensor) -> Tensor:
        counts = tuple(weights)[: len(logits)] or [0.5**depth for depth in range(len(logits))]
        parts = [
            weight * single(_at_size_of(labels, answer.float()), labels)  # sums over a batch are large for 16 bits
            for weight, answer in zip(counts, logits, strict=True)
        ]
        return sum(parts[1:], parts[0]) / sum(counts)

    return loss


def _dice_ce(classes: int, ignore: int | None) -> Callable[[Tensor, Tensor], Tensor]:
    cross_entropy = _cross_entropy(ignore)
    dice = (
        DiceLoss(sigmoid=True, batch=True, ignore_index=ignore)
        if classes == 1
        else DiceLoss(softmax=True, to_onehot_y=True, include_background=False, batch=True, ignore_index=ignore)
    )
    return lambda logits, labels: dice(logits, labels) + cross_entropy(logits, labels)


def _boundary(ignore: int | None) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda logits, labels: boundary_dou(logits, labels, ignore=ignore)


def _cross_entropy(ignore: int | None) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean over the pixels that count; 0 if none does."""

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        counted = torch.ones_like(labels, dtype=torch.bool) if ignore is None else labels != ignore
        known = labels.masked_fill(~counted, 0)
        if logits.shape[1] == 1:
            each = F.binary_cross_entropy_with_logits(logits, known.float(), reduction="none")
        else:
            each = F.cross_entropy(logits, known[:, 0].long(), reduction="none")[:, None]
        return each.masked_fill(~counted, 0).sum() / counted.sum().clamp(min=1)  # each: (B, 1, H, W)

    return loss


def _at_size_of(labels: Tensor, logits: Tensor) -> Tensor:
    if logits.shape[-2:] == labels.shape[-2:]:
        return logits
    return F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=False)
