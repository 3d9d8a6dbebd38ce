"""Cross-scale feature map instruction: every finer map tells every coarser one what it saw.

Source: "SoSegFormer: A Cross-scale Feature Correlated Network for Small Medical Object Segmentation", ISBI 2024,
doi 10.1109/ISBI56570.2024.10635300; the paths are those of its released successor SvANet ("cross-scale guidance"),
without the scale attention that SvANet added.
"""

from __future__ import annotations

from timm.layers import DropPath
from torch import Tensor, nn

from .convolutions import conv_bn_relu


class InstructionPath(nn.Sequential):
    """From a map to one `halvings` levels coarser: a CBR_3 of stride 2 and a CBR_1 per halving.

    The channels change in the last halving only.
    """

    def __init__(self, source: int, target: int, halvings: int) -> None:
        blocks: list[nn.Module] = []
        for left in reversed(range(halvings)):
            width = source if left else target
            blocks += [conv_bn_relu(source, width, 3, stride=2), conv_bn_relu(width, width)]
        super().__init__(*blocks)


class CrossScaleInstruction(nn.Module):
    """I_t = Y_t + Σ_{b<t} DropPath_{p_b}(Instruct_{b→t}(I_b)), finest first, so that instructors are instructed.

    Args:
        widths: channels of the maps, finest first; each map is half as large as the one before.
        drop_path: p_b = drop_path (b - 1) / len(widths) for source b = 1, 2, ...: the chance in training that an
            image goes without this source.
    """

    def __init__(self, widths: tuple[int, ...], *, drop_path: float = 0.2) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.ModuleList(InstructionPath(widths[b], widths[t], t - b) for b in range(t)) for t in range(len(widths))
        )
        self.drop = nn.ModuleList(DropPath(drop_path * b / len(widths)) for b in range(len(widths) - 1))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """The instructed maps.

        Args:
            maps: Y, finest first, the t-th (B, widths[t], H / 2^t, W / 2^t).

        Returns:
            I, in the same shapes.
        """
        instructed: list[Tensor] = []
        for own, paths in zip(maps, self.paths, strict=True):
            told = own
            for finer, path, drop in zip(instructed, paths, self.drop, strict=False):
                told = told + drop(path(finer))
            instructed.append(told)
        return instructed
