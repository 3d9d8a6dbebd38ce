"""How far the outline of one mask is from that of another, by MONAI: HD95 and NSD.

The outline of a mask is its pixels (voxels) that touch a pixel outside it by a side (a face); the border of the image
counts as outside. Distances are between centres of such pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

Mask = npt.NDArray[np.bool_]


def surface_measures(
    predicted: Mask, truth: Mask, spacing: Sequence[float], tolerance: float
) -> tuple[float | None, float]:
    """HD95 and NSD of two masks.

    Args:
        predicted: (Y, X) or (Z, Y, X), or several of them in time, which come first: (T, ...). Distances lie within
            one point in time; the figures are then means over these.
        truth: of the same shape.
        spacing: along Z, Y, X, as many as the masks have of these axes.
        tolerance: for the NSD, in the unit of `spacing`.

    Returns:
        HD95, in the unit of `spacing`: the larger of the 95th percentiles of the distances from the outline of each
        mask to that of the other (Huttenlocher et al., TPAMI 1993, with a percentile for the maximum). 0 for two
        empty masks, None if exactly one is empty: there is no distance then.

        NSD (normalised surface Dice), 0 to 1: the share of both outlines that is no farther than `tolerance` from the
        other (Nikolov et al., arXiv 1809.04430, by counts of pixels). 1 for two empty masks, 0 if exactly one is.
    """
    spatial = predicted.shape[predicted.ndim - len(spacing) :]
    moments = zip(predicted.reshape(-1, *spatial), truth.reshape(-1, *spatial), strict=True)
    found = [_at_one_time(answer, true, spacing, tolerance) for answer, true in moments]
    known = [hd95 for hd95, _ in found if hd95 is not None]
    return float(np.mean(known)) if known else None, float(np.mean([nsd for _, nsd in found]))


def _at_one_time(
    predicted: Mask, truth: Mask, spacing: Sequence[float], tolerance: float
) -> tuple[float | None, float]:
    if not predicted.any() and not truth.any():
        return 0.0, 1.0
    if not predicted.any() or not truth.any():
        return None, 0.0
    if predicted.ndim == 3 and predicted.shape[0] == 1:  # a volume of one plane has no outline along Z
        predicted, truth, spacing = predicted[0], truth[0], spacing[1:]
    box = _box_around(predicted | truth)
    pair: list[Any] = [torch.from_numpy(np.ascontiguousarray(mask[box]))[None, None] for mask in (predicted, truth)]
    within = tolerance * (1 + 1e-6)  # distances are float32: 0.3 would lie beyond 0.3
    hd95 = compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=list(spacing))
    nsd = compute_surface_dice(*pair, class_thresholds=[within], include_background=True, spacing=list(spacing))
    return float(hd95), float(nsd)


def _box_around(mask: Mask) -> tuple[slice, ...]:
    """The smallest box that holds all of a mask; MONAI's own cropping first makes floats of the whole image."""
    box = []
    for axis in range(mask.ndim):
        filled = np.flatnonzero(mask.any(tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(box)
