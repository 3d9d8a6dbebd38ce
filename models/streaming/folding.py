"""Layers that follow each other made into one: the same answer up to rounding, with less to do."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """A copy for evaluation, which shares all weights with the network but those that change.

    In an `nn.Sequential`, which says for sure what follows what, a convolution and its batch normalisation become one,
    and so do an upsampling by 2 and the convolution after it; an activation after them works in place. Whatever else
    the network does stays as it is.

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
    for (before, upsampling), (after, convolution) in pairwise(list(chain._modules.items())):
        if _doubles(upsampling, convolution):
            chain._modules[before] = nn.Identity()
            chain._modules[after] = _transposed(convolution)
    layers = list(chain._modules.values())
    for number, layer in enumerate(layers):
        source = layers[number - 2] if number >= 2 else None
        made_here = isinstance(source, nn.Conv2d | nn.ConvTranspose2d)  # so nobody else reads it
        if isinstance(layer, nn.ReLU | nn.LeakyReLU | nn.ReLU6) and made_here and _is_gone(layers[number - 1]):
            layer.inplace = True


def _fits(convolution: Any, norm: Any) -> bool:
    """Both plain, without hooks, and the norm with statistics of its own."""
    if type(convolution) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d or norm.running_mean is None:
        return False
    return _plain(convolution, norm)


def _doubles(upsampling: Any, convolution: Any) -> bool:
    """Each pixel repeated in both directions, then a convolution of 3 x 3."""
    if type(upsampling) is not nn.Upsample or type(convolution) is not nn.Conv2d or convolution.groups > 1:
        return False
    doubled = upsampling.mode == "nearest" and upsampling.scale_factor in (2, (2, 2))
    sides = (convolution.kernel_size, convolution.padding, convolution.stride, convolution.dilation)
    usual = sides == ((3, 3), (1, 1), (1, 1), (1, 1)) and convolution.padding_mode == "zeros"
    return doubled and usual and _plain(upsampling, convolution)


def _transposed(convolution: nn.Conv2d) -> nn.ConvTranspose2d:
    """What a convolution of 3 x 3 does after its input was doubled, as a transposed one of 4 x 4 with stride 2.

    Of the three taps in a row, two always meet the same pixel of the input: their weights are summed. So four taps
    (2 x 2) are left of nine for each pixel of the answer, and the doubled map is never made.
    """
    weight = _doubled_taps(_doubled_taps(convolution.weight.detach(), 2), 3)  # (out, in, 4, 4)
    outputs, inputs = weight.shape[:2]
    one = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=convolution.bias is not None)
    one.weight = nn.Parameter(weight.transpose(0, 1).contiguous(), requires_grad=False)
    one.bias = convolution.bias
    return one.eval()


def _doubled_taps(weight: Tensor, axis: int) -> Tensor:
    """Three taps along an axis as the four of a transposed convolution, which run the other way."""
    before, middle, after = weight.unbind(axis)
    return torch.stack((after, middle + after, before + middle, before), axis)


def _plain(*parts: Any) -> bool:
    """Whether layers do what their class says and no more."""
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in parts)
    return not hooked and not any(hasattr(part, "parametrizations") for part in parts)


def _is_gone(layer: nn.Module | None) -> bool:
    return type(layer) is nn.Identity
