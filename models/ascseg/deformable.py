"""The depthwise deformable convolution of DCB without gradients on the CPU, where torchvision's uses one core."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def deform_depthwise(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """`torchvision.ops.deform_conv2d` of a 3x3 kernel a channel, which keeps the size; outside of the map is 0.

    Args:
        x: (B, C, H, W).
        offsets: (B, 18, H, W), dy, dx of each of the 9 taps, in pixels.
        weight: (C, 1, 3, 3).

    Returns:
        (B, C, H, W).
    """
    height, width = x.shape[-2:]
    taps = torch.cartesian_prod(*2 * [torch.arange(-1.0, 2.0)]).to(x)  # (9, 2)
    places = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")).to(x)
    places = offsets.unflatten(1, (9, 2)) + (taps[:, :, None, None] + places)  # (B, 9, 2, H, W): y, x in pixels
    sides = x.new_tensor([height, width])[:, None, None]
    grids = ((2 * places + 1) / sides - 1).flip(2).movedim(2, -1)  # (B, 9, H, W, 2): x, y, the map from -1 to 1
    return torch.stack([_of_one(image, grid, weight) for image, grid in zip(x, grids, strict=True)])


def _of_one(image: Tensor, grid: Tensor, weight: Tensor) -> Tensor:
    """(C, H, W) and (9, H, W, 2) -> (C, H, W)."""
    samples = F.grid_sample(image.expand(9, -1, -1, -1), grid, align_corners=False)  # the taps as a batch: all cores
    total = samples[0] * weight[:, 0, 0, 0, None, None]
    for k in range(1, 9):
        total.addcmul_(samples[k], weight[:, 0, k // 3, k % 3, None, None])
    return total
