"""AdSTNet: a network with the head that it wears while it trains, and what both learn.

Source: "Adaptive Scale Thresholding Made Efficient: AdSTNet for Blurred Lesion Image Segmentation",
https://github.com/chenq4/AdSTNet. Different: the published notebook keeps the head and scores the fused map. Here the
head is dropped after training, as the paper says, so the network's own logits are supervised as well.

Letters: B images, K foreground classes, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from .head import AdSTHead
from .targets import class_targets


class AdSTAnswer(NamedTuple):
    """What AdSTNet says in training."""

    logits: list[Tensor]  # of the wrapped network, finest first
    maps: Tensor  # (B, 3 K, H, W) logits, see `AdSTHead`


class AdSTNet(nn.Module):
    """Any network of this project with AdSTNet's head on; `network` is what remains after training.

    The head looks at the finest logits, one class at a time. The background of a softmax is no lesion and gets no maps.

    Args:
        network: answers with a list of logits in training, finest first, and with logits otherwise.
        classes: its logit channels.
        hidden: width of the head; 16 is the paper's.
    """

    def __init__(self, network: nn.Module, classes: int, hidden: int = 16) -> None:
        super().__init__()
        self.network = network
        self.head = AdSTHead(hidden)
        self.first = 0 if classes == 1 else 1  # channel of the first foreground class

    def forward(self, image: Tensor) -> AdSTAnswer | Tensor:
        """In training the network's list of logits and the head's maps; otherwise the network's own logits."""
        if not self.training:
            return self.network(image)
        logits = self.network(image)
        return AdSTAnswer(logits, self.head(logits[0][:, self.first :]))


def adstnet_loss(
    own: Callable[[Sequence[Tensor], Tensor], Tensor], classes: int, ignored: int | None = None
) -> Callable[..., Tensor]:
    """The network's own loss on its logits + BCE(core) + BCE(edge) + BCE(fused).

    Without the first term the logits need not be a mask, and the head could not be dropped.

    Args:
        own: the network's loss, of a list of logits and labels (B, 1, H, W).
        classes: logit channels of the network.
        ignored: label of pixels that the three maps do not learn from.

    Returns:
        A function of AdSTNet's answer and labels (B, 1, H, W) that gives one number. A third argument are targets
        that were made beforehand by `class_targets`, as a data loader's workers may; they are made here otherwise.
    """

    def loss(answer: AdSTAnswer, labels: Tensor, targets: Tensor | None = None) -> Tensor:
        if targets is None:
            targets = class_targets(labels, classes)
        each = F.binary_cross_entropy_with_logits(answer.maps.float(), targets, reduction="none")  # (B, 3 K, H, W)
        if ignored is None:
            maps = 3 * each.mean()  # the sum of three means over equally many pixels
        else:
            counted = (labels != ignored).expand_as(each)
            maps = 3 * (each * counted).sum() / counted.sum().clamp(min=1)
        return own(answer.logits, labels) + maps

    return loss
