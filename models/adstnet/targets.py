"""What AdSTNet's head shall answer: core, edge and fused targets of a mask, by distance transforms.

Source: "Adaptive Scale Thresholding Made Efficient: AdSTNet for Blurred Lesion Image Segmentation",
https://github.com/chenq4/AdSTNet. Different from the published preprocessing, which shrinks and grows polygons, keeps
one region an image and fills its holes: here every region counts, with its holes.

Letters: B images, K foreground classes, H x W pixels. Distances and lengths are in pixels.
"""

from __future__ import annotations

from math import ceil, pi, sqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

Mask: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float32]

SHRINK = 0.4
"""r: a region gives up area (1 - r^2) / perimeter of its rim to make its core."""

SHRINK_LESS = 0.8
"""r of a region that has no core otherwise."""

FLAT, RISE = np.float32(0.3), np.float32(0.4)
"""The edge target away from contours, and how much higher it is on them."""

_WITH_DIAGONALS = np.ones((3, 3), bool)


def class_targets(labels: Tensor, classes: int) -> Tensor:
    """Targets of a batch, in the order of `AdSTHead`'s answer.

    Args:
        labels: (B, 1, H, W) of whole numbers, 0 is background; numbers that are no class count as background.
        classes: logit channels of the network; 1 for a binary mask, n >= 2 with the background among them.

    Returns:
        float32 (B, 3 K, H, W) on the labels' device: cores of all foreground classes, then edges, then fused.
    """
    foreground = range(1, max(classes, 2))
    images = labels[:, 0].cpu().numpy()
    targets = np.stack([np.stack([mask_targets(image == c) for c in foreground], axis=1) for image in images])
    return torch.from_numpy(targets).flatten(1, 2).to(labels.device)  # (B, 3, K, H, W) -> (B, 3 K, H, W)


def mask_targets(mask: Mask) -> Floats:
    """Core, edge and fused target of one class: (H, W) -> (3, H, W).

    - core: 1 where a pixel of a region is farther from the region's contour than D = area (1 - r^2) / perimeter;
    - edge: 0.7 on the contour, falling linearly to 0.3 at a distance of D on both sides; 0.3 elsewhere. The higher
      value counts where two bands meet, and a band is at least a pixel wide on each side;
    - fused: the mask.

    A region is connected over sides and corners. Its contour runs between its pixels and those outside, around its
    holes too, and along the border of the image.
    """
    core, edge = np.zeros(mask.shape, bool), np.full(mask.shape, FLAT)
    regions, count = ndimage.label(mask, _WITH_DIAGONALS)
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    perimeters = _perimeters(regions, count)
    boxes = ndimage.find_objects(regions)
    for region, (area, perimeter, box) in enumerate(zip(areas[1:], perimeters[1:], boxes, strict=True), start=1):
        reach = max(area * (1 - SHRINK**2) / perimeter, 1.0)
        window = tuple(slice(max(side.start - ceil(reach), 0), side.stop + ceil(reach)) for side in box)
        inside = regions[window] == region
        distance = _distance_to_contour(inside)
        core[window] |= inside & (distance >= _core_depth(distance[inside], area / perimeter))
        np.maximum(edge[window], FLAT + RISE * (1 - distance / np.float32(reach)), out=edge[window])
    return np.stack([core, edge, mask], dtype=np.float32)


def _core_depth(distance: Floats, area_per_length: float) -> float:
    """How far from its contour a region's core begins, given the distances of all its pixels."""
    deepest = distance.max()
    for r in (SHRINK, SHRINK_LESS):
        depth = area_per_length * (1 - r**2)
        if deepest > depth:
            return float(np.nextafter(np.float32(depth), np.float32(np.inf)))  # farther than, not as far as
    return float(deepest)


def _distance_to_contour(inside: Mask) -> Floats:
    """Distance of each pixel's centre to the line between the region and what is outside."""
    rim = inside & ~_eroded(inside)
    to_rim: Floats = ndimage.distance_transform_edt(~rim).astype(np.float32)
    return np.where(inside, to_rim + 0.5, to_rim - 0.5)  # the line runs half a pixel outside the rim's centres


def _eroded(inside: Mask) -> Mask:
    """The pixels whose four neighbours are inside, too; beyond the window is outside."""
    padded = np.pad(inside, 1)
    return padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def _perimeters(regions: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.float64]:
    """Length of the contours of regions 1 to `count`, outer and inner, by Crofton's formula in four directions.

    The number of times that the lines of a direction cross a contour, times their spacing, averaged over directions,
    is 2 / pi of its length. No two regions touch, so a crossing belongs to the one that is not background.
    """
    padded = np.pad(regions, 1)
    total = np.zeros(count + 1)
    for here, there, spacing in (
        (padded[:, 1:], padded[:, :-1], 1.0),
        (padded[1:], padded[:-1], 1.0),
        (padded[1:, 1:], padded[:-1, :-1], sqrt(0.5)),
        (padded[1:, :-1], padded[:-1, 1:], sqrt(0.5)),
    ):
        crossed = here != there
        total += spacing * np.bincount(here[crossed] + there[crossed], minlength=count + 1)
    return total * pi / 8
