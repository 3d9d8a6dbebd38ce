"""Batch normalisation folded into the convolution before it: the same answer up to rounding, with less to do."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """A copy for evaluation, which shares all weights with the network but those that change.

    Where a convolution is followed by its batch normalisation in an `nn.Sequential`, which says for sure what follows
    what, the two become one; an activation after them works in place. Whatever else the network does stays as it is.

    The network itself must be in evaluation mode already, since parts of it that it keeps in plain lists are shared.
    """
    return _copied(network, {}).eval()


def _copied(module: nn.Module, known: dict[int, nn.Module]) -> nn.Module:
    if id(module) in known:
        return known[id(module)]
    if not module._modules:
        return known.setdefault(id(module), copy.copy(module))
    twin = known[id(module)] = copy.copy(module)
    twin._modules = {name: part if part is None else _copied(part, known) for name, part in module._modules.items()}
    if isinstance(twin, nn.Sequential) and type(twin).forward is nn.Sequential.forward:
        _fold(twin)
    return twin


def _fold(chain: nn.Sequential) -> None:
    for (before, convolution), (after, norm) in pairwise(list(chain._modules.items())):
        if _fits(convolution, norm):
            chain._modules[before] = fuse_conv_bn_eval(convolution.eval(), norm.eval())
            chain._modules[after] = nn.Identity()
    layers = list(chain._modules.values())
    for number, layer in enumerate(layers):
        made_here = number >= 2 and isinstance(layers[number - 2], nn.Conv2d)  # so nobody else reads it
        if isinstance(layer, nn.ReLU | nn.LeakyReLU | nn.ReLU6) and made_here and _is_gone(layers[number - 1]):
            layer.inplace = True


def _fits(convolution: Any, norm: Any) -> bool:
    """Both plain, without hooks, and the norm with statistics of its own."""
    if type(convolution) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d or norm.running_mean is None:
        return False
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in (convolution, norm))
    return not hooked and not hasattr(convolution, "parametrizations")


def _is_gone(layer: nn.Module | None) -> bool:
    return type(layer) is nn.Identity
