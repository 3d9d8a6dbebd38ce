"""How a network's kernels lie in memory."""

from __future__ import annotations

import torch
from torch import nn


def channels_last(network: nn.Module) -> nn.Module:
    """The network itself, its 2-D kernels with their channels last, which convolutions like best on most devices.

    Other than `network.to(memory_format=torch.channels_last)` it leaves kernels of 3-D convolutions as they are, of
    which HASTNet has some, and which torch would refuse.
    """
    for weight in network.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return network
