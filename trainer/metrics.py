"""How well a mask agrees with another. Without torch: the window shows these figures, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def dice(predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Dice of two masks of one shape: 2 |P and T| / (|P| + |T|), averaged over the labels that either holds.

    Masks of instances are compared as foreground: pass `mask > 0`. Two empty masks agree: 1. A label that only one
    of them holds counts 0, so a wrongly found object is not free.
    """
    return _mean_over_labels(predicted, truth, lambda both, p, t: 2 * both / (p + t))


def iou(predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Intersection over union, |P and T| / |P or T|, averaged like `dice`."""
    return _mean_over_labels(predicted, truth, lambda both, p, t: both / (p + t - both))


def _mean_over_labels(predicted: npt.NDArray[Any], truth: npt.NDArray[Any], ratio: Any) -> float:
    if predicted.shape != truth.shape:
        raise ValueError(f"Masks of shapes {predicted.shape} and {truth.shape} cannot be compared.")
    labels = sorted((set(np.unique(predicted)) | set(np.unique(truth))) - {0})
    scores = []
    for label in labels:
        p, t = predicted == label, truth == label
        scores.append(ratio(int(np.count_nonzero(p & t)), int(np.count_nonzero(p)), int(np.count_nonzero(t))))
    return float(np.mean(scores)) if scores else 1.0
