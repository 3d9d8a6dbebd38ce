"""The boundary difference-over-union loss.

Source: Sun, Luo, Li, "Boundary Difference Over Union Loss For Medical Image Segmentation", MICCAI 2023,
https://arxiv.org/abs/2308.00220.
Different from the published code: one logit channel means a softmax over background and foreground, and a label may
be ignored.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-5
"""Keeps a class that does not occur from dividing by zero."""


def boundary_dou(logits: Tensor, labels: Tensor, *, ignore: int | None = None) -> Tensor:
    """The mean over all classes, background included, of (P + T - 2 I) / (P + T - (1 + alpha) I).

    P and T are the sums of squares of a class's probability and of its mask, I that of their product, over the whole
    batch. alpha, from -1 for an object that is all boundary to 0.8 for a large one, turns Dice's difference over sum
    into one over the union's boundary: the larger the object, the more its boundary counts.

    Args:
        logits: (B, C, H, W); C = 1 for one binary channel, else a softmax over C classes.
        labels: (B, 1, H, W), whole numbers from 0 to C - 1 (to 1 for C = 1).
        ignore: a label whose pixels count for nothing, neither as an object nor as what is beyond its boundary.

    Returns:
        One number, float32.
    """
    logits = logits.float()  # sums over a whole batch are too large for half precision
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)  # softmax of (0, z) is (1 - sigma(z), sigma(z))
    classes = torch.arange(logits.shape[1], device=logits.device)[:, None, None]
    ignored = torch.zeros_like(labels, dtype=torch.bool) if ignore is None else labels == ignore
    masks = (labels == classes) & ~ignored  # (B, 1, H, W) -> (B, C, H, W)
    overlap_weight = 1 + _alpha(masks, ignored)  # (C,)
    probabilities = logits.softmax(1).masked_fill(ignored, 0)
    squares = probabilities.square().sum((0, 2, 3)) + masks.sum((0, 2, 3))  # P + T
    overlap = (probabilities * masks).sum((0, 2, 3))  # I
    return ((squares - 2 * overlap + EPSILON) / (squares - overlap_weight * overlap + EPSILON)).mean()


def _alpha(masks: Tensor, ignored: Tensor) -> Tensor:
    """How far each class is from being all boundary, (C,).

    A pixel of a mask is boundary if one of its four neighbours is outside the mask or the image.
    """
    y, x = masks.shape[-2:]
    inside = F.pad(masks | ignored, (1, 1, 1, 1))  # (B, C, H, W) -> (B, C, H + 2, W + 2)
    up, down = inside[..., :y, 1:-1], inside[..., 2:, 1:-1]
    left, right = inside[..., 1:-1, :x], inside[..., 1:-1, 2:]
    boundary = (masks & ~(up & down & left & right)).sum((0, 2, 3))
    area = masks.sum((0, 2, 3))
    return (1 - 2 * (boundary + EPSILON) / (area + EPSILON)).clamp(max=0.8)
