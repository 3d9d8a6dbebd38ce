"""Networks and images of the tests of streamed prediction."""

from typing import Any

import dask.array
import numpy as np
import torch
from torch import nn

from napari_medseg.models import ModelCard, create_model


class Blurred(nn.Module):
    """Channel k of the logits is 8 times how much brighter the mean of 5 x 5 pixels of channel k is than a half."""

    def __init__(self, classes: int = 1, in_channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, classes, 5, padding=2)
        with torch.no_grad():
            kernel = torch.eye(classes, in_channels)[..., None, None].expand(-1, -1, 5, 5)
            self.conv.weight.copy_(8 / 25 * kernel)
            self.conv.bias.fill_(-4.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.conv(image)


def carded(network: nn.Module, **options: Any) -> nn.Module:
    network.card = ModelCard(name="n", title="N", network="unet", **options)
    return network


def unet(**options: int) -> nn.Module:
    torch.manual_seed(0)
    return create_model("unet", **{"base": 4} | options).eval()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


def landscape(*shape: int) -> np.ndarray:
    coarse = torch.from_numpy(np.random.default_rng(0).random((1, 1, *(max(2, s // 16) for s in shape))))
    grey = nn.functional.interpolate(coarse, shape, mode="bicubic")[0, 0].clip(0, 1).numpy()
    return (255 * grey).astype(np.uint8)


def lazy(image: np.ndarray, *chunks: int) -> Any:
    return dask.array.from_array(image, chunks=chunks or (100,) * image.ndim)
