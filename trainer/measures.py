"""The papers' measures of how well a mask agrees with the true one: what each is, and what it averages.

All but MAE compare masks; T is the true one, P the predicted one, and TP, FP, FN, TN count pixels (voxels):

    iou          TP / (TP + FP + FN); its mean over images is the papers' mIoU
    dice         2 TP / (2 TP + FP + FN); its mean over images is the papers' mDice (DSC)
    mae          mean over pixels of |p - T|, p the probability of the class, 0 to 1, T 0 or 1
    precision    TP / (TP + FP)
    recall       TP / (TP + FN), also called sensitivity
    specificity  TN / (TN + FP)
    accuracy     (TP + TN) / all
    f2           5 TP / (5 TP + 4 FN + FP), which weighs recall higher than precision
    hd95, nsd    see `surfaces`

*Empty masks.* Two empty masks agree: 1 for every share, an HD95 of 0. Where only one is empty, shares without a
denominator are 0, and there is no HD95. A specificity without background is 1: nothing could be taken for foreground.

*Several classes.* Each class is measured against all others. A figure of an image is the mean over the classes that P
or T has, background not among them; the accuracy of an image is the share of pixels with the right label.

*Binary models*, those that number objects included, are judged by their foreground.

Published figures compare only where these choices are the same. SvANet's code (that of SoSegFormer's authors) pools the
pixels of all images, counts background as a class and takes the thresholded mask for p; PraNet's stretches the p of
each image to 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .surfaces import Mask, surface_measures


@dataclass(frozen=True)
class Measures:
    """One class in one image, or a mean; 0 to 1 but for `hd95`, which is a length and may be None. See above."""

    iou: float
    dice: float
    mae: float
    precision: float
    recall: float
    specificity: float
    accuracy: float
    f2: float
    hd95: float | None
    nsd: float


MEASURES = tuple(field.name for field in fields(Measures))
"""Their names, in the order of tables."""


def measure(
    predicted: Mask, truth: Mask, probability: npt.NDArray[Any], spacing: Sequence[float], tolerance: float
) -> Measures:
    """All measures of one class in one image.

    Args:
        predicted: (..., Y, X), where the class was found.
        truth: of the same shape, where it is.
        probability: of the same shape, of the class, 0 to 1.
        spacing: along Z, Y, X, those that the masks have.
        tolerance: for the NSD, in the unit of `spacing`.

    Raises:
        ValueError: shapes differ.
    """
    if not predicted.shape == truth.shape == probability.shape:
        raise ValueError(f"Shapes {predicted.shape}, {truth.shape} and {probability.shape} cannot be compared.")
    found, there = int(np.count_nonzero(predicted)), int(np.count_nonzero(truth))
    tp = int(np.count_nonzero(predicted & truth))
    fp, fn = found - tp, there - tp
    tn = predicted.size - tp - fp - fn
    agree = 1.0 if found == there == 0 else 0.0
    hd95, nsd = surface_measures(predicted, truth, spacing, tolerance)
    return Measures(
        iou=_share(tp, tp + fp + fn, agree),
        dice=_share(2 * tp, 2 * tp + fp + fn, agree),
        mae=float(np.abs(probability.astype(np.float32) - truth).mean(dtype=np.float64)),
        precision=_share(tp, tp + fp, agree),
        recall=_share(tp, tp + fn, agree),
        specificity=_share(tn, tn + fp, 1.0),
        accuracy=(tp + tn) / predicted.size,
        f2=_share(5 * tp, 5 * tp + 4 * fn + fp, agree),
        hd95=hd95,
        nsd=nsd,
    )


def measure_image(
    predicted: npt.NDArray[Any],
    truth: npt.NDArray[Any],
    probabilities: npt.NDArray[Any],
    spacing: Sequence[float],
    tolerance: float,
) -> tuple[Measures, dict[int, Measures]]:
    """The figures of an image, and those of each class that it or the answer has (of none for a binary model).

    Args:
        predicted: labels, (..., Y, X).
        truth: likewise; what is neither 0 nor a class has to be refused before.
        probabilities: (classes, ..., Y, X); one class: of the foreground, else the background comes first.
        spacing: along Z, Y, X, those that the masks have.
        tolerance: for the NSD, in the unit of `spacing`.
    """
    labels = sorted({*np.unique(predicted).tolist(), *np.unique(truth).tolist()} - {0})
    if len(probabilities) == 1 or not labels:
        foreground = probabilities[0] if len(probabilities) == 1 else 1 - probabilities[0]
        return measure(predicted > 0, truth > 0, foreground, spacing, tolerance), {}
    classes = {
        label: measure(predicted == label, truth == label, probabilities[label], spacing, tolerance) for label in labels
    }
    means: dict[str, Any] = mean_of(list(classes.values()))
    return Measures(**means | {"accuracy": float((predicted == truth).mean())}), classes


def mean_of(measures: Sequence[Measures]) -> dict[str, float | None]:
    """The mean of each measure by its name, of HD95 over those that have one; None if there is nothing to average."""
    return {name: _mean([getattr(one, name) for one in measures]) for name in MEASURES}


def _share(part: int, whole: int, of_nothing: float) -> float:
    return part / whole if whole else of_nothing


def _mean(figures: list[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return float(np.mean(known)) if known else None
