"""The network that answers prompts: an image branch, run once a window, and a prompt branch, run at every click.

The scheme is that of RITM (Sofiiuk et al., "Reviving iterative training with mask guidance for interactive
segmentation", ICIP 2022): prompts are drawn as channels, the mask so far is one of them, and all are fused into the
stem. Here the image has a branch of its own, whose features can be kept between clicks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

PROMPT_CHANNELS = 6
"""Positive, negative, inside the box, inside the lasso, the mask so far, and whether there is one; each 0 to 1."""

WIDTHS = (32, 64, 128, 192)
"""Channels at 1/2, 1/4, 1/8 and 1/16 of the window's side."""


class PromptNetwork(nn.Module):
    """Image and prompts to the logits of one object.

    Args:
        widths: channels at each level, finest first.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.widths = tuple(widths)
        finest = widths[0]
        self.image_stem = _conv(3, finest, stride=2)
        self.image_levels = nn.ModuleList(_Down(above, here) for above, here in itertools.pairwise(widths))
        self.prompt_stem = nn.Conv2d(PROMPT_CHANNELS, finest, 4, stride=2, padding=1)
        self.fused_stem = _conv(finest, finest)
        self.prompt_levels = nn.ModuleList(_Down(above, here) for above, here in itertools.pairwise(widths))
        self.context = _Context(widths[-1])
        self.up_levels = nn.ModuleList(_Up(below, here) for here, below in itertools.pairwise(widths))
        self.head = nn.Sequential(_conv(finest, finest), nn.Conv2d(finest, 4, 1), nn.PixelShuffle(2))
        self.quality = nn.Sequential(nn.Linear(2 * widths[-1], 64), nn.ReLU(), nn.Linear(64, 1))

    def fold(self) -> PromptNetwork:
        """Take batch normalisation into the convolutions before it, for good: the same answers in less time."""
        self.eval()
        for block in [module for module in self.modules() if isinstance(module, nn.Sequential)]:
            for number, (first, second) in enumerate(itertools.pairwise(list(block))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    block[number], block[number + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
        return self

    def forward(self, image: Tensor, prompts: Tensor) -> Answer:
        """Both branches.

        Args:
            image: (B, 3, H, W), normalised by `normalised`.
            prompts: (B, 6, H, W), see `PROMPT_CHANNELS`.
        """
        return self.answer(self.features(image), prompts)

    def features(self, image: Tensor) -> list[Tensor]:
        """The image branch: a map for each level, finest first. They do not depend on prompts."""
        maps = [self.image_stem(image)]
        for level in self.image_levels:
            maps.append(level(maps[-1]))
        return maps

    def answer(self, features: list[Tensor], prompts: Tensor) -> Answer:
        """The prompt branch, with the image's features at each of its levels."""
        x, skips = self._down(features, prompts)
        quality = self._quality(x)
        for level in reversed(self.up_levels):  # type: ignore[call-overload]
            x = level(x, skips.pop())
        return Answer(self.head(x), quality, x)

    def expected(self, features: list[Tensor], prompts: Tensor) -> Tensor:
        """Only the quality of that answer, (B,): for less than two thirds of its arithmetic."""
        return self._quality(self._down(features, prompts)[0])

    def _down(self, features: list[Tensor], prompts: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The coarsest map of the prompt branch, and the finer ones, finest first."""
        maps = [self.fused_stem(self.prompt_stem(prompts) + features[0])]
        for level, seen in zip(self.prompt_levels, features[1:], strict=True):
            maps.append(level(maps[-1]) + seen)
        return self.context(maps.pop()), maps

    def _quality(self, deepest: Tensor) -> Tensor:
        pooled = torch.cat((deepest.mean((2, 3)), deepest.amax((2, 3))), 1)  # (B, 2 x widths[-1])
        return self.quality(pooled)[:, 0]


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network says.

    Attributes:
        logits: (B, 1, H, W) of the object.
        quality: (B,), logits of the intersection over union that it expects of its mask with the whole object.
        last: (B, widths[0], H / 2, W / 2), what the head sees.
    """

    logits: Tensor
    quality: Tensor
    last: Tensor

    def one(self, number: int) -> Answer:
        """That of one of the batch, as a batch of one."""
        only = slice(number, number + 1)
        return Answer(self.logits[only], self.quality[only], self.last[only])


def normalised(image: Tensor, inside: Tensor) -> Tensor:
    """A window with mean 0 and deviation 1 over all channels of its pixels; 0 outside the image.

    Args:
        image: (B, 3, H, W), any range.
        inside: (B, 1, H, W), 1 where there is an image, 0 beyond its border.
    """
    count = 3 * inside.sum((1, 2, 3), keepdim=True).clamp_min(1)
    centred = (image - (image * inside).sum((1, 2, 3), keepdim=True) / count) * inside
    deviation = (centred.square().sum((1, 2, 3), keepdim=True) / count).sqrt()
    return (centred / deviation.clamp_min(1e-3)).clamp(-5, 5)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width), nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class _Down(nn.Sequential):
    """To half the side, and one residual block there."""

    def __init__(self, above: int, here: int) -> None:
        super().__init__(_conv(above, here, stride=2), _Residual(here))


class _Context(nn.Module):
    """What the whole window says to each of its cells: its mean and maximum, through one layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = _Residual(width)
        self.whole = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        whole = self.whole(torch.cat((x.mean((2, 3)), x.amax((2, 3))), 1))  # (B, width)
        return x + whole[:, :, None, None]


class _Up(nn.Module):
    """From half the side, with what was there on the way down."""

    def __init__(self, below: int, here: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(below, here, 1)
        self.body = _Residual(here)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        raised = F.interpolate(self.narrow(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.body(raised + skip)
