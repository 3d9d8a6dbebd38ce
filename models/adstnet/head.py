"""AdSTNet's head: core, edge and fused maps from a logit map.

Source: "Adaptive Scale Thresholding Made Efficient: AdSTNet for Blurred Lesion Image Segmentation",
https://github.com/chenq4/AdSTNet. Different from the published code, which knows one class: several classes share
the head and are treated alone.

Letters: B images, K classes, N = B K maps, H x W positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .convglu import ConvGLU
from .laplace import LaplacianResidual
from .saca import SACA


class AdSTHead(nn.Module):
    """Where a lesion surely is (core), where it ends (edge), and both together (fused).

    Args:
        hidden: width of both branches, a multiple of 4; 16 is the paper's.
    """

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.core = _branch(1, hidden, SACA(hidden))
        self.edge = LaplacianResidual()
        self.fuse = _branch(2, hidden, ConvGLU(hidden, 4 * hidden))

    def forward(self, logits: Tensor) -> Tensor:
        """The three maps of each class.

        Args:
            logits: (B, K, H, W).

        Returns:
            Logits (B, 3 K, H, W): the core maps of all classes, then the edge maps, then the fused maps;
            `.chunk(3, dim=1)` takes them apart.
        """
        z = logits.flatten(0, 1).unsqueeze(1)  # (B, K, H, W) -> (N, 1, H, W)
        core_and_edge = torch.cat([self.core(z), self.edge(z)], dim=1)  # (N, 2, H, W)
        maps = torch.cat([core_and_edge, self.fuse(core_and_edge)], dim=1)  # (N, 3, H, W)
        by_class = maps.unflatten(0, logits.shape[:2])  # (B, K, 3, H, W)
        return by_class.transpose(1, 2).flatten(1, 2)  # (B, 3 K, H, W)


def _branch(in_channels: int, hidden: int, enhance: nn.Module) -> nn.Sequential:
    """To one map, with an enhancement of the features in between."""
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, 3, padding=1),
        nn.BatchNorm2d(hidden),
        nn.ReLU(inplace=True),
        enhance,
        nn.BatchNorm2d(hidden),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, 1, 3, padding=1),
    )
