"""What a blur takes away: the finest level of a Laplacian pyramid.

Source: Burt, Adelson, "The Laplacian Pyramid as a Compact Image Code", IEEE Trans. Communications 1983, as AdSTNet
takes its edge map from it. Different: an odd side is upsampled to its own length, nothing is resized.

Letters: N images, C channels, H x W positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LaplacianResidual(nn.Module):
    """A map minus what is left of it after it was blurred, halved and doubled again. No parameters."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        binomial = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        self.register_buffer("kernel", torch.outer(binomial, binomial)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Residual of maps (N, C, H, W), H and W >= 3; each map is treated alone."""
        maps = x.flatten(0, 1).unsqueeze(1)  # (N, C, H, W) -> (N C, 1, H, W)
        spread = torch.zeros_like(maps)
        spread[..., ::2, ::2] = self._blur(maps)[..., ::2, ::2]
        reconstruction = 4 * self._blur(spread)  # three of four pixels were zero
        return (maps - reconstruction).reshape_as(x)

    def _blur(self, maps: Tensor) -> Tensor:
        return F.conv2d(F.pad(maps, (2, 2, 2, 2), mode="reflect"), self.kernel.to(maps.dtype))
